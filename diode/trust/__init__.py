"""Who may sign what: keys, people, roles, the trust document, and what was signed held against them.

- ``backup_keys``: whose key signs a backup, and by whose key one is believed
- ``document``: the signed document of people and roles
- ``inspection``: bundles shown offline
- ``keys``: key files: made with mode 0600, refused when others could read them
- ``published``: a published folder held against its signed manifest
- ``receipts``: the receipt of a published bundle, read from its folder and held against the manifest there
- ``roles``: who may sign what: people, keys, roles, thresholds
"""
