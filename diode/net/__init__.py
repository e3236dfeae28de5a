"""UDP sockets, two ways to use them (batched and portable), and the emulated diode.

- ``address``: parses and resolves HOST:PORT
- ``batched``: the fast path: the kernel takes or gives many datagrams in one call
- ``emulator``: ``diode link``: forwards datagrams in one direction, damaged as asked
- ``impairments``: damages a stream of datagrams: loss, bursts, reordering, duplication, corruption
- ``portable``: the slow path: one datagram at a time, for kernels without the offloads
- ``refusals``: tells what to do when the kernel refuses a datagram: wait, try otherwise, count it, or stop
- ``sockets``: opens sockets for one direction only, and asks what they lost
- ``trains``: how many datagrams the kernel takes in one call, and how a train is cut into them
- ``udp``: chooses between the two paths, at each end
"""
