"""From datagrams to slabs: the two workers that receive, and the pipeline that starts all four.

- ``assemble``: worker: authenticates and places region by region, decodes slab by slab
- ``handover``: what ``assemble`` gives to ``store``, few slabs at a time, and what ``store`` answers
- ``listen``: worker: socket to regions of the ring, nothing else
- ``pipeline``: starts the four workers, with the ring, the arena and the pipes between them
- ``regions``: regions copied out of the ring once, and cut into matrices of datagrams
"""
