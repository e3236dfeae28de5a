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
from receiver.messages.pipeline import Spilled, Wanted
from receiver.policy.authority import Authority
from receiver.spool.slabs import pack_mask
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

    def put_slab(self: Receiving, number: int, data: memoryview) -> None:
        places.add(np.frombuffer(data, np.uint8).ctypes.data)
        real(self, number, data)

    monkeypatch.setattr(Receiving, "put_slab", put_slab)
    for sequence in (1, 2, 3):
        enclave.take(make_bundle(FILES, signer=signer, sequence=sequence))
    assert 1 == len(places)
