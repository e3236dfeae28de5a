"""Physical media: packed bundles are written to a stick or a disk, which a person carries to the enclave.

- ``copying``: writes one bundle to a medium, part by part, and reads each part back
- ``export``: decides whether a bundle may be exported, and records that it was
"""
