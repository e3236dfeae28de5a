"""Spilled slabs: the symbols so far of slabs that could not be completed, each slab in a file beside the tree.

Of such a file nothing is verified but the tag of every datagram: its bytes go to the tree only with their slab, when
that is complete and has its signed digest. Which symbols a file holds is said by the ledger.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO, Final

import numpy as np

from diode.bundle.ref import BundleRef
from diode.protocol.handed_over import SlabKey
from diode.protocol.sizes import Kind
from diode.storage.folder import Folder
from receiver.ledger.ledgers import StoreLedger
from receiver.spool.disk import write_all
from receiver.spool.slabs import Mask, unpack_mask

FOLDER: Final = "parked"


class SpilledSlabs:
    """The spilled slabs of one bundle in ``spool``."""

    def __init__(self, spool: Folder, ref: BundleRef, ledger: StoreLedger) -> None:
        self._spool = spool
        self._ref = ref
        self._ledger = ledger

    @property
    def _id(self) -> str:
        return self._ref.hex_id

    def __iter__(self) -> Iterator[SlabKey]:
        """All that is spilled now."""
        return iter(
            [SlabKey(self._ref.number, Kind(kind), *rest) for kind, *rest in self._ledger.slabs.spilled(self._id)]
        )

    def keep(self, key: SlabKey, data: memoryview, symbol_bytes: int, have: Mask) -> None:
        """Write the symbols of ``have`` (``data`` holds them one after another), also over those that are there.

        A later pass may have brought others in their place, and its word is the newer one.
        """
        old = self._mask(key, len(have))
        with self._spool.folder(self._id) as home:
            home.folder(FOLDER, create=True, mode=0o777).close()
        fd = self._spool.beneath(self._path(key), os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            for first, last in stretches(have):
                write_all(fd, data[first * symbol_bytes : last * symbol_bytes], first * symbol_bytes)
        finally:
            os.close(fd)
        self._ledger.slabs.spill(self._id, *key[1:], np.packbits(have | old).tobytes())

    def load(self, key: SlabKey, into: memoryview, symbol_bytes: int, symbols: int) -> Mask:
        """Put the symbols that are there to their places in ``into``; returns which. They stay spilled."""
        have = self._mask(key, symbols)
        try:
            with self._open(key) as file:
                for first, last in stretches(have):
                    place = into[first * symbol_bytes : last * symbol_bytes]
                    if os.preadv(file.fileno(), [place], first * symbol_bytes) != len(place):
                        return np.zeros(symbols, dtype=np.bool_)
        except FileNotFoundError:
            return np.zeros(symbols, dtype=np.bool_)
        return have

    def is_whole(self, key: SlabKey, source_symbols: int) -> bool:
        """Whether every source symbol is there."""
        return bool(self._mask(key, source_symbols).all())

    def read(self, key: SlabKey, length: int) -> bytes:
        """The bytes of a slab whose source symbols are all there."""
        with self._open(key) as file:
            return os.pread(file.fileno(), length, 0)

    def drop(self, key: SlabKey) -> None:
        """The slab is stored, or its symbols are not what was signed."""
        if self._ledger.slabs.forget_spilled(self._id, *key[1:]):
            with suppress(FileNotFoundError), self._spool.folders(f"{self._id}/{FOLDER}") as folder:
                folder.remove(_name(key))

    def _mask(self, key: SlabKey, symbols: int) -> Mask:
        packed = self._ledger.slabs.spilled_mask(self._id, *key[1:])
        return unpack_mask(packed, symbols) if packed else np.zeros(symbols, dtype=np.bool_)

    def _open(self, key: SlabKey) -> BinaryIO:
        return os.fdopen(self._spool.beneath(self._path(key), os.O_RDONLY), "rb", buffering=0)

    def _path(self, key: SlabKey) -> str:
        return f"{self._id}/{FOLDER}/{_name(key)}"


def _name(key: SlabKey) -> str:
    return f"{key.kind}-{key.flags}-{key.number}"


def stretches(mask: Mask) -> list[tuple[int, int]]:
    """(first, last + 1) of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]
