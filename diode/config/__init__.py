"""The settings of both sides: how they are read and checked, how ``diode init`` writes them, how a link key is changed.

- ``check``: checks a configuration as a whole, and the files that it names
- ``closure``: settings of the check that an item is whole for its targets (docs/closure.md)
- ``event_hooks``: the section ``[hooks]``: programs of the site that are told what happens (docs/hooks.md)
- ``explained``: says what is wrong with a configuration, and what to write instead
- ``identity``: settings of a channel of identity material (docs/identity.md)
- ``ingest``: the stores of the enclave into which the receiver pushes bundles (docs/ingest.md)
- ``init``: writes ready-to-run folders with keys (mode 0600) and commented configuration
- ``intake``: settings of the checks that items of a channel must pass on the sending side (docs/intake.md)
- ``link_key_rotation``: changes a link key, by one rename for each step
- ``load``: reads a configuration from TOML and the environment
- ``ownership``: finds keys, configuration and folders above them that other users may change
- ``programs``: programs of the site that a configuration names, and which of them cannot be run
- ``receiver``: ``receiver.toml``: the settings of the receiving side
- ``sections``: the sections that the settings of both sides share
- ``sender``: ``sender.toml``: the settings of the sending side
"""
