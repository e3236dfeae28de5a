"""Arguments and help texts of the ``diode`` command, one file for each group. Imports only what a help text needs.

- ``audit``: ``diode audit``
- ``docs``: ``diode docs``
- ``doctor``: ``diode oneway``, ``doctor`` and ``evidence``
- ``init``: ``diode init``
- ``keys``: ``diode keys``
- ``lab``: ``diode link``, ``demo``, ``plan``, ``bench`` and ``calibrate``
- ``main``: puts the groups together into the program
- ``options``: options that several commands share
- ``trust``: ``diode sign``, ``inspect``, ``verify`` and ``trust``
"""
