"""What can be typed after ``diode``, a file for each group of commands. Loads nothing that a help text does not need.

- ``audit``: ``diode audit``
- ``doctor``: ``diode oneway``, ``doctor`` and ``evidence``
- ``init``: ``diode init``
- ``keys``: ``diode keys``
- ``lab``: ``diode link``, ``demo``, ``plan``, ``bench`` and ``calibrate``
- ``main``: the program, put together
- ``options``: options that several commands share
- ``trust``: ``diode sign``, ``inspect``, ``verify`` and ``trust``
"""
