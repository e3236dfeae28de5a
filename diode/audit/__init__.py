"""The audit log: every decision as one line of a hash chain, signed, verified, exported.

- ``chain``: the lines of the audit log (docs/audit.md): one decision a line, chained by digest, signed by the
  side that took it
- ``facts``: facts of entries: who decided, why something was refused, which trust document counts
- ``log``: appends to the audit log: several processes write one line for each decision, durably
- ``segments``: the files of a log: which there are, what lies in them, and where the chain ends
- ``syslog``: writes entries as syslog lines of RFC 5424, with the facts as structured data
- ``verify``: reads the audit log line by line, in bounded memory, and names the first thing that is wrong by
  file and line
"""
