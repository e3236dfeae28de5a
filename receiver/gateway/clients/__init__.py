"""What people write into the configuration of each client, and what clears a client's cache after a recall.

- ``hub``: huggingface_hub, transformers, datasets, Rust, llama.cpp, MLflow
- ``lines``: what is said of one client
- ``mcp``: VS Code, and servers started by npx or uvx
- ``npm``: npm and npx
- ``oci``: docker, containerd, podman, skopeo
- ``pypi``: pip and uv
- ``trees``: apt, dnf, freshclam, curl
- ``tree_lines``: the lines of one tree for apt, dnf and freshclam
"""
