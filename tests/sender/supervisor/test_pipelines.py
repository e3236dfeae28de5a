"""What the workers say, and what follows when one of them dies: without their processes."""

import asyncio
import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from diode.config.init import init_pair
from diode.config.load import load
from diode.config.sender import SenderConfig
from diode.errors import MessageError, UsageError, WorkerError
from diode.net.address import Address
from diode.process import restarts
from diode.process.memory import Counters
from diode.process.messages import EnginesChosen, Fatal, PathChosen, PeerRefused, SandboxLacks
from diode.process.restarts import Restarts, WorkersLate
from diode.process.supervise import WorkerGroup
from diode.process.workers import Worker
from sender.events import happened
from sender.events.happened import Event
from sender.messages import Degraded, Failed, SendAccepted, SendRefused, Sent, SessionBegun
from sender.supervisor.destination import Destination
from sender.supervisor.figures import Figures
from sender.supervisor.pipelines import Pipelines
from sender.supervisor.refusals import LocalRefusals
from sender.supervisor.shutdown import Shutdown
from sender.supervisor.supply import Supply
from sender.transport import transmit
from sender.transport.encode import SUPERVISOR
from sender.transport.jobs import Jobs
from sender.transport.pipeline import Pipeline
from sender.transport.plan import Padding
from tests.patience import PATIENCE_S

KEY_ID = 5
ENCODE, TRANSMIT = "sender.encode", "sender.transmit"
BEGUN = SessionBegun("00000000000000ab", KEY_ID)


class Line(Pipeline):
    """A pipeline without processes: what it is told is kept."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.jobs = Jobs(self.told.append, 100)
        self.counters = Counters(Counters.create(transmit.COUNTERS), transmit.COUNTERS)
        self.session = ""


class Nobody(WorkerGroup):
    """A worker group whose workers have ended."""

    def __init__(self) -> None:
        self.alarms: list[tuple[str, str, str]] = []
        self.workers = [_worker(ENCODE)]

    def alarm(self, module: str, kind: str, why: str) -> None:
        self.alarms.append((module, kind, why))

    def close(self, grace_s: float = 0.0) -> dict[str, int]:
        return {ENCODE: -9, TRANSMIT: -9}


class Quiet(Supply):
    """A supply that notes who it is to serve."""

    def __init__(self) -> None:
        self.served: list[Jobs] = []

    @property
    def first_rate(self) -> int:
        return 7

    def begin(self, jobs: Jobs) -> None:
        self.served.append(jobs)

    def lose(self, jobs: Jobs) -> int:
        return len(jobs.take_all_back())

    def sent(self, jobs: Jobs, number: int) -> None:
        jobs.take_back(number)

    def failed(self, jobs: Jobs, number: int, detail: str) -> None:
        jobs.take_back(number)


@dataclass
class Bench:
    """Pipelines, those that were started, what was said, and how often a session was announced."""

    config: SenderConfig
    lines: list[Line] = field(default_factory=list)
    said: list[Event] = field(default_factory=list)
    announced: int = 0

    def __post_init__(self) -> None:
        self.supply, self.figures, self.shutdown = Quiet(), Figures(), Shutdown(self.said.append)
        self.refusals = LocalRefusals(self.said.append, self.shutdown.fail)
        self.destination = Destination(self.config.link, self.said.append)
        self.destination.at = Address("127.0.0.1", 9)
        self.pipelines = Pipelines(
            *(
                self.config,
                KEY_ID,
                self.supply,
                self.figures,
                self.shutdown,
                self.said.append,
                self.announce,
                self.refusals,
                self.destination,
            ),
            restarts=Restarts(2),
            start=self.start,
        )
        self.pipelines.open()
        self.worker_group = self.pipelines._worker_group = Nobody()

    def start(self, _config: SenderConfig, to: Address, rate: int, _worker_group: WorkerGroup) -> Line:
        """Another life."""
        assert (rate, to.port) == (7, 9)
        self.lines.append(Line())
        return self.lines[-1]

    async def announce(self) -> None:
        """As heartbeats do."""
        self.announced += 1

    def hear(self, message: object, module: str = ENCODE) -> None:
        """A worker says this."""
        self.pipelines.hear(_worker(module), message)


def _worker(module: str) -> Worker:
    worker: Any = object.__new__(Worker)
    worker.name = module
    return cast(Worker, worker)


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    """With a first pipeline that has said nothing yet."""
    options: dict[str, Any] = {"mtu": 1500, "rate": 0, "profile": "standard", "auth": "gmac"}
    init_pair(tmp_path / "pair", to="127.0.0.1:9", listen="127.0.0.1:9", **options)
    return Bench(load(SenderConfig, tmp_path / "pair" / "sender" / "sender.toml"))


async def test_a_session_is_announced_before_it_is_used(bench: Bench) -> None:
    """Then its pipeline is supplied, and the daemon is ready."""
    assert {} == bench.pipelines.sent()
    bench.hear(BEGUN)
    assert {BEGUN.session: 0} == bench.pipelines.sent()
    assert [] == bench.supply.served
    await bench.pipelines._greeting
    assert 1 == bench.announced
    assert [bench.lines[0].jobs] == bench.supply.served
    assert [happened.LineReady()] == bench.said


async def test_a_session_of_dead_workers_is_not_supplied(bench: Bench) -> None:
    """They died while it was announced: the next pipeline has a session of its own."""
    bench.hear(BEGUN)
    bench.pipelines.mourn(_worker(ENCODE))
    await bench.pipelines._greeting
    assert [] == bench.supply.served
    assert {} == bench.pipelines.sent()


async def test_a_session_under_another_key_ends_the_daemon(bench: Bench) -> None:
    """Heartbeats would announce it under the key that they have."""
    bench.hear(SessionBegun(BEGUN.session, KEY_ID + 1))
    assert isinstance(bench.shutdown.failure, WorkerError)
    assert {} == bench.pipelines.sent()


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (Degraded("EIO"), [happened.OffloadRefused("EIO")]),
        (PathChosen("batched"), [happened.UdpPathTaken("batched")]),
        (EnginesChosen("isal", "core", "none", ""), [happened.EnginesTaken("isal", "core", "")]),
        (
            EnginesChosen("zfec", "library", "none", "damaged"),
            [happened.IsalAbsent(), happened.EnginesTaken("zfec", "library", "damaged")],
        ),
        (SandboxLacks(()), []),
        (SandboxLacks(("landlock",)), [happened.SandboxIncomplete(ENCODE, ("landlock",))]),
    ],
)
async def test_what_a_worker_says_becomes_an_event(bench: Bench, message: object, said: list[Event]) -> None:
    """Made here, of what is known here."""
    bench.hear(message)
    assert said == bench.said


async def test_what_the_kernel_refuses_is_known_until_it_takes_something(bench: Bench) -> None:
    """Also when the worker that said so is replaced: the next one finds out."""
    bench.hear(SendRefused(errno.EACCES), TRANSMIT)
    assert "EACCES" == bench.refusals.error
    bench.hear(SendAccepted(), TRANSMIT)
    assert "" == bench.refusals.error
    bench.hear(SendRefused(errno.EACCES), TRANSMIT)
    bench.pipelines.mourn(_worker(TRANSMIT))
    assert "" == bench.refusals.error


async def test_a_job_comes_back_once(bench: Bench) -> None:
    """Whoever says that an unknown job was sent, or failed, is not believed."""
    bench.lines[0].jobs.fill(Padding(3))
    bench.hear(Sent(1), TRANSMIT)
    for lie in (Sent(1), Failed(9, "no")):
        with pytest.raises(MessageError):
            bench.hear(lie)


async def test_who_is_refused(bench: Bench) -> None:
    """The other worker, or this process; nobody else can be blamed."""
    for peer in ("", SUPERVISOR, "receiver.daemon"):
        bench.hear(PeerRefused("SlotSent", "why", peer))
    bench.hear(PeerRefused("SendSlot", "why"), TRANSMIT)
    assert [TRANSMIT, SUPERVISOR, TRANSMIT, ENCODE] == [module for module, _, _ in bench.worker_group.alarms]


async def test_a_worker_that_cannot_work_ends_the_daemon(bench: Bench) -> None:
    """With the exit code that it gave."""
    bench.hear(Fatal("no socket", 5), TRANSMIT)
    assert bench.shutdown.failure is not None
    assert ("no socket", 5) == (str(bench.shutdown.failure), bench.shutdown.failure.exit_code)


async def test_a_worker_that_dies_is_replaced(bench: Bench) -> None:
    """What it had in hand is counted; what was sent before stays counted."""
    bench.lines[0].jobs.fill(Padding(3))
    bench.lines[0].counters.add("datagrams", 4)
    bench.pipelines.mourn(_worker(TRANSMIT))
    bench.lines[1].counters.add("datagrams", 5)
    assert [happened.WorkerDied(TRANSMIT, -9, 1)] == bench.said
    assert (2, 9) == (len(bench.lines), bench.figures.total()["datagrams"])


async def test_another_address_is_another_pipeline(bench: Bench) -> None:
    """What was under way to the old one is the scheduler's again, and no worker died."""
    bench.lines[0].jobs.fill(Padding(3))
    bench.hear(SendRefused(errno.ENODEV), TRANSMIT)
    bench.pipelines.move()
    assert bench.lines[0].jobs.is_idle
    assert (2, [], "") == (len(bench.lines), bench.said, bench.refusals.error)
    bench.worker_group.workers = []  # it could not be started yet: then it goes there by itself
    bench.pipelines.move()
    assert 2 == len(bench.lines)


async def test_workers_that_die_again_and_again_end_the_daemon(bench: Bench) -> None:
    """A restart does not mend what is wrong then."""
    for _ in range(3):
        bench.pipelines.mourn(_worker(ENCODE))
    assert 3 == len(bench.lines)
    assert "sender.encode died 3 times within a minute; all is kept" == str(bench.shutdown.failure)
    bench.pipelines.mourn(_worker(ENCODE))
    assert 3 == len(bench.said)


async def test_workers_that_cannot_be_started_now_are_started_later(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker died while the name server was away, and that comes back."""
    monkeypatch.setattr(restarts, "PAUSES_S", (0.0, 0.0))
    bench.pipelines._start = failing(2, bench.pipelines._start)
    bench.pipelines.mourn(_worker(ENCODE))
    assert (WorkersLate("cannot find the host of link.to", 0.0), 1) == (bench.said[-1], len(bench.lines))
    for _ in range(100):
        await asyncio.sleep(0)
    assert (2, None) == (len(bench.lines), bench.shutdown.failure)


async def test_a_daemon_never_lives_on_without_workers(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a minute of that it ends, with a code by which systemd starts it again."""
    monkeypatch.setattr(restarts, "PAUSES_S", (0.0, 0.0))
    bench.pipelines._start = failing(3, bench.pipelines._start)
    bench.pipelines.mourn(_worker(ENCODE))
    await bench.shutdown.wait(PATIENCE_S)
    assert bench.shutdown.failure is not None
    assert 1 == bench.shutdown.failure.exit_code
    assert "no new workers could be started: cannot find the host" in str(bench.shutdown.failure)


def failing(times: int, otherwise: Callable[..., Pipeline]) -> Callable[..., Pipeline]:
    """A start that raises so many times."""
    left = iter(range(times))

    def start(*given: Any) -> Pipeline:
        if next(left, None) is not None:
            raise UsageError("cannot find the host of link.to")
        return otherwise(*given)

    return start


async def test_at_the_end_nobody_is_replaced(bench: Bench) -> None:
    """A later run goes on."""
    bench.shutdown.begin()
    bench.pipelines.mourn(_worker(ENCODE))
    assert 1 == len(bench.lines)
