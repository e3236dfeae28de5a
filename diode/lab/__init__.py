"""Trying and measuring: plan, calibrate, demo, benchmarks.

- ``bench``: ``diode bench``: the operator's own measurement: kernel limit, stages alone, and whole transfers
  by the real daemons
- ``calibrate``: ``diode calibrate``: padding at rising rates, and the end that counts it
- ``demo``: ``diode demo``: both daemons and the emulated diode as real processes, real files, real losses,
  and a comparison
- ``kernel_limit``: the kernel limit of this machine: the sockets and trains of a transfer, with no work on
  either side
- ``plan``: ``diode plan``: loss models, time and overhead; pure
- ``stages``: each stage of a transfer alone, in one thread, as bytes of user data a second: where the time
  goes
- ``transfer``: one bundle through both daemons, timed, weighed and compared
"""
