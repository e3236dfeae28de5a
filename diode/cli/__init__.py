"""The ``diode`` command, a file for each group of commands.

- ``audit``: ``diode audit``: verify, export and show audit logs, and verify the receipts of published bundles
- ``doctor``: ``diode oneway`` and ``diode doctor``
- ``main``: ``diode``: what belongs to neither side alone: setting up, keys, the emulated diode, the
  demonstration
- ``trust``: ``diode sign``, ``inspect``, ``verify``, ``trust``
"""
