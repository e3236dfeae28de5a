"""UDP sockets on two paths, batched and portable, and the emulated diode.

- ``emulator``: ``diode link``: rate, loss, bursts, reordering, duplication, corruption; one direction
- ``udp``: the only room with UDP sockets: offload probe, trains out, runs in, two paths
"""
