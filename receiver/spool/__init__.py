"""Bundles on their way: files at their final places, spilled symbols, what is synced when.

- ``bundle``: the spool folder of one bundle: its manifest, its tables, its tree
- ``disk``: raises an alarm when the disk fails, and lets the worker go on
- ``finishing``: the thread that finishes bundles and syncs the file system before the ledger says "durable"
- ``spilled``: symbols of slabs that could not be completed, each slab in a file beside the tree, its mask in
  the ledger
- ``handed_in``: the folder by which a command hands slabs to ``store``: names of its files
- ``slabs``: reads slabs and masks from messages between ``assemble`` and ``store``, and checks what they claim
- ``tables``: one table of a bundle in a file, written slab by slab
- ``tree``: files at their final places, in a tree that only waits to be renamed
"""
