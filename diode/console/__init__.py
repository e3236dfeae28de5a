"""What people and machines see: terminal, progress, log lines, metrics, questions, how commands end.

- ``budget``: how often something that anybody can cause is said one by one: so many a minute, and of the
  others their number
- ``entry``: how the three commands end: one line that says what happened, and the exit code that scripts rely
  on
- ``logs``: logs: structlog, coloured on a terminal and JSON lines otherwise, always on standard error, every
  value escaped
- ``metrics``: prometheus figures of a daemon, read from its counters when somebody asks
- ``progress``: what a daemon shows while it works: bars on a terminal, plain log lines otherwise, JSON lines
  on demand
- ``prompts``: what several commands ask and show alike: a yes, fields, a trust document
- ``seldom``: how often a minute an event is said that a holder of the link key can cause at will
- ``stream``: what happened, said once, and told to every reader
- ``terminal``: the only way to a terminal: prints, tables, bars and questions, all escaped
"""
