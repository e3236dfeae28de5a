"""From datagrams to slabs: the two workers that receive, and the pipeline that starts all four.

- ``assemble``: worker: authenticates datagrams and places them, region by region; decodes slab by slab
- ``handover``: gives slabs from ``assemble`` to ``store``, few at a time, and takes the answers
- ``listen``: worker: receives from the socket into regions of the ring, nothing else
- ``pipeline``: starts the four workers, with the ring, the arena and the pipes between them
- ``regions``: copies regions out of the ring once, and cuts them into matrices of datagrams
"""
