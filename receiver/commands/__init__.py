"""What the commands of ``diode-receiver`` do. A file is loaded when one of its commands is typed.

- ``catalogue``: shows what lies in the inbox, what is in it, and what differs between two versions
- ``catalogue_history``: shows what was in use when, by the audit log
- ``catalogue_shown``: everything that is known of one bundle
- ``channels``: lets a channel go on from another sequence number
- ``codes``: shows codes that a person carries to the sender: what to send again, what was published
- ``control``: asks the running daemon to try something again
- ``dismissing``: takes off what is missing whatever a person says is not missed any more
- ``drill``: rehearses a rollback; shows reports of drills, and when the next one is due
- ``drill_report``: checks the signature of a drill's report, and the page beside it
- ``gateway``: serves the inbox to clients, prints lines for them, tries each from outside
- ``ingest``: pushes published bundles into stores of the enclave, and takes them out again
- ``lag``: shows how old the content of each channel is
- ``life``: shows the life of one bundle
- ``listing``: lists bundles
- ``media``: takes bundles from a stick or a disk
- ``opening``: opens the ledger and the audit log that a configuration names
- ``ordering``: gives an order to the daemon, and waits for what becomes of it
- ``promotion``: orders which version of a name is in use
- ``recall``: takes a bundle back, or undoes that; shows who took it
- ``receiving``: runs the daemon
- ``recovery``: makes a backup, puts one back, makes a ledger usable again that is older than what was published
- ``release``: shows bundles that are held, writes down what a person decided
- ``removal``: shows which versions gc removes, and orders that
- ``speaking``: judges a person's key before anything is written
- ``status``: finds what the daemon does, what waits for whom, and what became of the newest bundles
- ``status_lines``: the lines of that
- ``trust``: installs a trust document, shows the one that counts
"""
