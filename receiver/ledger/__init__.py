"""What the receiver remembers: bundles, slabs, sequence numbers, what it was told.

- ``bundles``: which were accepted, and what became of each
- ``gaps``: sequence numbers of which no bundle came, and how that is known
- ``ledgers``: the ledger as each process opens it: ``store`` and the supervisor write, commands read
- ``numbers``: sequence numbers: which ones a channel takes now, and what a person said of them
- ``peer``: what heartbeats told: their order, sessions, numbers issued, bundles spoken of
- ``schema``: the tables, which process writes each of them, and how older schemas are brought up to date
- ``slabs``: which are stored or spilled, and whether that is on the disk yet
- ``states``: the states of a bundle, and which follows which; what is known of a slab that was written
- ``trust``: trust documents that were taken
- ``waiting``: bundles that came and could not be begun: for a person, or for room
"""
