"""Answers docker, podman, skopeo and others of OCI: container images.

- ``answer``: takes a request and gives the answer
- ``digests``: which bundles hold a digest: layers are shared
- ``errors``: what clients of OCI are told when something cannot be had
- ``tags``: which image a tag of a repository means at this moment
"""
