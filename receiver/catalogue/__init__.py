"""What lies in the inbox, by name: entries, the pointer to the version in use, names and whose they are. No processes.

- ``card``: the card of one published bundle: an index file of its files and of what each protocol needs of them
- ``difference``: what differs between the files of two versions, by their cards
- ``lag``: how old each channel's content is, against its budget; pure
- ``lag_picture``: the same as bars in a terminal or in one SVG file; pure
- ``names``: which channel a name belongs to
- ``pointer``: which version of a name is in use, which were before, and what follows a decision
- ``retention``: which versions gc removes, and how many bytes become free; pure
- ``search``: finds bundles by what they hold: files, digests, packages, models, ids of vulnerabilities
- ``snapshot``: the index file that the gateway answers from: all bundles and names at one moment
- ``takers``: who took what from the gateway, read from its access log
- ``tree_changes``: what people should know before a version of a tree is put to use in the place of another
- ``tree_facts``: what a card says of trees: repositories of apt and dnf, ClamAV's databases
"""
