"""Is this host sound, fast and one-way? Checks, their findings, and the proof rerun on site.

- ``check_health``: are clock, disks, keys and permissions sound: what ages, checked
- ``check_one_way``: can anything come back? Each way that a stock host answers, or speaks by itself, on the
  diode's interface
- ``check_speed``: is the host set up for speed? Buffers, packet sizes, offloads, and when the kernel writes
  back
- ``findings``: what a check of a host finds, and the host with the configuration of its daemon that checks
  are given
- ``host``: this host as its checks see it: files of /proc and /sys, answers of commands; nothing is ever
  changed here
- ``nftables``: the rules that let nothing out
- ``report``: ``diode doctor``: runs the checks (can anything come back, is it fast, is it sound) and shows
  what they found
- ``rogue``: who tries to get out
- ``selftest``: the proof rerun on site and its signed evidence
"""
