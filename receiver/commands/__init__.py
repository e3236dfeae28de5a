"""What the commands of ``diode-receiver`` do. A file is loaded when one of its commands is typed.

- ``channels``: lets a channel go on from another sequence number
- ``codes``: shows codes that a person carries to the sender: what to send again, what was published
- ``opening``: opens the ledger and the audit log that a configuration names
- ``receiving``: runs the daemon
- ``recovery``: makes a backup, puts one back, makes a ledger usable again that is older than what was published
- ``release``: shows bundles that are held, writes down what a person decided
- ``status``: shows the newest bundles and what became of them
- ``trust``: installs a trust document, shows the one that counts
"""
