"""What people and machines see: terminal, progress, log lines, metrics, questions, how commands end.

- ``budget``: how often something that anybody can cause is said one by one: so many a minute, and of the
  others their number
- ``bundles``: lists of bundles, as both sides show them
- ``drawing``: tables and bars on a terminal, every cell escaped
- ``entry``: how the three commands begin and end: fast, and with one line and the exit code that scripts rely on
- ``logs``: logs: structlog, coloured on a terminal and JSON lines otherwise, always on standard error, every
  value escaped
- ``metrics``: prometheus figures of a daemon, read from its counters when somebody asks
- ``progress``: what a daemon shows while it works: bars on a terminal, plain log lines otherwise, JSON lines
  on demand
- ``prompts``: what several commands ask and show alike: a yes, fields, a trust document
- ``stream``: what happened, said once, and told to every reader
- ``terminal``: the only way to a terminal: prints lines and asks questions, all escaped
"""
