"""The supervisor's parts, each with one story; :mod:`receiver.daemon` composes them.

What workers say comes in at the ``door`` and becomes events (:mod:`receiver.events`). Readers of these events show,
log, count and scan; nobody calls them by name.

- ``counts``: reader: what is counted, as metrics, as a summary, and as systemd's status
- ``door``: what workers say, one story a message
- ``ear``: hearing on the event loop, recording in a thread beside it
- ``figures``: counters of the workers, over all restarts; losses, and what they may come from
- ``link``: the sender, as its heartbeats let it be heard: alive, silent, gone
- ``on_the_way``: bundles that are coming, and the report of those that stay incomplete
- ``pipelines``: the workers, started and started anew; whether they are alive and moving
- ``progress``: reader: what a person or a program is shown of each bundle
- ``scans``: reader: has scanners decide about held bundles
- ``station``: what the daemon holds as long as it runs: locks, ledger, audit log, keys, the port
- ``wanted``: reader: ``--bundles``, how many are over, and the exit code
"""
