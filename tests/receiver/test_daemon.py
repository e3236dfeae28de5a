"""The parts of the supervisor together, without its workers: what a tick does, also while a disk hangs."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import structlog
from securesystemslib.signer import CryptoSigner

from diode.config.init import init_receiver
from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.console.stream import Stream
from diode.process.shutdown import Shutdown
from diode.protocol.heartbeat import Heartbeat, write_heartbeat
from diode.protocol.link_order import LinkOrder
from diode.trust.keys import new_link_key
from receiver.daemon import Running
from receiver.events.happened import Event, Health, Ticked
from receiver.events.of_link import BeatHeard, LinkSilent
from receiver.ledger.peer import PeerWriter
from receiver.messages.pipeline import Heard
from receiver.supervisor.figures import Figures
from receiver.supervisor.station import Station
from tests.enclave import public_pem
from tests.patience import PATIENCE_S


class NoWorkers:
    """In the place of the pipelines: nothing arrives."""

    slabs = (0, 0)

    def health(self, now: float, *, is_excused: bool = False) -> Health:
        """All is well."""
        return Health(now, has_begun=True, is_well=True)

    def close(self) -> None:
        """There is nobody to be ended."""


class Daemon:
    """A supervisor that runs, and what it said."""

    def __init__(self, folder: Path) -> None:
        init_receiver(folder, listen="127.0.0.1:0", auth="none", link_key=new_link_key(), public=None)
        (folder / "keys" / "signers" / "alice.pub").write_text(public_pem(CryptoSigner.generate_ed25519()))
        self.station = Station(load(ReceiverConfig, folder / "receiver.toml"))
        self.said: list[Event] = []
        stream: Stream[Event] = Stream(self.said.append)
        self.running = Running(self.station, stream, Shutdown(stream.say), Figures())
        self.running._pipelines = NoWorkers()  # type: ignore[assignment]

    def hear(self, number: int) -> None:
        """A heartbeat, as ``assemble`` says it."""
        books: dict[str, Any] = {"clock": 1, "sessions": {}, "channels": {}, "bundles": []}
        beat = Heartbeat.model_validate({"epoch": 1, "number": number, **books})
        message = Heard(write_heartbeat(beat), (), self.station.fingerprints[0], 0)
        self.running._door.take(NoWorkers(), message)  # type: ignore[arg-type]

    def said_of(self, *kinds: type) -> list[Event]:
        """What it said of these kinds."""
        return [event for event in self.said if isinstance(event, kinds)]


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    """It is closed in the end."""
    made = Daemon(tmp_path)
    yield made
    await made.running.close()
    made.station.close()


async def test_a_tick_says_the_time_and_how_the_daemon_is(daemon: Daemon) -> None:
    """Readers need nothing else."""
    daemon.running.tick(5.0, is_bounded=False)
    assert [Ticked(5.0), Health(5.0, has_begun=True, is_well=True)] == daemon.said


async def test_a_ledger_that_hangs_stops_no_tick(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """Heartbeats are heard, silence is noticed, the watchdog is told; in the end all is recorded, in order."""
    goes_on, hangs = threading.Event(), threading.Event()
    recorded: list[int] = []
    note_order = PeerWriter.note_order

    def note(self: PeerWriter, key: str, order: LinkOrder) -> None:
        hangs.set()
        goes_on.wait(PATIENCE_S)
        note_order(self, key, order)
        recorded.append(order.number)

    monkeypatch.setattr(PeerWriter, "note_order", note)
    daemon.hear(1)
    assert await asyncio.to_thread(hangs.wait, PATIENCE_S)
    for number in range(2, 12):
        daemon.hear(number)
        daemon.running.tick(asyncio.get_running_loop().time(), is_bounded=True)
        await asyncio.sleep(0)
    daemon.running.tick(asyncio.get_running_loop().time() + 5.0, is_bounded=False)
    assert (11, 11, 11) == tuple(len(daemon.said_of(kind)) for kind in (BeatHeard, Ticked, Health))
    assert (1, []) == (len(daemon.said_of(LinkSilent)), recorded)
    goes_on.set()
    await daemon.running.close()
    assert list(range(1, 12)) == recorded


def test_a_missing_service_key_is_warned_of_once(tmp_path: Path) -> None:
    """The supervisor has the audit log open twice, a time for each of its threads."""
    init_receiver(tmp_path, listen="127.0.0.1:0", auth="none", link_key=new_link_key(), public=None)
    (tmp_path / "keys" / "signers" / "alice.pub").write_text(public_pem(CryptoSigner.generate_ed25519()))
    config = load(ReceiverConfig, tmp_path / "receiver.toml")
    config.service_key.unlink()
    with structlog.testing.capture_logs() as logged, closing(Station(config)) as station:
        station.second_audit()
    assert 1 == [line["event"] for line in logged].count("service_key_missing")
