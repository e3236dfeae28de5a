"""The audit log: every decision as one line of a hash chain, signed, verified, exported.

- ``chain``: the audit log's lines (docs/audit.md): one decision a line, chained by digest, signed by the side
  that took it
- ``log``: writing the audit log: a folder of segments, to which several processes append one line for each
  decision
- ``syslog``: entries of the audit log as syslog lines: RFC 5424, facts as structured data, no message of
  their own
- ``verify``: reading the audit log: line by line, in bounded memory, with the first thing that is wrong named
  by file and line
"""
