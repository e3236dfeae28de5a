"""The compiled twins of the link's hot loops: Rust behind a C interface, in ``src/``.

- ``build``: compiles the library with bare rustc
- ``coding``: the repair code by the library
- ``library``: loads it, if it speaks this version's interface
"""
