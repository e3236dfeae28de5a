"""Bundles that are verified and wait for people or a scanner, and what these decided.

- ``contents``: what a held bundle holds, for the people who decide about it
- ``decisions``: writes and reads what people decide: small signed files, written by a command, read by ``store``
- ``held``: one held bundle: what it waits for, and whose decisions about it count
- ``held_trees``: moves the folders of held bundles: out of the spool, back into it, or into quarantine
- ``holding``: takes a bundle from verified to released or refused, by the decisions of people and the scanner
- ``scanning``: runs a scanner of the enclave: a command that must accept a held bundle
- ``waits``: for whom a held bundle waits, in words
- ``words``: small signed files by which people speak: which are read, and who signed each
"""
