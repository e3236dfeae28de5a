"""Reads the members of archives without unpacking to a disk: as windows into a file, or as repeatable streams.

    members     walks over an archive by its kind: the one door
      zip_members, tars (pax, sparse), ars, streams (decoders)
        unpacked    what a decoder yields, as a file
          sources     a window into a file

The input is a seekable source of bytes that a stranger wrote. The output are members, each of which is a source again.
Unpacked bytes and memory are charged to the item's Allowance.

- ``across``: refuses tar archives in which a zip reader finds members that are in no member of the tar archive
- ``ars``: walks over ``ar`` archives, such as Debian's packages
- ``decoders``: one interface for all decompressors, which yield a bounded piece at a time
- ``feed``: hands compressed bytes to a decoder piece by piece
- ``members``: the types of an archive's members, and how they are made
- ``pax``: reads extended headers of tar archives: lines ``LENGTH KEY=VALUE``
- ``picked``: a few small members of an archive, by name: a package's metadata
- ``sources``: what bytes are read from: a file, or a window into one
- ``sparse``: reads files with holes in tar archives: a map of the parts that are there, then these parts
- ``streams``: unpacks files that are one compressed stream: gzip, bzip2, xz, lzma, zstd, lz4, zlib
- ``tar_headers``: reads headers of tar archives so strictly that all readers agree on them
- ``tars``: walks over tar archives of POSIX and GNU tar
- ``trial``: recognises zlib and lzma streams, whose first bytes are not enough, by decoding them
- ``unpacked``: makes a decoder's output readable at any offset
- ``zip_members``: walks over zip archives: stored members are windows, others are unpacked
"""
