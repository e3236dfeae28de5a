"""Bundles on their way: files at their final places, spilled symbols, what is synced when.

- ``bundle``: the spool folder of one bundle: its manifest, its tables, its tree
- ``disk``: a disk that fails is alarmed, and not the end
- ``finishing``: the thread that finishes bundles and syncs the file system before the ledger says "durable"
- ``spilled``: symbols of slabs that could not be completed, each slab in a file beside the tree, its mask in
  the ledger
- ``slabs``: slabs and masks as ``assemble`` and ``store`` name them to each other, and what may be claimed of
  them
- ``tables``: one table in a file, written slab by slab
- ``tree``: files at their final places, in a tree that only waits to be renamed
"""
