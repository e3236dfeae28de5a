"""The link: how bytes become protected datagrams and how datagrams become bytes again. No sockets, no clock.

- ``admission``: heartbeats judged under the link keys that are held, and the sessions that they announce
- ``assembler``: datagrams to slabs, within a fixed memory
- ``auth``: link keys, sessions, tags
- ``bundles``: which bundles are known or finished, and which of their slabs may begin
- ``early_slabs``: slabs of bundles that nobody has signed for yet: what they may cost
- ``encoder``: slab to sealed datagrams in sending order
- ``extents``: an arena in extents: which stretches of it are free
- ``fec``: Reed-Solomon: zfec's code, by ISA-L or zfec
- ``gate``: screens, looks up the session, checks the tag: before any state exists for a datagram
- ``geometry``: how bytes become a matrix of symbols; the one rule for tails; the profiles
- ``handed_over``: what the assembler hands over to whoever owns the disk
- ``heartbeat``: the datagram that says who seals, what was sent, and what to expect
- ``open_slab``: a slab that still lacks symbols, and which symbol wins
- ``pacing``: when may the next train leave?
- ``resend_codes``: resend and confirm codes, bit by bit; no clock, no files
- ``runs``: where received runs are cut, and which are let in: what ``listen`` knows of datagrams
- ``sessions``: the admitted sessions, what of them was sent and what came, within a budget for each key
- ``trials``: how much work strangers may cause in a second
- ``wire``: the header: packed and screened for whole runs of datagrams
"""
