"""Everything that both sides of the diode share, and the ``diode`` command. Each folder is one subject.

::

    staging                                                                                    enclave
    files -> manifest -> encoder -> arena ==> udp  ~~~ one way ~~~>  udp ==> ring -> assembler -> slabs -> files
                          fec  auth  wire                                    wire  auth  fec

``protocol`` turns bytes into datagrams and back. It has no sockets, no files and no clock (sans-IO): callers pass numpy
views of memory, and the time, as arguments. Only ``net`` sends and receives datagrams. docs/architecture.md describes
every folder, and which folders each may import.
"""
