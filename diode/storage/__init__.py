"""Files that survive crashes: durable writes, locks, folders by descriptor, the database, the rollback guard, backups.

- ``backup``: copies a ledger, and puts a copy back
- ``backup_seal``: the signed list of a backup's files and their digests
- ``connection``: a connection to an SQLite file, with readable errors for failing disks
- ``database``: the base of both ledgers: identity, count of decisions, version of the schema
- ``durable``: writes files durably, notices lost writes, and reads files of bounded size
- ``folder``: a folder held by its descriptor, in which no link is followed
- ``index_file``: SQLite files that are written once, and read by other processes without a lock
- ``links``: opens paths through strangers' symbolic links without leaving a folder
- ``listing``: lists bundles of a ledger, and finds one by the beginning of its id
- ``locking``: the lock by which one process at a time works on a state folder
- ``openat2``: the system call openat2(2), by which the kernel refuses paths that lead out of a folder
- ``rollback_guard``: a small file that tells when a ledger or audit log went back in time
- ``tree``: walks over everything below a folder, by descriptors
- ``turns``: lets an event loop come again while another program holds a ledger
- ``uncached``: reads files as the disk has them, not as memory has them
"""
