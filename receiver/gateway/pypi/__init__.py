"""Answers pip and uv: Python packages.

- ``answer``: takes a request and gives the answer
- ``pages``: pages of the simple index
"""
