"""Enclave: from datagrams on the wire to verified bundles in an inbox.

::

    ~~~ one way ~~~> socket -> listen ==ring==> assemble ==arena==> store -> spool -> inbox
                               worker           worker             worker
                               '----------- daemon: supervisor, status -----------'

``listen`` has the socket and no files; ``assemble`` has neither; ``store`` has the files and no network. Nothing here
ever sends.
"""
