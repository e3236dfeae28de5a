"""Bundles that are verified and wait for people or a scanner, and what these decided.

- ``decisions``: what people decide about bundles that are held: small signed files, written by a command,
  read by ``store``
- ``held``: bundles that are verified and wait for people: ``inbox/.diode/held/<id>`` is what will be
  published, or set aside
- ``held_trees``: their folders: out of the spool, back into it, or into quarantine
- ``holding``: from verified to released: bundles wait in ``held`` for people, or for a scanner, and go on or
  are set aside
- ``scanning``: A scanner of the enclave's own: a command that must accept a held bundle
"""
