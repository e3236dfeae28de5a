"""Says what of an item is missing for the machines behind the wall: pure judges, one for each kind of package.

    files of the item, folders beside -> check -> pypi, npm, oci, apt, hub, mcp -> missing

Nothing of an item is run, and no network is asked. Every judge reads the shelf and writes into the report.

- ``apt``: repositories of Debian packages: files that an index lists, and dependencies
- ``apt_index``: the lines of an index, unpacked within bounds
- ``apt_relations``: what Debian packages need and offer, by deb-control(5)
- ``check``: looks into all kinds that a channel names
- ``hub``: models: shards, and repositories that configurations name
- ``mcp``: MCP servers: the packages that they start from, and settings that name a registry
- ``missing``: the report: what is missing, as bounded lines, and what may be
- ``npm``: npm packages and what they depend on
- ``npm_lock``: what a ``package-lock.json`` of the item names
- ``npm_platforms``: whether an npm package is for a platform
- ``npm_versions``: which version npm takes for a range
- ``oci``: images: manifests, platforms, layers, subjects
- ``pypi``: Python packages: which of them must be installable by themselves
- ``pypi_pool``: the wheels and source archives that are there, and what each needs
- ``pypi_resolver``: resolves what one package needs on one target
- ``pypi_targets``: the wheel tags and marker values of a target
- ``shelf``: the files of an item, and folders whose content crossed before
"""
