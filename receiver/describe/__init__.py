"""Looks into published bundles, and writes the card of each: the table of its files, and what each protocol needs.

What lies in a bundle may be hostile. So it is read by a worker that has no keys and no network, and can write nowhere
but into the folder of cards.

- ``apt``: the apt repositories among a bundle's files
- ``clamav``: ClamAV's databases among a bundle's files
- ``data``: the data of one bundle, by its signed table, and further digests of it
- ``dates``: the dates that the content of a bundle bears itself
- ``describing``: looks into one bundle, step by step
- ``dnf``: the dnf repositories among a bundle's files
- ``facts``: what people are shown of a bundle, as one bounded JSON text
- ``hub``: what a bundle holds for Hugging Face: models and data sets
- ``makers``: the maker of each kind
- ``manifest``: the manifest that lies beside a bundle's data
- ``mcp``: what a bundle holds for the MCP registry: servers
- ``npm``: what a bundle holds for npm: packages
- ``oci``: what a bundle holds for OCI: container images
- ``protocols``: what the makers are given and what they return
- ``pypi``: what a bundle holds for PyPI: Python packages
- ``sboms``: bills of materials in a bundle, and the terms by which people look for it
- ``table``: the signed table of a published bundle's files, from what lies beside its data
- ``trees``: what a bundle holds as folders that clients read as they are: apt, dnf, ClamAV
- ``upstream``: what the makers for packages share: what ``source.json`` says of one file, how much may be unpacked
- ``worker``: the worker: a child for each bundle, its card put in place, the index for searching
"""
