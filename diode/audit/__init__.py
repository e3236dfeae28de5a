"""The audit log: a signed hash chain with one line for each decision. Written, read, verified and exported here.

- ``chain``: the lines of the log: their fields, their hash chain and their signatures
- ``entries_of``: finds what a log says of one bundle, searching it as bytes; nothing is verified
- ``facts``: makes the values of an entry's fields: who decided, why something was refused, which trust document counts
- ``find``: finds entries quickly; the chain is checked over all lines
- ``log``: appends lines durably, from several processes
- ``segments``: finds the files of a log, and where the chain ends in them
- ``syslog``: formats entries as syslog lines of RFC 5424
- ``verify``: reads a log in bounded memory, and names the first fault by file and line
"""
