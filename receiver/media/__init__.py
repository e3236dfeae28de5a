"""Physical media: bundles are read from a stick or a disk, each slab is judged, and handed to the daemon's ``store``.

- ``bringing``: one bundle while it is brought: read once, judged slab by slab, handed over
- ``handing``: hands slabs to ``store`` by a folder, a few at a time, and waits until they are taken
- ``importing``: the way of one bundle from a medium into the daemon, and what is said when part of it is missing
- ``medium``: what lies on a medium, opened by name and held to the signed manifest
- ``room``: whether the disk has room for a bundle, before anything of it is begun
- ``trusted``: whom this receiver believes, as its ledger and its folder of keys say
"""
