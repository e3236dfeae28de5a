"""What the commands of ``diode`` do. A file is loaded when one of its commands is typed.

- ``audit``: verifies, exports and shows audit logs, verifies receipts
- ``doctor``: installs the rules that make a host one-way, and examines the host
- ``init``: writes folders, keys and configuration
- ``keys``: makes and names keys, changes a link key
- ``lab``: emulates the diode, demonstrates, plans, measures
- ``trust``: signs, inspects and verifies bundles and trust documents
"""
