"""The worker that judges and publishes: the only one that writes into spool, inbox and the rows of bundles.

- ``arena``: the memory that ``assemble`` shares, copied before anything is judged
- ``begin``: from a manifest that arrived to a bundle being received
- ``budgets``: how many reports of one kind are made one by one in a minute
- ``collect``: slabs: spilled, judged, written to their places, recorded
- ``describers``: who looks into published bundles: a worker, or this process
- ``describing``: has each published bundle looked into, one at a time
- ``following``: what follows a publication, put together: looked into, put to use, shown to clients
- ``giving_up``: gives up bundles that stayed incomplete for too long, or that newer ones pushed out
- ``importing``: slabs that a command read from physical media and hands over in a folder
- ``judge``: judges manifests, tables and slabs by signature and digest alone; without files, ledger or clock
- ``lost_writes``: after the disk lost writes: forgets all that no successful sync has covered
- ``naming``: records what was found in a bundle, and whose the names are that it claims
- ``publish``: the end of a complete bundle: finished, held for people, or moved into the inbox
- ``queue``: what ``assemble`` handed over, bounded, manifests and tables first
- ``recall_channel``: bundles of channel ``recall``, and the statements that they bring
- ``receiving``: bundles being received, each with its judge and its place in the spool
- ``records``: what outlives the worker: inbox, ledger, audit log, keys
- ``refuse``: bundles that break the rules: refused for good, or set aside for this time
- ``reports``: sends messages to ``assemble`` and to the supervisor
- ``resume``: takes up what an earlier run left
- ``serving``: what follows a publication: pointers, orders of people, what the gateway is shown
- ``trust_channel``: bundles of channel ``trust``, and the documents that they bring
- ``unrecorded``: bundles of channel ``trust`` being received, which the ledger does not know yet
- ``worker``: the loop, the door for messages, and how all of this is put together
"""
