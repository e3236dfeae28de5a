"""What the receiver remembers: bundles, slabs, sequence numbers, what it was told.

- ``bundles``: which bundles, sequences and slabs were accepted; SQLite
- ``numbers``: the ledger's part about sequence numbers: which are taken now, which are missing and how that
  is known
"""
