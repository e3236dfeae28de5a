"""Everything that both sides of the diode share, and the ``diode`` command. Each folder is one subject.

::

    staging                                                                                     enclave
    files -> bundle -> protocol -> arena ==> net  ~~~ one way ~~~>  net ==> ring -> protocol -> bundle -> files
            manifest   encoder              udp                     udp             assembler   manifest
                       fec auth wire                                                wire auth fec

Names above are rooms (folders) of this package; below each stand files of it. The core, the rooms ``formats``,
``protocol`` and ``bundle``, is sans-IO: it works on bytes in memory, and does not know which process runs it, what time
it is, or where files lie. ``net`` is the room with UDP sockets. docs/architecture.md draws all rooms, and which may
import which.
"""
