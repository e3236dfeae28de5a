"""The parts of the supervisor, each with one task. :mod:`receiver.daemon` composes them.

Messages of workers come in at the ``door`` and become events (:mod:`receiver.events`). A part called a reader is given
every event, and shows, logs, counts or scans some of them. No other part calls a reader by name.

- ``counts``: a reader: counts events, and gives the figures as metrics, as a summary, and to systemd
- ``door``: takes each message of a worker, and does what it is for
- ``drills``: a reader: knows which drills are due, for the metrics
- ``ear``: hears heartbeats on the event loop, and has them recorded in a thread
- ``event_hooks``: a reader: says to event hooks what happens
- ``figures``: adds up the counters of the workers over all restarts, and says what losses may come from
- ``health_hooks``: a reader: has health hooks look at versions in use
- ``lag``: watches how old the content of each channel is
- ``host_causes``: tells by this host's own counts why nothing comes to the port
- ``host_counts``: reads what this host's kernel counts of the diode's interface
- ``link``: takes heartbeats, and knows by them whether the sender is gone
- ``link_watch``: a reader: says what is waited for and what comes instead, at once and each minute
- ``on_the_way``: a reader: knows the bundles being received, and reports those that stay incomplete
- ``pipelines``: starts the workers, replaces them when one dies, and knows whether they make progress
- ``progress``: a reader: shows the progress of each bundle to a person or a program
- ``reception``: knows the state of the link by cause, and what a person types then
- ``scans``: a reader: has scanners decide about held bundles
- ``station``: opens and holds what the daemon needs as long as it runs: locks, ledger, audit log, keys, the port
- ``wanted``: a reader for ``--bundles``: counts bundles that have ended, and knows the exit code
"""
