"""Calibration: what the receiving end concludes from what arrives, and that nothing else moves it."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from diode.cli.main import app
from diode.errors import UsageError
from diode.lab.calibrate import END_COPIES, MAX_STEPS, Meter, Sealer, Step, advice, climb, listen, ramp, report
from diode.net.udp import UdpPath
from diode.protocol.auth import Session
from diode.protocol.link_key import LinkKey
from diode.protocol.wire import MAGIC
from tests.patience import PATIENCE_S, wait_until
from tests.ports import free_address

KEY = LinkKey.of(b"k" * 32)
SIZE = 1408 + 64


class Line:
    """A line in virtual time: it takes so many bytes a second, and loses what ``loses`` says of the n-th train."""

    def __init__(self, meter: Meter, bytes_per_s: float, loses: Callable[[int], bool] = lambda _: False) -> None:
        self._meter = meter
        self._bytes_per_s = bytes_per_s
        self._loses = loses
        self._now = 0.0
        self._trains = 0

    def monotonic(self) -> float:
        """Seconds since it was made."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """They pass at once."""
        self._now += seconds

    def send(self, train: memoryview) -> None:
        """Bring a train to the receiving end, or lose it."""
        self._now += len(train) / self._bytes_per_s
        self._trains += 1
        if not self._loses(self._trains):
            self._meter.feed(train, self._now)


def calibrate(
    rates: tuple[int, ...] = (2_000_000, 5_000_000),
    bytes_per_s: float = 50e6,
    loses: Callable[[int], bool] = lambda _: False,
) -> tuple[Meter, list[Step]]:
    """What the receiving end saw, and what was sent."""
    meter = Meter(KEY, "gmac")
    line = Line(meter, bytes_per_s, loses)
    return meter, list(climb(line.send, Sealer(KEY, Session(KEY, 7, "gmac"), 1408), rates, 0.5, line))


def until_clean(run: Callable[[], list[str]]) -> None:
    """Calibrate until every step is clean.

    A sender that other programs keep from its rate for a moment is told that it was too slow, and rightly so.
    """

    def is_clean() -> bool:
        verdicts = run()
        assert {"clean", "sender too slow"} >= set(verdicts)
        return {"clean"} == set(verdicts)

    wait_until(is_clean, "a calibration during which the sender kept up")


def test_a_link_that_loses_nothing_is_clean_at_every_rate() -> None:
    """Both ends agree on what was sent, and the fastest rate is advised with a margin."""
    meter, sent = calibrate()
    assert [(0, "clean"), (0, "clean")] == [(step.lost, step.verdict) for step in meter.steps.values()]
    assert [step.sent for step in sent] == [step.sent for step in meter.steps.values()]
    best = meter.best()
    assert best is meter.steps[1]
    assert 'rate = "4.5M"' in advice(best)
    assert (5_000_000, 4_500_000) == tuple(report(meter, 1)[name] for name in ("best_rate", "recommended_rate"))


def test_a_lossy_rate_is_not_advised() -> None:
    """Nor any faster one: what is recommended lies below the first rate that lost something."""
    quiet, _ = calibrate((2_000_000, 5_000_000, 8_000_000))
    first = (quiet.steps[0].sent or 0) // 44 + END_COPIES
    meter, _ = calibrate((2_000_000, 5_000_000, 8_000_000), loses=lambda train: train == first + 3)
    assert [0, 44, 0] == [step.lost for step in meter.steps.values()]
    assert meter.best() is meter.steps[0]


def test_a_step_whose_end_is_lost_is_unfinished() -> None:
    """Of five copies one is enough; without any the step proves nothing."""
    quiet, _ = calibrate()
    trains = (quiet.steps[0].sent or 0) // 44
    some, _ = calibrate(loses=lambda train: trains < train < trains + END_COPIES)
    assert ["clean", "clean"] == [step.verdict for step in some.steps.values()]
    none, _ = calibrate(loses=lambda train: trains < train <= trains + END_COPIES)
    assert ["unfinished", "clean"] == [step.verdict for step in none.steps.values()]
    assert none.best() is None


@pytest.mark.parametrize("path", ["batched", "portable"])
def test_both_ends_over_loopback(path: UdpPath) -> None:
    """Real sockets: all that was sent at a slow rate arrives, and the receiving end knows when it is over."""
    meter, began = Meter(KEY, "gmac"), threading.Event()
    address, ended = free_address(), list[int]()

    def receive() -> None:
        ended.append(listen(meter, address, 4 << 20, path, 60.0, began.set))

    thread = threading.Thread(target=receive)
    thread.start()
    assert began.wait(PATIENCE_S)
    sent = list(ramp(KEY, "gmac", address, 1408, path, (200_000,), 0.1))
    thread.join(PATIENCE_S)
    assert [step.sent for step in sent] == [step.sent for step in meter.steps.values()]
    assert (0, True) == (meter.steps[0].lost, ended[0] > 0)


def test_loss_is_the_links_unless_the_socket_dropped() -> None:
    """Who lost is told apart by the socket's own counter, and the best rate lies below the first loss."""
    steps = [Step(1000, received=10, sent=10, sent_rate=1000) for _ in range(3)]
    steps[1].received = 9
    assert ["clean", "link", "clean"] == [step.verdict for step in steps]
    steps[1].socket_drops = 1
    assert "socket" == steps[1].verdict
    meter = Meter(KEY, "gmac")
    meter.steps = dict(enumerate(steps))
    assert meter.best() is steps[0]
    assert "no rate" in advice(Meter(KEY, "gmac").best())


def test_drops_of_the_socket_belong_to_the_step_they_happened_in() -> None:
    """Counters are cumulative; what was lost before the first step is nobody's."""
    meter = Meter(KEY, "gmac")
    meter.note_socket(0, 5)
    meter.steps[0] = Step(1000)
    meter.note_socket(100, 7)
    meter.note_socket(50, 7)
    meter.steps[1] = Step(2000)
    meter.note_socket(10, 8)
    assert [(2, 100), (1, 10)] == [(step.socket_drops, step.socket_peak_bytes) for step in meter.steps.values()]


def test_a_sender_that_cannot_reach_a_rate_stops_there() -> None:
    """The receiving end learns that there are no further steps, and does not wait for them."""
    meter, sent = calibrate(rates=(10_000_000, 1 << 50, 1 << 51))
    assert ["clean", "sender too slow"] == [step.verdict for step in meter.steps.values()]
    assert (2, True) == (len(sent), meter.is_over)


@given(st.binary(max_size=200), st.integers(0, 2), st.integers(0, MAX_STEPS + 1))
def test_strangers_are_counted_and_change_nothing(noise: bytes, symbol: int, step: int) -> None:
    """Neither noise nor well-formed headers without a valid tag begin a calibration."""
    meter = Meter(KEY, "gmac")
    header = (MAGIC << 8 | 1).to_bytes(4, "big") + bytes([1, 0, 0, 0]) + bytes(24)
    header += step.to_bytes(4, "big") + symbol.to_bytes(2, "big") + (1408).to_bytes(2, "big") + bytes([1, 1]) + bytes(6)
    for run in (noise, header, (header + noise).ljust(SIZE, b"\0")):
        meter.feed(memoryview(run), 0.0)
    assert not meter.steps
    assert 3 == meter.foreign


def test_trials_of_strangers_are_bounded() -> None:
    """A flood of sessions costs fifty checks a second, whatever its rate."""
    meter = Meter(KEY, "gmac")
    checked: list[int] = []
    original = meter._authentic_record

    def count(datagram: memoryview, session: int) -> object:
        checked.append(session)
        return original(datagram, session)

    meter._authentic_record = count  # type: ignore[method-assign,assignment]
    header = (MAGIC << 8 | 1).to_bytes(4, "big") + bytes([1, 0, 0, 0])
    rest = bytes(20) + (1408).to_bytes(2, "big") + bytes([1, 1]) + bytes(6)
    for number in range(500):
        meter.feed(memoryview((header + number.to_bytes(8, "big") + bytes(2) + rest).ljust(SIZE, b"\0")), 1.0)
    assert len(checked) <= 50


@pytest.mark.parametrize("rates", ["", "0", "5M,1M", "1M,1M", "fast"])
def test_useless_rates_are_refused(tmp_path: Path, rates: str) -> None:
    """They must rise, and be rates."""
    assert 0 == CliRunner().invoke(app, ["init", "pair", str(tmp_path / "pair")]).exit_code
    config = str(tmp_path / "pair" / "sender" / "sender.toml")
    done = CliRunner().invoke(app, ["calibrate", "send", "-c", config, "--rates", rates])
    assert isinstance(done.exception, UsageError)


@pytest.mark.long
def test_commands_of_both_ends(tmp_path: Path) -> None:
    """As the operator types them: the report names the rate, in words and in JSON."""
    run = [sys.executable, "-c", "from diode.cli.main import main; main()"]
    to = free_address()
    subprocess.run([*run, "init", "pair", str(tmp_path), "--to", str(to)], check=True, capture_output=True)
    report = tmp_path / "report.json"
    receive = [*run, "calibrate", "receive", "-c", str(tmp_path / "receiver" / "receiver.toml")]
    receive += ["--json-file", str(report), "--wait", str(int(PATIENCE_S))]
    send = [*run, "calibrate", "send", "-c", str(tmp_path / "sender" / "sender.toml"), "--rates", "100k,200k"]

    def both_ends() -> list[str]:
        report.unlink(missing_ok=True)
        with subprocess.Popen(receive, stdout=subprocess.PIPE, text=True) as receiver:
            try:
                wait_until(lambda: f":{to.port:04X} " in Path("/proc/net/udp").read_text(), "the receiving end listens")
                subprocess.run([*send, "--seconds", "0.1"], check=True, capture_output=True, timeout=PATIENCE_S)
                said, _ = receiver.communicate(timeout=PATIENCE_S)
            finally:
                receiver.kill()
        assert 0 == receiver.returncode
        assert "highest rate without loss" in said
        return [step["verdict"] for step in json.loads(report.read_text())["steps"]]

    until_clean(both_ends)
    assert 180_000 == json.loads(report.read_text())["recommended_rate"]
