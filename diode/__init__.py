"""The link: what both sides of the diode must agree on.

::

    staging                                                                                    enclave
    files -> manifest -> encoder -> arena ==> udp  ~~~ one way ~~~>  udp ==> ring -> assembler -> slabs -> files
                          fec  auth  wire                                    wire  auth  fec

The core (``wire``, ``geometry``, ``fec``, ``auth``, ``digest``, ``encoder``, ``assembler``, ``pacing``, ``manifest``)
is sans-IO: it works on whole regions, slabs and arenas as numpy views, and does not know which process runs it, what
time it is, or where files live. ``udp`` is the only room with a socket in it.
"""
