"""What is transferred: a manifest, its two tables, and the signed sidecars that go with it.

- ``attestation``: what staging checked, as a signed SLSA verification summary
- ``checksums``: SHA256SUMS and B3SUMS
- ``files``: the files table of a bundle (docs/bundle-format.md): one line of canonical JSON a file, sorted by
  path
- ``manifest``: manifest and tables: written, read back, bounded
- ``opened``: A manifest that was verified, with those who signed it
- ``receipt``: receipts: what a receiver published, in ``receipt.json`` for people and, signed by it, in
  ``receipt.dsse.json``
- ``ref``: which bundle is meant: its number, its hexadecimal id, its label
- ``stream``: which file holds which stretch of the stream
"""
