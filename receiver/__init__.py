"""Enclave: from datagrams on the wire to verified bundles in an inbox.

Names in the drawing are rooms (folders) and files of this package::

    ~~~ one way ~~~> socket -> transport: listen ==ring==> assemble ==arena==> store -> spool -> release -> inbox
                                          worker           worker             worker   files   held     published
                               '---- supervisor: pipelines, door, link; peer (heartbeats) ----'  policy: examine
                               '------------------------- daemon composes all of it ------------------------'

``listen`` has the socket and no files. ``assemble`` has neither. ``store`` has the files and no network. Nothing in
this package ever sends a datagram.
"""
