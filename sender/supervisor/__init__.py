"""The supervisor's parts, each with one story; :mod:`sender.daemon` composes them.

What workers say is looked up and becomes events (:mod:`sender.events`). Readers of these events show, log and count;
nobody calls them by name.

- ``beats``: what is done once a second: a heartbeat, the rollback guard, the timetable, what commands asked for
- ``counts``: reader: what is counted, as metrics, as a summary, in heartbeats, and as systemd's status
- ``figures``: counters of the workers, over all restarts
- ``lookups``: what heartbeats tell of the ledger and the audit log, looked up in a thread beside the event loop
- ``pipelines``: the workers, started and started anew; what they say; whether they are alive and moving
- ``progress``: reader: what a person or a program is shown of each bundle
- ``shutdown``: whether the daemon ends, and why; and when something was sent
- ``supply``: keeps the workers supplied with what is to be sent next
"""
