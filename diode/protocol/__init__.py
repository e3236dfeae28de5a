"""The link protocol: turns bytes into protected datagrams and back. Uses no sockets, no files and no clock.

- ``admission``: judges heartbeats, and admits the sessions that they announce
- ``assembler``: puts datagrams together into slabs, within a fixed memory
- ``auth``: session keys, and the tags of datagrams
- ``bundles``: keeps which bundles are known or finished, and which of their slabs may begin
- ``compiled``: decides whether the compiled core is used, and what of it
- ``core_proof``: compares the compiled core with the readable code before it is used
- ``early_slabs``: limits slabs of bundles whose manifest is not verified yet
- ``encoder``: turns slabs into sealed datagrams in sending order
- ``extents``: allocates stretches of an arena
- ``fec``: Reed-Solomon codes: zfec's code, computed by ISA-L or zfec
- ``fitting``: the repair that a small slab needs, and how far apart its rows are sent
- ``gate``: lets only authentic datagrams pass, before anything is stored for them
- ``geometry``: how bytes are laid out as a matrix of symbols, the rule for tails, the profiles
- ``handed_over``: messages from the assembler to its caller, who owns the disk
- ``heartbeat``: writes and reads heartbeats
- ``kernel_proof``: compares a compiled kernel for tags with the readable way
- ``link_key``: the secret of a link, and the keys that follow from it; loads no numpy
- ``link_order``: how far the heartbeats of one link key have come; loads no numpy
- ``open_slab``: collects the symbols of one incomplete slab
- ``pacing``: tells when the next train may leave
- ``resend_codes``: writes and reads resend and confirm codes
- ``run_taker``: takes runs by the compiled core: checks tags while symbols go to their places
- ``runs``: cuts received runs into datagrams, and drops odd sizes; used by ``listen``, without numpy
- ``sessions``: the admitted sessions, and how many of their datagrams were sent and received
- ``sizes``: the sizes, limits and kinds of datagrams; loads no numpy
- ``trials``: limits how much work strangers can cause in a second
- ``wire``: packs and screens the headers of whole runs of datagrams
"""
