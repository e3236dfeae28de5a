"""What a taken-over ``assemble`` says to ``store``, and ``listen`` to ``assemble``: nothing of it is believed."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from securesystemslib.signer import CryptoSigner

from diode.errors import MessageError
from diode.process.memory import Ring, create_memfd
from diode.protocol.geometry import Geometry, slab_at
from diode.protocol.sizes import MAX_COLUMNS, MAX_ROWS, Kind, ObjectType
from receiver.messages.pipeline import ASSEMBLE_TO_STORE, Begun, Complete, Free, Grown, Loaded, Spilled, Wanted
from receiver.spool.slabs import check_claim, pack_mask
from tests.enclave import ARENA_BYTES, Enclave
from tests.link import make_bundle
from tests.vocabularies import any_message

ALICE = CryptoSigner.generate_ed25519()
BUNDLE = make_bundle({"a": b"x" * 3000}, signer=ALICE)  # one slab of three symbols
S, SYMBOLS = 1408, 3
OBJECT, DATA = int(Kind.OBJECT), int(Kind.DATA)
HAVE = pack_mask(SYMBOLS * [True])  # type: ignore[arg-type]


def about(kind: type, part: int = DATA, flags: int = 0, number: int = 0, **fields: Any) -> Any:
    """A message about a slab of the bundle: true, unless ``fields`` say otherwise."""
    true: dict[type, dict[str, Any]] = {
        Begun: {},
        Grown: {"offset": 0, "length": 2816},
        Complete: {"offset": 0, "length": 3000},
        Spilled: {"offset": 0, "symbol_bytes": S, "symbols": SYMBOLS, "have": HAVE},
        Wanted: {"offset": 0, "symbol_bytes": S, "symbols": SYMBOLS},
    }
    return kind(BUNDLE.number, part, flags, number, **(true[kind] | fields))


LIES = {
    "beyond the arena": about(Complete, offset=ARENA_BYTES - 2999),
    "far beyond the arena": about(Complete, offset=1 << 40),
    "longer than signed": about(Complete, length=3001),
    "shorter than signed": about(Complete, length=2999),
    "nothing": about(Complete, length=0),
    "a slab too many": about(Complete, number=1),
    "the last slab there could be": about(Begun, number=(1 << 26) - 1),
    "a part that is none": about(Complete, flags=1),
    "a part that is none, parked": about(Spilled, flags=2),
    "a table's slab too many": about(Complete, OBJECT, int(ObjectType.SLABS), 1, length=32),
    "a table longer than signed": about(Complete, OBJECT, int(ObjectType.SLABS), 0, length=ARENA_BYTES),
    "a second slab of a manifest": about(Complete, OBJECT, 0, 7, length=S),
    "a huge manifest": about(Complete, OBJECT, 0, 0, length=ARENA_BYTES),
    "a manifest that is parked": about(Spilled, OBJECT, 0, 0),
    "other symbols than signed": about(Spilled, symbol_bytes=S + 64),
    "fewer symbols than signed": about(Spilled, symbols=2, have=HAVE),
    "more symbols than there can be": about(Spilled, symbols=SYMBOLS * MAX_ROWS + 1, have=bytes(97)),
    "a mask too short": about(Spilled, symbols=SYMBOLS * MAX_ROWS, have=HAVE),
    "a mask too long": about(Spilled, have=bytes(2)),
    "parked beyond the arena": about(Spilled, offset=ARENA_BYTES - S),
    "a beginning beyond the arena": about(Grown, offset=ARENA_BYTES - 2815),
    "a beginning longer than signed": about(Grown, length=3001),
    "a beginning of a slab too many": about(Grown, number=1),
    "a beginning of a table": about(Grown, OBJECT, int(ObjectType.SLABS), 0, length=32),
    "a beginning of a manifest": about(Grown, OBJECT, 0, 0),
    "wanted beyond the arena": about(Wanted, offset=ARENA_BYTES - S),
    "wanted by another size": about(Wanted, symbol_bytes=S - 64),
}


@pytest.fixture
def enclave(tmp_path: Path) -> Enclave:
    """It has the manifest of the bundle."""
    made = Enclave(tmp_path, {"alice.pub": ALICE})
    made.take_manifest(BUNDLE, BUNDLE.number)
    return made


def tell(enclave: Enclave, message: object) -> None:
    """Say it as it goes through the pipe."""
    enclave._slabs.incoming.append(ASSEMBLE_TO_STORE.decode(ASSEMBLE_TO_STORE.encode(message)))
    enclave._now += 0.01
    enclave.store.step(enclave._now)


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_what_cannot_be_true_is_refused(enclave: Enclave, lie: Any) -> None:
    """Before anything is read, written or recorded; a new store then takes the bundle as if nothing had been."""
    spool = enclave.config.inbox.path / ".diode" / "spool"
    before = {path: path.read_bytes() for path in spool.rglob("*") if path.is_file()}
    with pytest.raises(MessageError):
        tell(enclave, lie)
    assert before == {path: path.read_bytes() for path in spool.rglob("*") if path.is_file()}
    ledger = enclave.store.records.ledger
    assert ([], []) == (ledger.slabs.spilled(BUNDLE_ID), ledger.slabs.take_begun(BUNDLE_ID))
    enclave.restart()
    enclave.take(BUNDLE)
    assert enclave.published(BUNDLE)


BUNDLE_ID = f"{BUNDLE.number:016x}"


@pytest.mark.parametrize("message", [about(Complete), about(Spilled), about(Wanted), about(Begun), about(Grown)])
def test_what_is_true_is_taken(enclave: Enclave, message: Any) -> None:
    """And what takes memory is given back."""
    enclave._slabs.sent.clear()
    tell(enclave, message)
    answers = [m for m in enclave._slabs.sent if isinstance(m, Free | Loaded)]
    assert (0 if isinstance(message, Begun | Grown) else 1) == len(answers)


def test_of_a_bundle_that_is_not_known_nothing_is_kept(enclave: Enclave) -> None:
    """It is answered, within the arena, and forgotten."""
    enclave._slabs.sent.clear()
    for message in (
        about(Grown),
        about(Complete, length=5),
        about(Spilled, symbols=9, have=bytes(2)),
        about(Wanted, symbols=9),
    ):
        tell(enclave, type(message)(1, *[getattr(message, f) for f in list(message.__dataclass_fields__)[1:]]))
    assert 3 == len([m for m in enclave._slabs.sent if isinstance(m, Free | Loaded)])
    with pytest.raises(MessageError):
        tell(enclave, Complete(1, DATA, 0, 0, offset=ARENA_BYTES, length=1))


def test_store_takes_no_more_messages_than_it_handles(enclave: Enclave) -> None:
    """What a taken-over assemble says without waiting stays in the pipe, which is bounded."""
    enclave._slabs.incoming.extend([about(Begun)] * 5000)
    enclave.store.step(enclave._now)
    assert len(enclave.store.queue) <= 256


SIGNED = slab_at(Geometry(448, 64, 4, 2), 300_000, 1)


@given(any_message(ASSEMBLE_TO_STORE), st.sampled_from([None, SIGNED]), st.integers(0, 1 << 26))
@settings(max_examples=200)
def test_what_passes_lies_in_the_arena(message: Any, signed: Any, arena: int) -> None:
    """Any message of the vocabulary is refused, or its stretch of the arena is whole, and has the signed length."""
    try:
        check_claim(message, signed, arena)
    except MessageError:
        return
    match message:
        case Complete():
            assert message.offset + message.length <= arena
        case Spilled() | Wanted():
            length = message.symbols * message.symbol_bytes
            assert message.offset + length <= arena
            assert length <= MAX_ROWS * MAX_COLUMNS * 8896


# listen and assemble


@pytest.fixture
def ring() -> Ring:
    """Two regions of a page."""
    return Ring(create_memfd("ring", 2 * (4096 + 4 * 8)), 2, 4096)


@pytest.mark.parametrize("records", [b"\0", b"\0" * 7, Ring.READY.pack(2, 1), Ring.READY.pack(0, 9), b"\xff" * 8])
def test_a_region_that_there_is_not(ring: Ring, records: bytes) -> None:
    """Half a record, a region too many, more runs than fit."""
    with pytest.raises(MessageError):
        ring.ready(records)


def test_runs_that_are_longer_than_their_region(ring: Ring) -> None:
    """Their lengths are read once, and their sum is within the region."""
    into = memoryview(bytearray(4096))
    ring.lengths[1][0], ring.lengths[1][1] = 4000, 96
    assert [4000, 96] == ring.take(1, 2, into)
    ring.lengths[1][1] = 97
    with pytest.raises(MessageError):
        ring.take(1, 2, into)
    ring.lengths[1][0] = (1 << 32) - 1
    with pytest.raises(MessageError):
        ring.take(1, 1, into)


@pytest.mark.parametrize("records", [b"\0", Ring.FREE.pack(2), Ring.FREE.pack(1), Ring.FREE.pack(0) * 2])
def test_a_region_that_cannot_come_back(ring: Ring, records: bytes) -> None:
    """Half a record, a region too many, one that is free, one that comes twice."""
    assert [0] == ring.freed(Ring.FREE.pack(0), [0])
    with pytest.raises(MessageError):
        ring.freed(records, [0])
