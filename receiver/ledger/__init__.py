"""The receiver's ledger: what the receiver remembers of bundles, slabs, sequence numbers and heartbeats.

- ``bundles``: the bundles that were accepted, and what became of each
- ``gaps``: sequence numbers that were used, but whose bundles never came, and how that is known
- ``ledgers``: the ledger as each process opens it: ``store`` and the supervisor write, commands read
- ``numbers``: the sequence numbers that a channel takes now, and what a person said about them
- ``peer``: what heartbeats told: their order, sessions, the numbers that were issued, the bundles that they named
- ``schema``: the tables, which process writes each of them, and how older schemas are brought up to date
- ``slabs``: the slabs that are stored or spilled, and whether they are on the disk yet
- ``states``: the states of a bundle and which may follow which, and the states of a slab that was written
- ``trust``: the trust documents that were taken
- ``waiting``: bundles that came but could not be begun: they wait for a person, or for free space
"""
