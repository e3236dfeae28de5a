"""The layouts that upstream's tools write, and the names in them: of models, packages, images, MCP servers.

Staging reads them before it packs, the enclave before it serves. Nothing here knows of channels or bundles.

- ``files``: the files that a layout is read from
- ``hub_needs``: which other repositories a model's configuration names
- ``kinds``: the kinds of names, one for each protocol of the gateway
- ``mcp_document``: reads ``server.json`` of an MCP server
- ``names``: one normal form for each spelling of a name
- ``oci_archives``: recognises images that are no layout, and says what makes one of them
- ``oci_layout``: reads an OCI layout: indexes, manifests, and which blobs they need
- ``oci_names``: the names that images have in a layout
- ``package_json``: reads ``package.json`` of an npm package
- ``python_package``: what a wheel or a source archive says of itself
- ``source``: ``source.json``, which says where a bundle's files come from
"""
