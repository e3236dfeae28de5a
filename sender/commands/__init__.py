"""What the commands of ``diode-sender`` do. A file is loaded when one of its commands is typed.

- ``approval``: shows bundles that wait for signatures, signs one, rejects one
- ``codes``: does what a code says that was carried back: sends again, or records a publication
- ``opening``: opens the ledger and the audit log that a configuration names
- ``recovery``: makes a backup, puts one back, makes an older ledger go on
- ``sending``: runs the daemon, sends or packs what a person names
- ``status``: shows the newest bundles and what became of them
"""
