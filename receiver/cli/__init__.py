"""What can be typed after ``diode-receiver``. It loads nothing that a help text does not need.

- ``bundles``: ``ls`` and ``log``
- ``catalogue``: ``catalogue ls``, ``show``, ``history``, ``diff``, ``search``
- ``gateway``: ``gateway run``, ``clients``, ``check``
- ``ingest``: ``ingest``
- ``main``: the commands of the daemon, and all others put together
- ``options``: options and arguments that several commands share
- ``use``: ``promote``, ``rollback``, ``pin``, ``unpin``, ``gc``, ``recall``, ``drill``
"""
