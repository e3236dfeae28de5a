"""What people and machines see of a command or daemon: terminal, progress, log lines, metrics, questions, exit codes.

- ``asked``: what a person asks ``status`` for
- ``budget``: limits how many events of one kind are reported each minute; the others are counted
- ``bundles``: shows lists of bundles, for both sides
- ``columns``: prints long lists in columns, a row on each line
- ``completion``: words that a shell offers: commands, bundle ids, channels; harmless ones alone
- ``contents``: shows the first files of a bundle to a person who decides about it
- ``drawing``: draws tables and bars on a terminal, every cell escaped
- ``engines``: says what computes each step of the link
- ``entry``: how the three commands start quickly, and turn errors into one line and an exit code
- ``help``: how help texts look: commands in panels, plain text, 80 columns
- ``human``: sizes, spans, moments, names and states as people say them
- ``life``: shows one bundle's life, step by step
- ``list_options``: options of ``ls`` and ``log``, for the programs of both daemons
- ``listing``: shows lists of bundles of any length, a line each
- ``logs``: sets up structlog: coloured on a terminal, JSON otherwise; standard error only, values escaped
- ``metrics``: serves a daemon's counters to Prometheus
- ``moments``: moments as people type them, and whole times
- ``progress``: shows what a daemon does: bars on a terminal, plain log lines otherwise, JSON lines on demand
- ``prompts``: questions and answers that several commands share
- ``status_lines``: the lines of ``status``, no wider than the terminal
- ``stream``: passes each event to every reader: progress, logs, metrics
- ``terminal``: the only way to a terminal: prints lines and asks questions, all escaped
- ``trust_tables``: shows a trust document as tables
- ``watching``: shows lines again and again, until a person interrupts
"""
