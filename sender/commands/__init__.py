"""What the commands of ``diode-sender`` do. A file is loaded when one of its commands is typed.

- ``approval``: shows bundles that wait for signatures, signs one, rejects one
- ``checking``: makes all checks of the intake over files that a person names, and packs nothing
- ``codes``: takes a code that a person carried over from the receiver: sends slabs again, or records a publication
- ``control``: asks the running daemon to cancel or keep back a bundle, to pause, to resume, to try again
- ``lag``: shows what waits on each channel, and for how long
- ``life``: shows the life of one bundle
- ``listing``: lists bundles
- ``media``: writes bundles to physical media
- ``opening``: opens the ledger and the audit log that a configuration names
- ``putting``: copies into the outbox, so that no half of it is sent
- ``recall``: signs the recall of a bundle that was sent
- ``recovery``: makes a backup, puts one back, makes a ledger usable again that is older than what was sent
- ``sending``: runs the daemon; sends or packs files that a person names
- ``status``: finds what the daemon does, what waits for whom, and what became of the newest bundles
- ``status_lines``: the lines of that
"""
