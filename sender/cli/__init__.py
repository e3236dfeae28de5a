"""What can be typed after ``diode-sender``. It loads nothing that a help text does not need.

- ``main``: all commands
"""
