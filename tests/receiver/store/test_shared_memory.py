"""An ``assemble`` that was taken over writes the arena at the worst instant: what is published is what was signed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from securesystemslib.signer import CryptoSigner

import receiver.spool.spilled
import receiver.spool.tree
import receiver.store.judge
import receiver.store.worker
from diode.protocol.geometry import object_geometry, slab_at
from diode.protocol.handed_over import SlabKey
from diode.protocol.sizes import Kind, ObjectType
from receiver.messages.pipeline import Begun, Complete, Grown, Redo, Spilled, Wanted
from receiver.policy.authority import Authority
from receiver.spool.slabs import pack_mask
from receiver.store.arena import SMALL_BYTES, STRIP_BYTES, Arena
from receiver.store.receiving import Receiving
from tests.enclave import ARENA_BYTES, Enclave
from tests.link import Bundle, make_bundle

FILES = {"a": b"x" * 5000, "b/c": b"y" * 700, "d": bytes(range(256)) * 40}


@pytest.fixture
def signer() -> CryptoSigner:
    """Whom the enclave trusts."""
    return CryptoSigner.generate_ed25519()


@pytest.fixture
def enclave(tmp_path: Path, signer: CryptoSigner) -> Enclave:
    """A receiver whose arena somebody else can write."""
    return Enclave(tmp_path / "receiver", {"alice.pub": signer})


def spoil(enclave: Enclave) -> None:
    """What the hostile side does: every byte of what was handed over becomes another."""
    view = np.frombuffer(enclave._arena, np.uint8)[: 1 << 20]
    view ^= 0xFF


def spoil_after(patches: pytest.MonkeyPatch, owner: Any, name: str, enclave: Enclave) -> None:
    """Spoil the arena whenever ``name`` has been called: no race by chance."""
    real = getattr(owner, name)

    def call(*arguments: Any, **options: Any) -> Any:
        result = real(*arguments, **options)
        spoil(enclave)
        return result

    patches.setattr(owner, name, call)


SEAMS = {
    "a slab was hashed": (receiver.store.judge, "digest"),
    "a slab was copied and hashed": (Arena, "maybe_copy_hashed"),
    "a piece of a slab was written": (receiver.spool.tree, "write_reserved"),
    "a slab was written": (Receiving, "put_slab"),
    "a slab of a table was written": (Receiving, "put_table"),
    "a manifest was verified": (Authority, "open"),
    "a message was read": (receiver.store.worker, "key_of"),
    "parked symbols were written": (receiver.spool.spilled, "write_all"),
}


@pytest.mark.parametrize("seam", SEAMS)
def test_what_is_checked_is_what_is_written(
    enclave: Enclave, signer: CryptoSigner, monkeypatch: pytest.MonkeyPatch, seam: str
) -> None:
    """Each instant between reading and writing. What was handed over honestly is published as it was signed."""
    bundle = make_bundle(FILES, signer=signer)
    with monkeypatch.context() as patches:
        spoil_after(patches, *SEAMS[seam], enclave)
        enclave.take(bundle)
    if seam == "a message was read":  # before the copy: then it is not what was signed, and comes again
        assert not enclave.published(bundle)
        enclave.take(bundle)
    assert enclave.published(bundle)
    assert FILES == content(enclave, bundle)


def content(enclave: Enclave, bundle: Bundle) -> dict[str, bytes]:
    """What was published."""
    manifest = bundle.manifest
    data = enclave.config.inbox.path / manifest.channel / manifest.name / manifest.version / "data"
    return {str(path.relative_to(data)): path.read_bytes() for path in data.rglob("*") if path.is_file()}


def hand_over(enclave: Enclave, bundle: Bundle, kind: Kind, flags: int, number: int = 0) -> None:
    """One slab, whole."""
    full = bundle.manifest.shape.geometry if kind == Kind.DATA else object_geometry(1408)
    data = bundle.parts[kind, flags]
    slab = slab_at(full, len(data), number, is_object=kind == Kind.OBJECT)
    enclave._hand_over(SlabKey(bundle.number, kind, flags, number), data[slab.offset :][: slab.length])


def test_a_slab_that_came_before_its_tables(
    enclave: Enclave, signer: CryptoSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits on disk, and is hashed and written from memory that is nobody else's."""
    bundle = make_bundle(FILES, signer=signer)
    for name, (owner, function) in SEAMS.items():
        if name != "a message was read":  # every seam but the first reading
            spoil_after(monkeypatch, owner, function, enclave)
    hand_over(enclave, bundle, Kind.OBJECT, ObjectType.MANIFEST)
    hand_over(enclave, bundle, Kind.DATA, 0)
    assert 1 == len(list(enclave.store.bundles[bundle.number].spilled))
    hand_over(enclave, bundle, Kind.OBJECT, ObjectType.FILES)
    hand_over(enclave, bundle, Kind.OBJECT, ObjectType.SLABS)
    enclave.tick()
    assert FILES == content(enclave, bundle)


def test_parked_symbols_that_come_back(enclave: Enclave, signer: CryptoSigner) -> None:
    """What is loaded into the arena may be changed there: then the slab is not what was signed, and comes again."""
    bundle = make_bundle(FILES, signer=signer)
    hand_over(enclave, bundle, Kind.OBJECT, ObjectType.MANIFEST)
    key = SlabKey(bundle.number, Kind.DATA, 0, 0)
    stream = bundle.parts[Kind.DATA, 0]
    have = np.zeros(-(-len(stream) // 1408), np.bool_)
    have[:3] = True
    enclave._arena[: len(stream)] = stream
    for message in (
        Spilled(*key, offset=0, symbol_bytes=1408, symbols=len(have), have=pack_mask(have)),
        Wanted(*key, offset=0, symbol_bytes=1408, symbols=len(have)),
    ):
        enclave._slabs.incoming.append(message)
        enclave.store.step(0.0)
    spoil(enclave)
    forged = bytes(enclave._arena[: len(stream)])
    hand_over(enclave, bundle, Kind.OBJECT, ObjectType.FILES)
    hand_over(enclave, bundle, Kind.OBJECT, ObjectType.SLABS)
    enclave._hand_over(key, forged)
    enclave.tick()
    assert not enclave.published(bundle)
    assert not list(enclave.store.bundles[bundle.number].spilled)
    hand_over(enclave, bundle, Kind.DATA, 0)
    enclave.tick()
    assert FILES == content(enclave, bundle)


OUTSIDE: dict[str, tuple[int, int]] = {
    "past the end": (ARENA_BYTES - 10, 20),
    "before the beginning": (-5, 5),
    "a negative length": (0, -1),
    "far away": (1 << 62, 1 << 62),
    "everything": (0, ARENA_BYTES + 1),
}


@pytest.mark.parametrize("where", OUTSIDE)
def test_places_outside_the_arena_are_nothing(enclave: Enclave, signer: CryptoSigner, where: str) -> None:
    """A stretch that is not in it is not read, and ends nobody."""
    bundle = make_bundle(FILES, signer=signer)
    hand_over(enclave, bundle, Kind.OBJECT, ObjectType.MANIFEST)
    work: list[object] = []
    note: Callable[..., None] = lambda *arguments: work.append(arguments)
    enclave.store._use(SlabKey(bundle.number, Kind.DATA, 0, 0), *OUTSIDE[where], note)
    assert not work
    enclave.take(bundle)
    assert FILES == content(enclave, bundle)


def test_one_buffer_is_used_for_every_slab(
    enclave: Enclave, signer: CryptoSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is allocated slab by slab."""
    places = set()
    real = Receiving.put_slab

    def put_slab(self: Receiving, number: int, data: memoryview, blake3: bytes) -> None:
        places.add(np.frombuffer(data, np.uint8).ctypes.data)
        real(self, number, data, blake3)

    monkeypatch.setattr(Receiving, "put_slab", put_slab)
    for sequence in (1, 2, 3):
        enclave.take(make_bundle(FILES, signer=signer, sequence=sequence))
    assert 1 == len(places)


LARGE = {"a": np.random.default_rng(7).bytes(5 * STRIP_BYTES + 77)}
AT = 4096  # where the slab lies in the arena


@pytest.fixture
def large(enclave: Enclave, signer: CryptoSigner) -> Bundle:
    """A bundle of one slab that is longer than a strip. The enclave knows its manifest and tables."""
    bundle = make_bundle(LARGE, signer=signer)
    for flags in ObjectType:
        hand_over(enclave, bundle, Kind.OBJECT, flags)
    return bundle


def say(enclave: Enclave, *messages: Any) -> None:
    """As assemble does."""
    for message in messages:
        enclave._slabs.incoming.append(message)
        enclave.store.step(0.0)


def arrive(enclave: Enclave, bundle: Bundle, length: int, begun: int = 0) -> Grown:
    """So many bytes of the slab lie in the arena from now on."""
    stream = bundle.parts[Kind.DATA, 0]
    enclave._arena[AT + begun : AT + length] = stream[begun:length]
    return Grown(bundle.number, Kind.DATA, 0, 0, AT, length)


def complete(enclave: Enclave, bundle: Bundle, begun: int) -> Complete:
    """All of it does."""
    grown = arrive(enclave, bundle, len(bundle.parts[Kind.DATA, 0]), begun)
    return Complete(bundle.number, Kind.DATA, 0, 0, AT, grown.length)


@pytest.mark.parametrize("length", [1, STRIP_BYTES - 1, STRIP_BYTES, 3 * STRIP_BYTES + 5, len(LARGE["a"])])
def test_a_beginning_is_copied_once(enclave: Enclave, large: Bundle, length: int) -> None:
    """What becomes of it in the arena afterwards changes nothing: the copy is hashed, and written."""
    say(enclave, arrive(enclave, large, length // 2), arrive(enclave, large, length, length // 2))
    enclave._arena[AT : AT + length] = bytes(length)
    say(enclave, complete(enclave, large, length))
    enclave.tick()
    assert LARGE == content(enclave, large)


@pytest.mark.parametrize("at", [0, STRIP_BYTES, 3 * STRIP_BYTES])
def test_a_beginning_that_is_not_what_was_signed_comes_again(enclave: Enclave, large: Bundle, at: int) -> None:
    """A wrong byte in any strip. Then the slab begins anew, also at the same place."""
    grown = arrive(enclave, large, 3 * STRIP_BYTES + 5)
    enclave._arena[AT + at] ^= 1
    say(enclave, grown)
    enclave._arena[AT + at] ^= 1
    say(enclave, complete(enclave, large, grown.length))
    enclave.tick()
    assert not enclave.published(large)
    assert 1 == len([message for message in enclave._slabs.sent if isinstance(message, Redo)])
    say(enclave, complete(enclave, large, 0))
    enclave.tick()
    assert LARGE == content(enclave, large)


def test_a_beginning_ends_with_its_slab(enclave: Enclave, large: Bundle) -> None:
    """It began anew, was spilled, or lies elsewhere: what was copied before does not count."""
    key = SlabKey(large.number, Kind.DATA, 0, 0)
    grown = arrive(enclave, large, 2 * STRIP_BYTES)
    enclave._arena[AT] ^= 1
    say(enclave, grown, Begun(*key))
    have = pack_mask(np.zeros(960, np.bool_))
    say(enclave, grown, Spilled(*key, offset=AT, symbol_bytes=1408, symbols=960, have=have))
    say(enclave, grown, Wanted(*key, offset=0, symbol_bytes=1408, symbols=960))
    say(enclave, grown)
    stream = large.parts[Kind.DATA, 0]
    enclave._arena[2 * AT : 2 * AT + len(stream)] = stream
    say(enclave, Grown(*key, 2 * AT, 7), Complete(*key, 2 * AT, len(stream)))
    enclave.tick()
    assert LARGE == content(enclave, large)


@pytest.mark.parametrize("other", [700, SMALL_BYTES + 700])
def test_another_slab_while_one_arrives(enclave: Enclave, large: Bundle, signer: CryptoSigner, other: int) -> None:
    """A short one has memory of its own, a long one takes the room: both are published as they were signed."""
    say(enclave, arrive(enclave, large, 2 * STRIP_BYTES))
    beside = make_bundle({"b": np.random.default_rng(8).bytes(other)}, signer=signer, sequence=2)
    for flags in ObjectType:
        hand_over(enclave, beside, Kind.OBJECT, flags)
    say(enclave, Grown(beside.number, Kind.DATA, 0, 0, 0, 100))  # one arrives already
    hand_over(enclave, beside, Kind.DATA, 0)
    say(enclave, complete(enclave, large, 0))
    enclave.tick()
    assert (True, LARGE) == (enclave.published(beside), content(enclave, large))
