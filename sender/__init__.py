"""Staging: from files in an outbox to datagrams on the wire.

Names in the drawing are rooms (folders) and files of this package::

    outbox -> intake -> pack -> ledger -> transport: schedule -> encode ==arena==> transmit -> socket ~~~ one way ~~~>
      hash    check     sign    number               (pure)      worker            worker
    '---- watching ----------------' '---- supervisor: supply, pipelines, beats (heartbeats) ----'
    '------------------------------ daemon composes all of it -----------------------------------'

``encode`` reads files and has no socket. ``transmit`` has the socket and no files. Nothing in this package ever
receives a datagram.
"""
