"""What the commands of ``diode-receiver`` do. A file is loaded when one of its commands is typed.

- ``channels``: opens the sequence numbers of a channel
- ``codes``: shows codes that are carried to the sender: what to send again, what was published
- ``opening``: opens the ledger and the audit log that a configuration names
- ``receiving``: runs the daemon
- ``recovery``: makes a backup, puts one back, makes an older ledger go on
- ``release``: shows bundles that are held, writes down what a person decided
- ``status``: shows the newest bundles and what became of them
- ``trust``: installs a trust document, shows the one that counts
"""
