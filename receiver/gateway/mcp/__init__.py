"""Answers clients of the MCP registry: servers of the Model Context Protocol.

- ``answer``: takes a request and gives the answer
- ``entries``: each version of each MCP server, with its status
- ``packages``: the packages that an MCP server names: whether they are there, and where
"""
