"""From packed bundles to datagrams: what is sent when, and the two workers that send it.

- ``encode``: worker: reads a slab's bytes, checks that files are what was hashed, fills a slot of the arena
- ``endings``: how the transmission of a bundle ends: sent, sent again, or given up
- ``flights``: which bundles wait, queued or asked for again, and which are on their way; what becomes of them
- ``heartbeats``: the heartbeat, through a socket of its own
- ``jobs``: the jobs that the workers have in hand, and the bundles that ``encode`` was told of
- ``pipeline``: starts the two workers, with the arena and the pipes between them
- ``reach``: which files and folders ``encode`` may read
- ``schedule``: what to send next: objects, manifest lead, slabs, repeats, passes; pure, time is an argument
- ``timetable``: which rate at which hour; pure
- ``transmit``: worker: sends slots as trains at a constant rate
"""
