"""The gateway as processes: sockets, connections, tokens, the log, and files sent by the kernel.

A request's way: ``listening`` (sockets, held by the parent ``keeper``), ``engine`` and ``connection`` (in the serving
process ``serve``), ``app``, ``routing``, a protocol, ``replies``, ``sending``; then a line in the ``journal``.

- ``access``: client tokens, and who a client behind a proxy is
- ``answerers``: has protocols answer in threads
- ``app``: takes requests in, has a protocol answer them, sends the replies, and logs them
- ``connection``: one client's connection: HTTP/1.1 with reason phrases of ours, sendfile, and time limits
- ``counts``: what was taken when, and what was asked for that is not served
- ``engine``: accepts clients, and ends in order
- ``interfaces``: keeps the gateway off the diode's interface
- ``journal``: the access log
- ``keeper``: the parent process: holds the sockets, and keeps a serving process behind them
- ``listening``: the sockets that the gateway listens on
- ``messages``: what parent and serving process say to each other
- ``newest``: the newest snapshot
- ``plan``: what the configuration asks of the gateway
- ``ranges``: which bytes of a file a request asks for
- ``refusals``: what is refused before a protocol is asked
- ``replies``: makes the reply out of what a protocol answered
- ``routing``: which protocol answers an address
- ``sending``: sends a reply: bytes as they are, files by the kernel
- ``series``: keeps readers of a moving address on the bundle that they began with
- ``serve``: the serving process, and how it is confined
- ``stored``: opens the files of bundles
"""
