"""Staging: from files in an outbox to datagrams on the wire.

::

    outbox -> packing -> ledger -> schedule -> encode ==arena==> transmit -> socket ~~~ one way ~~~>
              hash, sign            (pure)     worker            worker
              '------------------ daemon: supervisor, heartbeat ------------------'

``encode`` reads files and has no socket; ``transmit`` has the socket and no files. Nothing here ever receives.
"""
