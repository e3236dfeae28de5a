"""From packed bundles to datagrams: what is sent when, and the two workers that send it.

- ``encode``: worker: reads the bytes of a slab, checks that files are what was hashed, fills a slot of the arena
- ``endings``: records how the sending of a bundle ended: sent, sent again, or given up
- ``flights``: keeps the bundles that wait and those that are being sent, and gives them to the scheduler
- ``heartbeats``: makes each heartbeat and sends it through a socket of its own
- ``jobs``: numbers the jobs that the workers have, and tells ``encode`` of bundles
- ``pipeline``: starts the two workers, with the arena and the pipes between them
- ``plan``: what the scheduler is told of a bundle, and the steps that it hands out
- ``reading``: reads slabs of packed bundles, and compares them with their signed digests
- ``reach``: decides which files and folders ``encode`` may read
- ``rows``: how far a slab has come that is sent row by row, and when its next row may leave
- ``schedule``: decides which slab or row is sent next; it does no I/O, and time is an argument
- ``script``: the order in which a bundle is sent
- ``timetable``: reads which rate the line may have at which hour; it does no I/O
- ``transmit``: worker: sends the slots of the arena as trains of datagrams at a constant rate
"""
