"""The settings of both sides: read, checked, written by ``diode init``; how a link key is changed.

- ``init``: ``diode init``: ready-to-run folders with keys (mode 0600) and commented configuration
- ``intake``: what the items of one channel must pass on the sending side before they are packed
  (docs/intake.md)
- ``link_key_rotation``: changing the link key, one rename a step; which second key is taken
- ``load``: reads a configuration from TOML and the environment, and says what is wrong with it
- ``ownership``: who may change keys, configuration, and the folders above them
- ``receiver``: ``receiver.toml``: the settings of the receiving side
- ``sections``: what the settings of both sides share
- ``sender``: ``sender.toml``: the settings of the sending side
"""
