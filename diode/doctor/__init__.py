"""Checks whether a host is sound, fast and one-way, and a self-test that proves on site that it is one-way.

- ``check_arrival``: checks what keeps datagrams from arriving, as far as one side can see it
- ``check_engines``: checks what computes repair and tags, and measures it
- ``check_health``: checks clock, disks, keys and permissions, which get worse with time
- ``check_one_way``: checks each way in which a host could answer, or send by itself, on the diode's interface
- ``check_speed``: checks buffers, packet sizes, offloads, and when the kernel writes back to the disk
- ``findings``: the types of a check's input (a site) and result (findings)
- ``host``: read-only access to the host: files of /proc and /sys, and the output of commands
- ``nftables``: writes and verifies the kernel rules that make an interface one-way
- ``report``: ``diode doctor``: runs all checks and shows their findings
- ``rogue``: a program that tries to send in every way that Linux has
- ``selftest``: ``diode doctor --selftest``: runs the rogue against the rules, and signs the evidence
"""
