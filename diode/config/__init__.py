"""The settings of both sides: how they are read and checked, how ``diode init`` writes them, how a link key is changed.

- ``init``: writes ready-to-run folders with keys (mode 0600) and commented configuration
- ``intake``: settings of the checks that items of a channel must pass on the sending side (docs/intake.md)
- ``link_key_rotation``: changes a link key, by one rename for each step
- ``load``: reads a configuration from TOML and the environment, and explains what is wrong with it
- ``ownership``: finds keys, configuration and folders above them that other users may change
- ``receiver``: ``receiver.toml``: the settings of the receiving side
- ``sections``: the sections that the settings of both sides share
- ``sender``: ``sender.toml``: the settings of the sending side
"""
