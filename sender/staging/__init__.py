"""Recognises folders that upstream's tools wrote, and says of each what its bundle is called and where it comes from.

    folder -> found files -> finished? -> one kind? -> recogniser of the kind -> name, version, source.json -> packing

A recogniser is a function of the files alone. Nothing of a folder is changed, and its files stay where they are.
docs/staging.md says what is read of each layout.

- ``apt``: repositories of debmirror, aptly or apt-ftparchive
- ``documents``: reads what registries and tools wrote about files: JSON and dates
- ``found``: the files of a folder as a recogniser reads them: bounded, and held to what is hashed afterwards
- ``hub``: snapshots of a Hugging Face cache, and folders of ``hf download --local-dir``
- ``identity``: revocation lists, certificates, SAML metadata, JWKS and LDIF
- ``kinds``: the recogniser of each kind; which kinds a folder holds
- ``mcp``: an MCP server's ``server.json``, with its packages
- ``npm``: packages of ``npm pack``, and what lock files and the registry say of them
- ``oci``: layouts of skopeo, buildah and podman
- ``pypi``: wheels and source archives of ``pip download``
- ``recognised``: what a recogniser returns, and the ``source.json`` that is made of it
- ``stage``: the shell around all of these: from a path that a person named to the files of a bundle
- ``unfinished``: finds out whether a folder is being written
- ``words``: the kinds that a person can name
"""
