"""Heartbeats that leave while the disk does not answer."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from threading import Event as Gate

from diode.audit.log import AuditLog
from diode.config.sender import SenderLink
from diode.protocol.geometry import PROFILES, stream_geometry
from diode.protocol.sizes import datagram_bytes
from diode.storage.turns import InOrder, Turns
from sender.ledger import Ledger
from sender.supervisor.beats import Voice
from sender.supervisor.counts import Counts
from sender.supervisor.destination import Destination
from sender.supervisor.lookups import Known, Lookups
from sender.supervisor.pipelines import Pipelines
from sender.supervisor.refusals import LocalRefusals
from sender.transport.flights import Flights
from sender.transport.heartbeats import Heart, Told
from sender.transport.plan import Plan
from sender.transport.schedule import Scheduler
from sender.transport.transmit import COUNTERS

FULL = stream_geometry(448, PROFILES["clean"])
SESSION = {"00000000000000ab": 9}


class Mouth(Heart):
    """What leaves is kept."""

    def __init__(self) -> None:
        self.told: list[Told] = []

    async def beat(self, told: Told) -> int:
        self.told.append(told)
        return 0


class Sending(Pipelines):
    """Workers that have sent something."""

    def __init__(self) -> None:
        pass

    def sent(self) -> dict[str, int]:
        return SESSION


class Idle(Flights):
    """Nothing waits."""

    def __init__(self) -> None:
        self._queued = {}  # type: ignore[assignment]
        self.outgoing = {}
        self.unrecorded = InOrder(Turns(None, ""))  # type: ignore[arg-type]  # asked for nothing


class Somewhere(Destination):
    """Where it is already sent to."""

    at = None  # type: ignore[assignment]


class Disk:
    """A ledger that answers at once at first, and then not before ``gate`` opens."""

    def __init__(self) -> None:
        self.gate = Gate()
        self._answers = iter(({"cve": 1}, {"cve": 2}))

    def look(self, _ledger: Ledger, _audit: AuditLog) -> Known:
        channels: Mapping[str, int] = next(self._answers)
        if channels["cve"] > 1:
            self.gate.wait()
        return Known(channels, None)


async def test_a_ledger_that_blocks_stops_no_heartbeat(tmp_path: Path) -> None:
    """They tell what is known, other work goes on meanwhile, and the answer is told when it comes."""
    Ledger(tmp_path / "ledger.db").close()
    disk, heart, scheduler = Disk(), Mouth(), Scheduler(0.0, datagram_bytes(448))
    scheduler.add(Plan(7, FULL, 1, 448, 90, 32, 1))
    audit = AuditLog(tmp_path / "audit", "sender", None)
    lookups = Lookups(tmp_path / "ledger.db", audit, lambda _: None, look=disk.look, patience_s=0.0)
    lookups.open()
    counts = Counts(lambda: dict.fromkeys(COUNTERS, 0))
    nowhere = LocalRefusals(lambda _: None, lambda _: None), Somewhere(SenderLink(to="127.0.0.1:9"), lambda _: None)
    voice = Voice(heart, lookups, Sending(), scheduler, Idle(), counts, *nowhere)
    turns = 0

    async def other_work() -> None:
        nonlocal turns
        while len(heart.told) < 20:
            turns += 1
            await asyncio.sleep(0)

    await asyncio.gather(voice.repeat(20, 0.0), other_work())
    assert [{"cve": 1}] * 20 == [told.channels for told in heart.told]
    assert turns > 20
    assert (SESSION, [7]) == (heart.told[-1].sent, [each.plan.bundle for each in heart.told[-1].flights])
    disk.gate.set()
    assert lookups._pending is not None
    await asyncio.wait({lookups._pending})
    await voice.speak()
    assert {"cve": 2} == heart.told[-1].channels
    lookups.close()
