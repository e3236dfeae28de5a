"""What one worker says to another, or to its supervisor, after it was taken over.

Input: which pipe, then a line. The claims of ``assemble`` on a slab are then held against an arena and a signed shape,
and lines that name the ring are its records.
"""

from contextlib import suppress
from typing import Any, Final

from diode.errors import MessageError
from diode.process.memory import Ring, create_memfd
from diode.process.messages import Fatal, PathChosen
from diode.protocol.geometry import Geometry, slab_at
from receiver.messages import pipeline as receiver
from receiver.spool.slabs import check_claim, key_of, unpack_mask
from sender import messages as sender
from tests.fuzz.reading import Input

PIPES: Final = (
    *(receiver.LISTEN_SAYS, receiver.ASSEMBLE_SAYS, receiver.STORE_SAYS, receiver.ASSEMBLE_TO_STORE),
    *(receiver.STORE_TO_ASSEMBLE, sender.ENCODE_SAYS, sender.TRANSMIT_SAYS, sender.ENCODE_HEARS),
    *(sender.ENCODE_TO_TRANSMIT, sender.TRANSMIT_TO_ENCODE),
)
RING: Final = len(PIPES)
ARENA: Final = memoryview(bytes(1 << 20))
SIGNED: Final = slab_at(Geometry(448, 64, 4, 2), 300_000, 1)
REGION_BYTES: Final = 4096


def one_input(data: bytes) -> None:
    """A line is a message, written the same way again, or one refusal; what is claimed of a slab lies in the arena."""
    given = Input(data)
    pipe = given.number(1) % (RING + 1)
    with suppress(MessageError):
        if pipe == RING:
            _read_ring(given)
            return
        line = given.rest()
        message = PIPES[pipe].decode(line)
        assert line == PIPES[pipe].encode(message)
        if PIPES[pipe] is receiver.ASSEMBLE_TO_STORE:
            _claim(message)


def _claim(message: Any) -> None:
    for signed in (None, SIGNED):
        with suppress(MessageError):
            check_claim(message, signed, len(ARENA))
            key_of(message)
            _use(message)


def _use(message: Any) -> None:
    match message:
        case receiver.Complete():
            assert message.length == len(ARENA[message.offset : message.offset + message.length])
        case receiver.Spilled() | receiver.Wanted():
            length = message.symbols * message.symbol_bytes
            assert length == len(ARENA[message.offset : message.offset + length])
    if isinstance(message, receiver.Spilled):
        assert message.symbols == len(unpack_mask(message.have, message.symbols))


_ring: list[Ring] = []
_copy = memoryview(bytearray(REGION_BYTES))


def _read_ring(given: Input) -> None:
    """Lengths of runs, then records of the pipe."""
    if not _ring:
        _ring.append(Ring(create_memfd("ring", 2 * (REGION_BYTES + 4 * (REGION_BYTES // 512))), 2, REGION_BYTES))
    ring = _ring[0]
    for cell in range(ring.max_runs):
        ring.lengths[0][cell] = given.number(4)
    records = given.rest()
    for region, runs in ring.ready(records):
        lengths = ring.take(region, runs, _copy)
        assert sum(lengths) <= REGION_BYTES
        assert len(lengths) == runs


def seeds() -> dict[str, bytes]:
    """A message or two of each pipe, and what was tried: another pipe's, climbing, deep, long."""
    slab = (7, 1, 0, 1)
    beat = '{"epoch":1,"number":2,"clock":3,"sessions":{},"channels":{},"bundles":[],"audit":null}'
    said = [
        (0, PathChosen("batched")),
        (1, receiver.Heard(beat, ((1, 2, 3),), "0" * 64, 0)),
        (1, receiver.OldKey("00ff", "0" * 16)),
        (2, receiver.Held("0" * 16, 2)),
        (2, receiver.BundleRefused("0" * 16, "policy")),
        (2, receiver.SymbolsLost("0" * 16, (1, 2))),
        (2, Fatal("no disk", 1)),
        (3, receiver.Complete(*slab, offset=4096, length=185312)),
        (3, receiver.Spilled(*slab, offset=0, symbol_bytes=448, symbols=256, have=bytes(32))),
        (3, receiver.Wanted(*slab, offset=0, symbol_bytes=448, symbols=256)),
        (4, receiver.Known(7, (448, 64, 4, 2), 1, 2, 3, b"\x80", b"", b"", b"")),
        (5, sender.SessionBegun("0" * 16, 7)),
        (6, sender.Sent(1)),
        (7, sender.BundleBegun(7, 300_000, 896, 90, 352, 1)),
        (7, sender.BundleEnded(7)),
        (7, sender.SendSlab(1, 7, 1, 0, 3, 0)),
        (8, sender.SendSlot(1, 0, ((0, 3), (64, 9)))),
        (9, sender.SlotSent(1)),
    ]
    made = {f"{pipe}_{type(one).__name__}": bytes([pipe]) + PIPES[pipe].encode(one) for pipe, one in said}
    held = PIPES[2].encode(receiver.Held("0" * 16, 2))
    complete = PIPES[3].encode(receiver.Complete(*slab, offset=4096, length=185312))
    ready = b"".join(n.to_bytes(4, "big") for n in (1000, 96, 0, 0, 0, 0, 0, 0)) + Ring.READY.pack(0, 2)
    return made | {
        "another_pipes": b"\0" + held,
        "climbing": b"\2" + held.replace(b"0" * 16, b"../../../../../x"),
        "beyond": b"\3" + complete.replace(b"4096", b"1048575"),
        "negative": b"\3" + complete.replace(b"4096", b"-4096"),
        "float": b"\3" + complete.replace(b"4096", b"4096.0"),
        "true": b"\3" + complete.replace(b":1,", b":true,"),
        "not_a_number": b"\3" + complete.replace(b"4096", b"NaN"),
        "twice": b"\3" + complete.replace(b'"offset"', b'"offset":0,"offset"'),
        "deep": b"\2" + b"[" * 2000,
        "long_number": b"\3" + complete.replace(b"4096", b"9" * 5000),
        "dict": b'\0{"event": "held", "path": "/clean"}',
        "ring": bytes([RING]) + ready,
        "ring_half": bytes([RING]) + ready[:-3],
        "ring_beyond": bytes([RING]) + b"\xff" * 32 + Ring.READY.pack(1, 8),
    }
