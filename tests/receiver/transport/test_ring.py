"""A ``listen`` that was taken over writes the ring while ``assemble`` works on it: only what was read once counts."""

import fcntl
import os
from collections import Counter
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import diode.protocol.gate
import receiver.transport.pipeline
import receiver.transport.regions
import sender.transport.pipeline
import tests.faults.enclave
from diode.config.init import init_pair
from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.config.sender import SenderConfig
from diode.errors import MessageError
from diode.process.compiled import Compiled
from diode.process.memory import LINK_SIZE, Counters, Ring, create_memfd
from diode.protocol.auth import Session
from diode.protocol.wire import HEADER
from receiver.transport.assemble import Assemble
from receiver.transport.listen import COUNTERS, Listener
from sender.messages import SlotSent
from sender.transport.encode import Encoder
from tests.faults.enclave import Enclave
from tests.faults.scenario import Faults
from tests.faults.world import world
from tests.taking import Twin, TwinTags
from tests.worker_settings import listen_settings

SEAMS = {
    "the lengths were read": (receiver.transport.regions, "slice_runs"),
    "headers were screened": (diode.protocol.gate, "screen"),
    "tags were checked": (Session, "check"),
    "a run was admitted": (diode.protocol.gate.Gate, "admit"),
}
OTHER = {  # by what a header is replaced
    "garbage": np.frombuffer(np.random.default_rng(1).bytes(48), HEADER)[0],
    "a kind that there is not": np.frombuffer(b"\x44\x49\x4f\x01\xff".ljust(48, b"\xff"), HEADER)[0],
    "no columns, no rows": np.frombuffer(b"\x44\x49\x4f\x01\x01".ljust(48, b"\0"), HEADER)[0],
}


@pytest.mark.long
@pytest.mark.parametrize(("auth", "other"), list(zip(["gmac", "aead", "none"], OTHER, strict=True)))
@pytest.mark.parametrize("seam", SEAMS)
def test_a_ring_that_changes_under_us_changes_nothing(
    seam: str, auth: str, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every header and symbol is replaced at that instant; the transfer goes on as if nothing had been."""
    with world(1, Faults(bundles=1, auth=auth)) as made:
        owner, name = SEAMS[seam]
        real = getattr(owner, name)

        def call(*arguments: Any, **options: Any) -> Any:
            result = real(*arguments, **options)
            enclave = made.enclave
            if isinstance(enclave, Enclave) and enclave.assemble._regions.ring.lengths[0][0]:
                scribble(enclave.assemble._regions.ring, OTHER[other])
            return result

        with monkeypatch.context() as patch:
            patch.setattr(owner, name, call)
            made.run()
        assert made.published.keys() == made.staged.keys()
        assert not made.counts["rounds"]


CORE_SEAMS = {
    "the lengths were read": (receiver.transport.regions, "slice_runs"),
    "headers were screened": (diode.protocol.gate, "screen"),
    "a run was judged": (diode.protocol.gate.Gate, "claims"),
    "rows were placed": (TwinTags, "take"),
}


@pytest.mark.long
@pytest.mark.parametrize(("auth", "other"), [("gmac", "garbage"), ("none", "no columns, no rows")])
@pytest.mark.parametrize("seam", CORE_SEAMS)
def test_a_ring_that_changes_under_the_core_changes_nothing_that_was_copied(
    seam: str, auth: str, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was copied counts. What was not is refused or forged, and is sent again; nothing wrong is published."""
    monkeypatch.setattr(tests.faults.enclave, "Assemble", partial(Assemble, core=Compiled(kernel=Twin())))
    with world(1, Faults(bundles=1, auth=auth)) as made:
        owner, name = CORE_SEAMS[seam]
        real, changes = getattr(owner, name), iter(range(3))

        def call(*arguments: Any, **options: Any) -> Any:
            result = real(*arguments, **options)
            enclave = made.enclave
            if isinstance(enclave, Enclave) and enclave.assemble._regions.ring.lengths[0][0] and next(changes, None):
                scribble(enclave.assemble._regions.ring, OTHER[other])
            return result

        with monkeypatch.context() as patch:
            patch.setattr(owner, name, call)
            made.run()
        assert made.enclave is not None
        assert made.enclave.assemble._taker is not None
        assert made.published.keys() == made.staged.keys()


def scribble(ring: Ring, header: np.void) -> None:
    """Over every datagram of the region, and over the lengths."""
    view = np.frombuffer(ring.data[0], np.uint8)
    size = 448 + 64
    rows = view[: len(view) // size * size].reshape(-1, size)[:2000]
    rows[:, 48:] ^= 0x55
    rows[:, :48] = np.frombuffer(header.tobytes(), np.uint8)
    ring.lengths[0][0] = 2**32 - 1


@pytest.mark.parametrize("record", [(7, 1), (2**32 - 1, 2**32 - 1), (0, 2**32 - 1)])
def test_a_region_that_was_not_filled_is_refused(record: tuple[int, int]) -> None:
    """Numbers of regions and runs come from whoever fills the ring; nothing that is stored suffers by them."""
    with world(1, Faults(bundles=0)) as made:
        made.run()
        assert made.enclave is not None
        with pytest.raises(MessageError):
            made.enclave.assemble._take(*record)
        made.stage("after", b"as it should be")
        while made.advance():
            pass
        made.rest()
        assert "after" in made.published


def listener(monkeypatch: pytest.MonkeyPatch) -> tuple[Listener, int]:
    """One whose assemble speaks through a pipe."""
    free_read, free_write = os.pipe()
    settings = listen_settings(
        ring=Ring.create(2, 1 << 20),
        regions=2,
        region_bytes=1 << 20,
        path="portable",
        counters=Counters.create(COUNTERS),
        free_read=free_read,
        link_size=Counters.create(LINK_SIZE),
    )
    reader = SimpleNamespace(name="none", dropped=0)
    with monkeypatch.context() as patch:
        patch.setattr("receiver.transport.listen.choose_reader", lambda *_: reader)
        patch.setattr("receiver.transport.listen.socket", SimpleNamespace(socket=lambda **_: 0))
        return Listener(settings, SimpleNamespace(closed=False)), free_write  # type: ignore[arg-type]


def test_listen_takes_back_what_it_lent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Regions that there are not, that it has itself, or that come twice are refused."""
    listen, pipe = listener(monkeypatch)
    region = listen._take_region()
    listen._lent.add(region)
    for numbers in ([99], [2**32 - 1], [1 - region], [region, region]):
        os.write(pipe, b"".join(map(Ring.FREE.pack, numbers)))
        with pytest.raises(MessageError):
            listen._take_back()
    assert ([1 - region], {region}) == (listen._free, listen._lent)
    os.write(pipe, Ring.FREE.pack(region))
    listen._take_back()
    assert ([0, 1], set()) == (sorted(listen._free), listen._lent)


def test_encode_takes_back_what_it_lent() -> None:
    """A ``transmit`` that was taken over cannot have a slot filled that it is sending, or that there is not."""
    said = iter([SlotSent(2), SlotSent(1), SlotSent(0)])
    encoder = Encoder.__new__(Encoder)
    encoder._free, encoder._lent = [], Counter([0])
    encoder._transmit = SimpleNamespace(receive=lambda _: next(said))  # type: ignore[assignment]
    for _ in range(2):
        with pytest.raises(MessageError):
            encoder._take_slot()
    assert 0 == encoder._take_slot()
    assert not encoder._lent
    assert not list(said)


SHARED = ("arena", "ring", "counters", "link_size")


def shared_of(settings: object) -> dict[str, int]:
    """The shared memories that a worker is given, by name."""
    own = getattr(settings, "pipes", settings)
    return {name: getattr(own, name) for name in SHARED if hasattr(own, name)}


def modes(settings: object) -> dict[str, str]:
    """How each shared memory of a worker was given to it."""
    names = {os.O_RDONLY: "reads", os.O_RDWR: "writes"}
    fds = shared_of(settings)
    return {name: names[fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE] for name, fd in fds.items()}


async def test_who_only_reads_cannot_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``transmit`` cannot change what ``encode`` seals: one nonce used twice would give the session's key away."""
    given: dict[str, dict[str, str]] = {}

    def worker(module: str, settings: object, fds: tuple[int, ...], **_: Any) -> Any:
        given[module] = modes(settings)
        shared = list(shared_of(settings).values())
        assert set(shared) <= set(fds)
        return SimpleNamespace(mailbox=None)

    init_pair(tmp_path, to="127.0.0.1:9", listen="127.0.0.1:9", mtu=1500, rate=0, profile="clean", auth="gmac")
    worker_group: Any = SimpleNamespace(add=lambda made: made)
    for pipeline in (sender.transport.pipeline, receiver.transport.pipeline):
        monkeypatch.setattr(pipeline, "Worker", worker)
    sending = load(SenderConfig, tmp_path / "sender" / "sender.toml")
    sender.transport.pipeline.Pipeline(sending, sending.link.address, 1000, worker_group)
    spare = create_memfd("socket", 1)
    config = load(ReceiverConfig, tmp_path / "receiver" / "receiver.toml")
    made = receiver.transport.pipeline.Pipeline(config, spare, {}, [], 1472, worker_group)
    assert 1472 == made.datagram_bytes
    assert given == {
        "sender.transport.encode": {"arena": "writes"},
        "sender.transport.transmit": {"arena": "reads", "counters": "writes"},
        "receiver.transport.listen": {"ring": "writes", "counters": "writes", "link_size": "reads"},
        "receiver.transport.assemble": {
            "arena": "writes",
            "ring": "reads",
            "counters": "writes",
            "link_size": "writes",
        },
        "receiver.store.worker": {"arena": "writes"},
        "receiver.policy.examine": {},
        "receiver.describe.worker": {},
    }
