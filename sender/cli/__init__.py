"""What can be typed after ``diode-sender``. It loads nothing that a help text does not need.

- ``bundles``: ``ls`` and ``log``
- ``control``: what a person asks of the running daemon: ``cancel``, ``pause``, ``resume``, ``hold``, ``retry``
- ``main``: the commands of the daemon, and all others put together
- ``options``: options and arguments that several commands share
- ``recovery``: ``backup``, ``restore``, ``rebaseline``
"""
