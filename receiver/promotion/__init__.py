"""What people order about published bundles: promote, roll back, pin, remove, recall, drill. ``store`` applies it.

An order is a small signed file, as a decision about a held bundle is. The pointer of a name is a file of the inbox
(``.diode/pointers``), which is the truth; the symbolic link ``current`` follows it.

An order's way through the room::

    orders -> weigh -> obey -> rules -> apply     facts: what the rules have to know
                        |                |        files: the pointers and their links
                      trial           shown       reconcile: what an earlier run left
                      removal

- ``apply``: moves a pointer: the one place where it happens, in one order of writes
- ``differences``: what differs between the files of two versions
- ``drill``: goes back to the version before, proves that this works, returns, and has a report written
- ``drill_check``: reads a version from the disk, and holds every file against the signed manifest
- ``drill_due``: when the next drill of each name is due
- ``drill_report``: makes the report of a drill, and writes it
- ``facts``: looks up what the rules have to know of a name
- ``files``: the pointers' own files, and the links that follow them
- ``followers``: which clients do not follow a pointer by themselves, and what moves them
- ``health``: runs a channel's health hook: a command that finds the version in use healthy, or not
- ``obey``: has each order applied or refused, and says what became of it
- ``orders``: the orders themselves: small signed files, written by a command, read by ``store``
- ``recalling``: recalls take effect, and are taken back
- ``reconcile``: sets pointers right at the start
- ``removal``: empties bundles that gc was told to remove
- ``report``: the report of a drill, as signed JSON; pure
- ``report_page``: the report of a drill, as a page to print; pure
- ``rules``: what an order does to a pointer, and what refuses it; pure
- ``shown``: what the gateway is shown: the snapshot, made of the ledger
- ``trial``: what follows the answer of a health hook; how a drill begins and ends
- ``weigh``: which orders count, and how many people have said the same; pure
"""
