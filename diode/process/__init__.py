"""Worker processes and other programs: how they are started, confined and watched, and how they exchange messages.

- ``asking``: asks a site's own program: one question, its exit code and its words
- ``background``: one thread beside the event loop, for work that may wait for a disk
- ``child``: runs a piece of work in a forked child that is confined further, and hears what it says
- ``clock``: knows whether the wall clock may be believed, and tells of its jumps
- ``compiled``: decides whether the compiled core is used, and what of it
- ``confined``: binds a child process that parses strangers' files: memory, time, files, processes
- ``event_hooks``: tells programs of the site what happens, beside the work
- ``handing``: hands open files, with a message, to a process that may not open files
- ``judges``: starts a site's own scanners and hooks without our keys, as users of their own
- ``measure``: measures what a daemon uses: memory and processor time
- ``memory``: memory that processes share: sealed memfds, the ring of received datagrams, counters
- ``messages``: messages that workers of either side send to their supervisor
- ``nursery``: forks children from a process that has loaded everything ahead
- ``peer``: who is at the other end of a local socket
- ``programs``: the command and environment by which programs are started safely
- ``proven``: reads a file piece by piece, and compares each piece with its digest
- ``restarts``: decides whether workers that died are started anew
- ``sandbox``: takes system calls (seccomp) and folders (Landlock) away from a process for good
- ``shutdown``: keeps whether a daemon ends, and why
- ``supervise``: watches a worker group: messages, log lines, deaths, forbidden messages
- ``systemd``: takes sockets from systemd, and reports readiness and health to it
- ``tending``: keeps a background task going: what it raises is logged, and it is started again
- ``turns``: lets threads work by priority: a less urgent one stops at its next step
- ``vocabulary``: the codec of messages between processes, and the bounds of their fields
- ``waiting``: waits for file descriptors, including those above 1023
- ``warden``: keeps one program, and ends whatever it has started
- ``workers``: starts worker processes, and passes messages to and from them
"""
