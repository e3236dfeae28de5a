"""Tools for trying and measuring a link: forecast, calibration, demonstration, benchmarks.

- ``bench``: ``diode bench``: measures this machine: the kernel limit, each stage, and whole transfers
- ``calibrate``: ``diode calibrate``: finds the highest rate at which the link loses nothing
- ``demo``: ``diode demo``: transfers real files with losses, and compares what arrived
- ``kernel_limit``: measures how fast the kernel alone carries datagrams
- ``plan``: ``diode plan``: computes duration, overhead and the probability of failure
- ``stages``: measures each stage of a transfer alone, in one thread
- ``transfer``: runs and measures the transfer of one bundle by both daemons
"""
