"""Answers apt, dnf, freshclam, and whoever wants files: folders as they are.

- ``address``: which tree, and which version of it, an address names
- ``answer``: takes a request and gives the answer
- ``listing``: the list of a folder, for people
- ``shape``: what a path of a tree is: an index that moves, a package that stays, a digest
- ``versions``: which version of a tree answers for a path
"""
