"""The settings of both sides: read, checked, written by ``diode init``; how a link key is changed.

- ``init``: ``diode init``: ready-to-run folders with keys (mode 0600) and commented configuration
- ``intake``: what the items of one channel must pass on the sending side before they are packed
  (docs/intake.md)
- ``link_key_rotation``: changing the link key, one rename a step; which second key is taken
- ``ownership``: who may change keys, configuration, and the folders above them
- ``settings``: configuration of both daemons: TOML, checked once at the edge; every key has a ``DIODE_*``
  environment twin
"""
