"""The link: how bytes become protected datagrams and how datagrams become bytes again. No sockets, no clock.

- ``assembler``: datagrams to slabs, within a fixed memory
- ``auth``: link keys, sessions, tags
- ``encoder``: slab to sealed datagrams in sending order
- ``extents``: an arena in extents: which stretches of it are free
- ``fec``: Reed-Solomon: zfec's code, by ISA-L or zfec
- ``gate``: screens, looks up the session, checks the tag: before any state exists for a datagram
- ``geometry``: how bytes become a matrix of symbols; the one rule for tails; the profiles
- ``heartbeat``: the datagram that says who seals, what was sent, and what to expect
- ``pacing``: when may the next train leave?
- ``resend_codes``: resend and confirm codes, bit by bit; no clock, no files
- ``runs``: where received runs are cut, and which are let in: what ``listen`` knows of datagrams
- ``wire``: the header: packed and screened for whole runs of datagrams
"""
