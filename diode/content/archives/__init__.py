"""Readers of archives that unpack nothing to a disk: windows into a file, and streams that can be read again.

    members     walks over an archive by its kind: the one door
      zip_members, tars (pax, sparse), ars, streams (decoders)
        unpacked    what a decoder yields, as a file
          sources     a window into a file

What comes in is a seekable source of bytes that a stranger wrote; what goes out are members, each a source again.
Everything that is unpacked is paid for from the item's Allowance, everything that is kept in memory as well.
"""
