"""Tools for trying and measuring a link: forecast, calibration, demonstration, benchmarks.

- ``bench``: ``diode bench``: measures this machine: the kernel limit, each stage, and whole transfers
- ``calibrate``: ``diode calibrate``: finds the highest rate at which the link loses nothing
- ``demo``: ``diode demo``: transfers real files with losses, and compares what arrived
- ``kernel_limit``: measures how fast the kernel alone carries datagrams
- ``latency``: measures how long single bundles take, after a drop and by ``diode-sender send``
- ``limits``: measures what bounds each stage: memory, hash, kernel
- ``plan``: ``diode plan``: computes duration, overhead and the probability of failure
- ``progress``: shows what ``diode bench`` is doing
- ``report``: the report of ``diode bench``, and its comparison with an earlier one
- ``series``: measures several ways to transfer a bundle by turns
- ``sources``: what ``diode bench`` transfers, and where it lies
- ``stages``: measures each stage of a transfer alone, in one thread
- ``tables``: the tables that ``diode bench`` shows
- ``transfer``: runs and measures the transfer of one bundle by both daemons
"""
