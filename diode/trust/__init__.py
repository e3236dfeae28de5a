"""Who may sign what: keys, people, roles and the trust document; and checks of signed things against them.

- ``backup_keys``: which key signs a backup, and which keys a restore accepts
- ``document``: the signed document of people, keys and roles
- ``hardware``: a key in a hardware token
- ``inspection``: shows what a manifest says, without verifying it
- ``keys``: makes and reads key files
- ``published``: checks a published folder against its signed manifest
- ``receipts``: checks the receipt of a published bundle
- ``roles``: the rules of who may sign what: people, keys, roles, thresholds
"""
