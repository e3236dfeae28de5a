"""How a command speaks with the running daemon of its side: lines of JSON over a Unix socket (docs/control.md).

The socket lies in the state folder, and belongs to the daemon's user alone. It is a way between processes of one host
and one side. Nothing of the link passes through it.

- ``ask``: the command's end
- ``door``: the daemon's end
- ``flow``: how fast a bundle moves now
- ``lines``: what a line may be
"""
