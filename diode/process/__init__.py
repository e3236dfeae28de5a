"""Processes of ours and of others: how they are started, confined, watched, and how they talk.

- ``background``: one thread beside the event loop, for work that may wait for a disk
- ``confined``: what binds a child that parses strangers' files
- ``handing``: open files handed to it
- ``judges``: a site's own scanners and hooks: started without our keys, as users of their own
- ``measure``: what a daemon uses: memory, as the proportional set size of its processes, and processor time
- ``memory``: memfds, sealed at their size; the ring, which is read by copying; extents of an arena, shared
  counters
- ``messages``: what workers of both sides say
- ``programs``: how other programs are started: from ``/``, an environment of ours, code from listed folders
- ``proven``: each piece of them held against its digest
- ``restarts``: whether workers that died are started anew
- ``sandbox``: what a worker can never do again: system calls by seccomp, folders by Landlock
- ``shutdown``: whether a daemon ends, and why
- ``supervise``: noticing that one died, ending one that says what it may not
- ``systemd``: sockets that systemd passed, what it is told, its watchdog
- ``vocabulary``: messages between processes: the one codec and its bounds
- ``waiting``: waiting for descriptors, also for those above 1023
- ``workers``: worker processes and their mailboxes
"""
