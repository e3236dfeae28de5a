"""From an item to a packed and signed bundle: packing, approval, how long it is kept.

- ``approval``: bundles that wait for people's signatures
- ``packed``: hashes the files once: tables of files and slabs, the signed manifest; files stay where they are
- ``packer``: from an item to a signed bundle in the ledger; what was sent before is skipped
- ``retention``: where what was sent lies afterwards, and how long it is kept
"""
