"""The receiver's ledger: what the receiver remembers of bundles, slabs, sequence numbers and heartbeats.

- ``bundles``: the bundles that were accepted, and what became of each
- ``catalogue``: what is known of published bundles, which names they claim, and whose these are
- ``dismissals``: what a person said is not missed any more
- ``drills``: which drills were held, how each ended, where its report lies
- ``gaps``: sequence numbers that were used, but whose bundles never came, and how that is known
- ``ledgers``: the ledger as each process opens it: ``store`` and the supervisor write, commands read
- ``numbers``: the sequence numbers that a channel takes now, and what a person said about them
- ``peer``: what heartbeats told: their order, sessions, the numbers that were issued, the bundles that they named
- ``pointers``: which version of a name is in use, each move of it, recalls, and what became of orders
- ``quarantined``: bundles whose manifest was refused, so that nothing of them was begun
- ``recalls``: which recalls count, and which statements of staging had their effect already
- ``schema``: the tables, which process writes each of them, and how older schemas are brought up to date
- ``slabs``: the slabs that are stored or spilled, and whether they are on the disk yet
- ``standing``: how a bundle stands, in the word that people are shown
- ``states``: the states of a bundle and which may follow which, and the states of a slab that was written
- ``trust``: the trust documents that were taken
- ``waiting``: bundles that came but could not be begun: they wait for a person, or for free space
"""
