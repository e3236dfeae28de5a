"""From an item to a packed and signed bundle: packing, approval, how long it is kept.

- ``approval``: adds people's signatures to a bundle that waits for them, and knows when there are enough
- ``at_work``: the items that are being packed, each in a thread; the more urgent stops the others
- ``identity_copies``: what is kept of identity material: lines for approvers, and for how long
- ``hashed``: what is to be packed, and what hashing its files gave
- ``moved``: notes in a packed bundle where its files lie now
- ``packed``: a packed bundle on disk: which files it has, and how it is read back
- ``packer``: takes an item through hashing, intake and packing, until it is a numbered bundle in the ledger
- ``recalls``: recalls that wait for people's signatures, and their way into the outbox
- ``retention``: moves an item away after it was sent, and deletes what has been kept long enough
- ``sources``: reads stretches of a packed bundle's stream from the files that it was packed from
- ``wanted``: what a person wants sent, by its name, or as a folder that one of upstream's tools wrote
- ``writing``: writes a packed bundle: its signed manifest and its two tables; the files stay where they are
"""
