"""The compiled twins of the link's hot loops: Rust behind a C interface, in ``src/``.

- ``build``: compiles the library with bare rustc
- ``build_hook``: puts it into wheels and editable installations
- ``coding``: the repair code by the library
- ``library``: loads it, if it speaks this version's interface
- ``sealing``: seals and judges matrices of datagrams
- ``taking``: checks the tags of received datagrams, and puts symbols to their places
"""
