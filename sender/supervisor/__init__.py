"""The parts of the supervisor, each with one task. :mod:`sender.daemon` composes them.

Messages of workers are looked up here and become events (:mod:`sender.events`). A part called a reader is given every
event, and shows, logs or counts some of them. No other part calls a reader by name.

- ``beats``: does the work of each second: a heartbeat, the rollback guard, the timetable, requests of commands
- ``counts``: a reader: counts outcomes, and gives them as metrics, as a summary, to heartbeats and to systemd
- ``destination``: knows which address link.to stands for, and finds out when that is another one
- ``event_hooks``: a reader: says to event hooks what happens
- ``figures``: adds up the counters of the workers over all their restarts
- ``lookups``: looks up in a thread what heartbeats tell of the ledger and the audit log
- ``pipelines``: starts the workers, replaces them when one dies, and hears their messages
- ``progress``: a reader: shows the progress of each bundle to a person or a program
- ``refusals``: knows whether this host's kernel refuses to send, and raises the alarm
- ``shutdown``: knows whether the daemon ends, and why
- ``supply``: hands the workers what the scheduler wants sent next
"""
