"""Readers of archives that unpack nothing to a disk: windows into a file, and streams that can be read again.

    members     walks over an archive by its kind: the one door
      zip_members, tars (pax, sparse), ars, streams (decoders)
        unpacked    what a decoder yields, as a file
          sources     a window into a file

What comes in is a seekable source of bytes that a stranger wrote; what goes out are members, each a source again.
Everything that is unpacked is paid for from the item's Allowance, everything that is kept in memory as well.

- ``across``: zip archives that nobody put into a tar archive, and that readers of zip archives find in it all
  the same
- ``ars``: archives of ``ar``, as Debian's packages are: one header of 60 bytes a member
- ``decoders``: decoders of compressed data, all with the shape of the standard library's: a bounded piece
  comes out at a time
- ``feed``: compressed bytes on their way into a decoder
- ``members``: what an archive's members look like to whoever looks into it
- ``pax``: extended headers of tar archives: lines ``LENGTH KEY=VALUE`` that change what is known of the next
  member
- ``sources``: what bytes are read from: a file, or a window into one
- ``sparse``: files with holes, as tar archives hold them: a map of the parts that are there, then these parts
  in a row
- ``streams``: files that are one compressed stream: gzip, bzip2, xz, lzma, zstd, lz4, zlib
- ``tar_headers``: headers of tar archives: blocks of 512 bytes, read so strictly that all readers read them
  alike
- ``tars``: tar archives: of POSIX, of GNU tar, with extended headers, with holes
- ``trial``: compressed streams that hardly say so in their first bytes: zlib's two, and lzma's fourteen
- ``unpacked``: what a decoder yields, as a source that can be read anywhere, at a price
- ``zip_members``: members of zip archives: those that are stored are windows, the others are unpacked
"""
