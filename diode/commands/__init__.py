"""The work behind the ``diode`` command, one file for each group. A file is loaded only when one of its commands runs.

- ``audit``: verifies, exports and shows audit logs, verifies receipts
- ``docs``: finds the pages and units that were installed
- ``doctor``: installs the rules that make a host one-way, and examines the host
- ``init``: writes folders, keys and configuration
- ``keys``: makes and shows keys, changes a link key
- ``lab``: emulates the diode, demonstrates, plans, measures
- ``trust``: signs, inspects and verifies bundles and trust documents
"""
