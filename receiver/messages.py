"""How ``assemble`` and ``store`` name slabs, and masks of their symbols, in messages to each other."""

import base64

import numpy as np
from numpy.typing import NDArray

from diode.assembler import SlabKey
from diode.wire import Kind
from diode.workers import Message

Mask = NDArray[np.bool_]


def key_fields(key: SlabKey) -> Message:
    """A slab's name as fields of a message."""
    return {"bundle": key.bundle, "kind": key.kind, "flags": key.flags, "slab": key.number}


def key_of(message: Message) -> SlabKey:
    """The slab that :func:`key_fields` named."""
    return SlabKey(message["bundle"], Kind(message["kind"]), message["flags"], message["slab"])


def mask_fields(mask: Mask) -> Message:
    """A mask as fields of a message: eight symbols a byte, as text."""
    return {"have": base64.b64encode(np.packbits(mask).tobytes()).decode(), "symbols": len(mask)}


def mask_of(message: Message) -> Mask:
    """The mask that :func:`mask_fields` wrote."""
    return unpack_mask(base64.b64decode(message["have"]), message["symbols"])


def unpack_mask(packed: bytes, symbols: int) -> Mask:
    """A mask of so many symbols from a bit each; what has no bit is not there."""
    bits = np.unpackbits(np.frombuffer(packed, np.uint8)).astype(np.bool_)
    mask = np.zeros(symbols, dtype=np.bool_)
    mask[: min(symbols, len(bits))] = bits[:symbols]
    return mask
