"""From an item to a packed and signed bundle: packing, approval, how long it is kept.

- ``approval``: adds people's signatures to a bundle that waits for them, and knows when there are enough
- ``packed``: writes a packed bundle: its signed manifest and its two tables; the files stay where they are
- ``packer``: takes an item through hashing, intake and packing, until it is a numbered bundle in the ledger
- ``retention``: moves an item away after it was sent, and deletes what has been kept long enough
"""
