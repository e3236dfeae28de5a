"""Files that last: durable writes, locks, folders by descriptor, the database, the rollback guard, backups.

- ``backup``: a ledger copied and put back
- ``backup_seal``: what vouches for a backup: its files' digests, signed by the service key
- ``connection``: one connection to an SQLite file: one statement at a time, rows by name, a failing disk said in
  one line
- ``database``: what both ledgers have in common: an identity, a count of decisions, a schema with a version
- ``durable``: files that are on disk when the call returns, a descriptor that is told of failed writes, reads
  that are bounded
- ``folder``: a folder by its descriptor: files are made, replaced, moved and removed through no link
- ``links``: where symbolic links of strangers lead: followed below one folder, never out of it
- ``locking``: one process at a time works on a state folder: a daemon, or a command that must not meet one
- ``openat2``: has the kernel resolve a path below a folder, and refuse what leads out
- ``rollback_guard``: how far ledger and audit log had come, kept apart from them
- ``tree``: all that lies below a folder, by descriptors
"""
