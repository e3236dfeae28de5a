"""Serves the inbox to clients that people use: Hugging Face, pip, npm, docker, MCP, apt. Its own process and user.

One pure file for each protocol: a request and a view of the snapshot give an answer. Nothing here opens the ledger, and
the daemon and its workers import nothing of it.

- ``answers``: what a protocol answers: bytes, a file of a bundle, a redirect, a refusal
- ``check``: tries the gateway from outside, as its clients do
- ``clients/``: lines for the configuration of each client
- ``freshness``: entity tags and conditional requests: what may be answered by 304
- ``hub/``: answers clients of Hugging Face: models and data sets
- ``mcp/``: answers clients of the MCP registry: servers of the Model Context Protocol
- ``npm/``: answers npm: packages of JavaScript
- ``oci/``: answers docker, podman, skopeo and others of OCI: container images
- ``packages``: files of packages that several bundles hold
- ``places``: where each protocol is reached, and the lines that clients need for that
- ``protocols``: the protocols, and the prefix of each
- ``pypi/``: answers pip and uv: Python packages
- ``request``: a request as the protocols see it, whatever server took it in
- ``server/``: the gateway as processes: sockets, connections, tokens, the log, and files sent by the kernel
- ``trees/``: answers apt, dnf, freshclam, and whoever wants files: folders as they are
- ``view``: the bundles of a snapshot that one client may see by one protocol
"""
