"""Answers npm: packages of JavaScript.

- ``answer``: takes a request and gives the answer
- ``packument``: the document that npm reads of a package
- ``semver``: the order of versions of npm packages
"""
