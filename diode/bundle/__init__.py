"""What is transferred: the manifest of a bundle, its two tables, and the signed sidecars that are published beside it.

- ``attestation``: writes and checks the signed statement of what staging checked (SLSA verification summary)
- ``beginning``: finds the bundle that a person means by the beginning of its id
- ``checksums``: writes the lines of SHA256SUMS and B3SUMS
- ``files``: reads and writes the files table: one line of canonical JSON for each file, sorted by path
- ``links``: judges symbolic links by the files table alone, component by component
- ``manifest``: the manifest's fields and bounds, and how it is read back
- ``medium``: how a bundle lies on physical media: names of files, and which slabs lie in which part
- ``opened``: the result type of verification: a manifest with those who signed it
- ``recall``: the signed statement that a bundle must not be used any more
- ``receipt``: writes a receiver's receipt of a published bundle, signs it, and compares it with the manifest
- ``ref``: converts between the number, the hexadecimal id and the label of a bundle
- ``stream``: finds which files hold a stretch of the stream
- ``tables``: reads the object of the files table: lines, links and times
- ``times``: reads and writes the table of times, which may follow the files table
"""
