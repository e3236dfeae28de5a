"""Parked slabs: the symbols so far of slabs that could not be completed, each slab in a file beside the tree.

Of such a file nothing is verified but the tag of every datagram: its bytes go to the tree only with their slab, when
that is complete and has its signed digest. Which symbols a file holds is said by the ledger.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from diode.assembler import SlabKey
from diode.wire import Kind
from receiver.disk import write_all
from receiver.ledger import Ledger
from receiver.slabs import Mask, unpack_mask

FOLDER: Final = "parked"


class ParkedSlabs:
    """The parked slabs of one bundle whose spool folder is ``folder``."""

    def __init__(self, folder: Path, bundle: int, ledger: Ledger) -> None:
        self._folder = folder / FOLDER
        self._bundle = bundle
        self._ledger = ledger

    @property
    def _id(self) -> str:
        return f"{self._bundle:016x}"

    def __iter__(self) -> Iterator[SlabKey]:
        """All that is parked now."""
        return iter([SlabKey(self._bundle, Kind(kind), *rest) for kind, *rest in self._ledger.parked(self._id)])

    def keep(self, key: SlabKey, data: memoryview, symbol_bytes: int, have: Mask) -> None:
        """Write the symbols of ``have`` (``data`` holds them one after another) that are not there yet."""
        old = self._mask(key, len(have))
        self._folder.mkdir(exist_ok=True)
        fd = os.open(self._path(key), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            for first, last in stretches(have & ~old):
                write_all(fd, data[first * symbol_bytes : last * symbol_bytes], first * symbol_bytes)
        finally:
            os.close(fd)
        self._ledger.park(self._id, *key[1:], np.packbits(have | old).tobytes())

    def load(self, key: SlabKey, into: memoryview, symbol_bytes: int, symbols: int) -> Mask:
        """Put the symbols that are there to their places in ``into``; returns which. They stay parked."""
        have = self._mask(key, symbols)
        try:
            with self._path(key).open("rb", buffering=0) as file:
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
        with self._path(key).open("rb", buffering=0) as file:
            return os.pread(file.fileno(), length, 0)

    def drop(self, key: SlabKey) -> None:
        """The slab is stored, or its symbols are not what was signed."""
        if self._ledger.unpark(self._id, *key[1:]):
            self._path(key).unlink(missing_ok=True)

    def _mask(self, key: SlabKey, symbols: int) -> Mask:
        packed = self._ledger.parked_mask(self._id, *key[1:])
        return unpack_mask(packed, symbols) if packed else np.zeros(symbols, dtype=np.bool_)

    def _path(self, key: SlabKey) -> Path:
        return self._folder / f"{key.kind}-{key.flags}-{key.number}"


def stretches(mask: Mask) -> list[tuple[int, int]]:
    """(first, last + 1) of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]
