"""UDP sockets on two paths, batched and portable, and the emulated diode.

- ``address``: where datagrams go to or are awaited: HOST:PORT, as text and as the kernel takes it
- ``batched``: the path by which the kernel takes a whole train, or gives a whole run, in one call
- ``emulator``: ``diode link``: forwards what arrives, damaged as asked, at a rate; in one direction only
- ``impairments``: loss, bursts, reordering, duplication and corruption of a stream; seeded, without sockets
- ``portable``: the path by asyncio-dgram, one datagram at a time, for kernels without the offloads
- ``refusals``: what it means when the kernel refuses a datagram: wait, try otherwise, count it, or stop
- ``sockets``: sockets opened or taken over, closed to what they are not for, and asked what they lost
- ``trains``: how many datagrams the kernel takes in one call, and how a train is cut
- ``udp``: the choice of path, on each end
"""
