"""Slabs and masks of symbols as messages between ``assemble`` and ``store`` have them, and what may be claimed of them.

``assemble`` is nearer to strangers than ``store``: what it says of a slab is held against the arena, and against what
was signed, before anything is done with it.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from diode.errors import MessageError
from diode.formats.names import MAX_MANIFEST_BYTES
from diode.protocol.geometry import Slab
from diode.protocol.handed_over import SlabKey
from diode.protocol.sizes import MAX_COLUMNS, MAX_ROWS, MAX_SYMBOL_BYTES, Kind, ObjectType
from receiver.messages.pipeline import Begun, Complete, Grown, Known, Loaded, Redo, Spilled, Wanted

Mask = NDArray[np.bool_]
OfSlab = Begun | Grown | Complete | Spilled | Wanted | Loaded | Redo

PARKED: Final = {
    "spilled": (Kind.DATA, 0),
    "spilled_files": (Kind.OBJECT, int(ObjectType.FILES)),
    "spilled_slabs": (Kind.OBJECT, int(ObjectType.SLABS)),
}
MAX_MANIFEST_SLAB: Final = MAX_MANIFEST_BYTES + MAX_COLUMNS * MAX_SYMBOL_BYTES  # padded to whole rows


def key_of(message: OfSlab) -> SlabKey:
    """The slab that a message is about."""
    return SlabKey(message.bundle, Kind(message.kind), message.flags, message.number)


def pack_mask(mask: Mask) -> bytes:
    """Eight to a byte."""
    return np.packbits(mask).tobytes()


def unpack_mask(packed: bytes, symbols: int) -> Mask:
    """A mask of so many symbols from a bit each; what has no bit is not there."""
    bits = np.unpackbits(np.frombuffer(packed, np.uint8)).astype(np.bool_)
    mask = np.zeros(symbols, dtype=np.bool_)
    mask[: min(symbols, len(bits))] = bits[:symbols]
    return mask


def spilled_masks(keys: Iterable[SlabKey]) -> dict[str, bytes]:
    """Spilled slabs of one bundle as the fields of :class:`Known`."""
    numbers: dict[tuple[Kind, int], list[int]] = {part: [] for part in PARKED.values()}
    for key in keys:
        numbers[key.kind, key.flags].append(key.number)
    return {name: pack_mask(_with(numbers[part])) for name, part in PARKED.items()}


def spilled_keys(known: Known) -> list[SlabKey]:
    """The slabs that :func:`spilled_masks` was given, read back from its masks."""
    return [
        SlabKey(known.bundle, kind, flags, int(number))
        for name, (kind, flags) in PARKED.items()
        for number in numbers_of(getattr(known, name))
    ]


def numbers_of(packed: bytes) -> NDArray[np.intp]:
    """The positions of the bits that are set in a mask."""
    return np.flatnonzero(unpack_mask(packed, 8 * len(packed)))


def _with(numbers: list[int]) -> Mask:
    mask = np.zeros(max(numbers, default=-1) + 1, dtype=np.bool_)
    mask[numbers] = True
    return mask


def check_claim(message: OfSlab, signed: Slab | None, arena_bytes: int) -> None:
    """Raise MessageError unless what ``message`` claims of a slab can be true.

    ``signed`` is the slab's shape by its verified manifest; None while there is no such manifest.
    """
    kind = type(message).__name__
    if is_manifest(message):
        if not isinstance(message, Complete) or message.number or message.length > MAX_MANIFEST_SLAB:
            raise MessageError(kind, "a manifest is one slab, of no great length, and never spilled")
    elif (message.kind, message.flags) not in PARKED.values():
        raise MessageError(kind, "no bundle has such a part")
    elif isinstance(message, Grown) and message.kind != Kind.DATA:
        raise MessageError(kind, "only slabs of data are copied while they arrive")
    elif signed is not None:
        _check_signed(message, signed)
    if isinstance(message, Complete | Grown):
        _check_place(message, message.length, arena_bytes)
    elif isinstance(message, Spilled | Wanted):
        _check_place(message, message.symbols * message.symbol_bytes, arena_bytes)
    if isinstance(message, Spilled) and len(message.have) != -(-message.symbols // 8):
        raise MessageError("Spilled", "its mask has not a bit for each symbol")


def is_manifest(message: OfSlab) -> bool:
    """Whether a message is about a manifest. Of a manifest no signed shape is known."""
    return message.kind == Kind.OBJECT and message.flags == ObjectType.MANIFEST


def _check_signed(message: OfSlab, signed: Slab) -> None:
    shape = signed.shape
    if isinstance(message, Complete) and message.length != signed.length:
        raise MessageError("Complete", f"slab {message.number} has {signed.length} bytes, not {message.length}")
    if isinstance(message, Grown) and message.length > signed.length:
        raise MessageError("Grown", f"slab {message.number} has {signed.length} bytes, not {message.length}")
    if isinstance(message, Spilled | Wanted):
        kind = type(message).__name__
        if message.symbol_bytes != shape.symbol_bytes:
            raise MessageError(kind, f"symbols have {shape.symbol_bytes} bytes, not {message.symbol_bytes}")
        if not shape.k * shape.columns <= message.symbols <= MAX_ROWS * shape.columns:
            raise MessageError(kind, f"slab {message.number} has not {message.symbols} symbols")


def _check_place(message: Complete | Grown | Spilled | Wanted, length: int, arena_bytes: int) -> None:
    """Slices never fail in Python: a stretch that lies outside of the arena would silently be a shorter one."""
    if not 0 <= message.offset <= message.offset + length <= arena_bytes:
        raise MessageError(type(message).__name__, "it lies outside of the arena")
