"""What the commands of ``diode-sender`` do. A file is loaded when one of its commands is typed.

- ``approval``: shows bundles that wait for signatures, signs one, rejects one
- ``codes``: takes a code that a person carried over from the receiver: sends slabs again, or records a publication
- ``opening``: opens the ledger and the audit log that a configuration names
- ``recovery``: makes a backup, puts one back, makes a ledger usable again that is older than what was sent
- ``sending``: runs the daemon; sends or packs files that a person names
- ``status``: shows the newest bundles and what became of them
"""
