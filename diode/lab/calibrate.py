"""``diode calibrate``: finds the highest rate that a link carries. The sender raises its rate, and the receiver counts.

Nothing comes back. The receiver shows on its own screen the highest rate that lost nothing, and the operator enters it
in the sender's configuration. The datagrams are padding (docs/wire-format.md), which a receiver in service drops.
"""

import os
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from rich.table import Table

from diode.formats.canonical import canonical
from diode.formats.strict_json import read_json
from diode.net.address import Address
from diode.net.sockets import open_receiver, open_sender, socket_memory
from diode.net.trains import MAX_RUN_BYTES, train_datagrams
from diode.net.udp import UdpPath, choose_reader, choose_sender
from diode.protocol.auth import DatagramViews, Session
from diode.protocol.link_key import LinkKey, Mode
from diode.protocol.pacing import Pacer
from diode.protocol.sizes import HEADER_BYTES, TAG_BYTES, Kind, datagram_bytes, is_symbol_size
from diode.protocol.trials import TRIALS_PER_S, Trials
from diode.protocol.wire import MAGIC, PADDING_BUNDLE, PADDING_COUNTER, VERSION, headers_of, pack_lone_headers

MAX_STEPS: Final = 64
END_COPIES: Final = 5
MARGIN: Final = 0.9  # what is recommended, of the highest rate that lost nothing: other days are busier
_KEPT_UP: Final = 0.95  # a sender that reaches less of a rate than this does not go on to the next one
_GAP_S: Final = 0.25  # of silence around a step, so that its last datagrams are not counted to the next
_END_GAP_S: Final = 0.02  # between copies of a step's end: one burst of loss takes not all of them
_QUIET_S: Final = 0.1
_FIELDS: Final = struct.Struct(">4xBBHQQQIHH")  # kind, flags, key id, session, counter, bundle, slab, symbol, its size
_FIRST: Final = struct.Struct(">I")


class Record(BaseModel):
    """What each calibration datagram says about its step. The last ones of a step also say how many were sent."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    step: Annotated[int, Field(ge=0, lt=MAX_STEPS)]
    steps: Annotated[int, Field(ge=1, le=MAX_STEPS)]
    rate: Annotated[int, Field(ge=1, lt=1 << 53)]
    sent: Annotated[int, Field(ge=0, lt=1 << 53)] | None = None
    milliseconds: Annotated[int, Field(ge=1, lt=1 << 31)] | None = None


@dataclass
class Step:
    """One rate as the receiver saw it. Rates are bytes of UDP payload a second; the rest datagrams and bytes."""

    rate: int
    received: int = 0
    sent: int | None = None
    sent_rate: int | None = None
    socket_drops: int = 0
    socket_peak_bytes: int = 0

    @property
    def lost(self) -> int | None:
        """Datagrams that did not arrive; None when the end of the step was not received."""
        return None if self.sent is None else max(0, self.sent - self.received)

    @property
    def verdict(self) -> str:
        """``clean``, or where the loss happened: ``link``, or ``socket`` when ours was too small or read too late."""
        if self.lost is None:
            return "unfinished"
        if not self.lost:
            return "clean" if self.kept_up else "sender too slow"
        return "socket" if self.socket_drops else "link"

    @property
    def carried(self) -> int:
        """The rate that this step proves. It is at most what was sent: in a short step, ``rate`` looks too fast."""
        return min(self.rate, self.sent_rate or 0)

    @property
    def kept_up(self) -> bool:
        """Whether the sender reached the rate that it announced."""
        return self.sent_rate is not None and self.sent_rate >= _KEPT_UP * self.rate


class Meter:
    """Counts the runs of one calibration. Everything except authentic records of one session is counted as foreign."""

    def __init__(self, key: LinkKey, mode: Mode) -> None:
        self.steps: dict[int, Step] = {}
        self.total_steps = 0
        self.foreign = 0
        self._key = key
        self._mode = mode
        self._session: Session | None = None
        self._records: set[tuple[int, int]] = set()
        self._drops_before = 0
        self._trials = Trials(TRIALS_PER_S)

    @property
    def is_over(self) -> bool:
        """Whether the end of the last step was received."""
        last = self.steps.get(self.total_steps - 1)
        return last is not None and last.sent is not None

    def feed(self, run: memoryview, now: float) -> None:
        """Count one received run. Nothing of it is kept."""
        head = _parse(run)
        if head is None:
            self.foreign += 1
            return
        session, number, is_end, size = head
        count = len(run) // size
        ours = self._session is not None and self._session.session == session
        if (number, is_end) not in self._records or not ours:
            record = self._authentic(run[:size], session, now)
            if record is None or record.step != number:
                self.foreign += count
                return
            self._learn(record, is_end, size)
        if not is_end:
            self.steps[number].received += count

    def note_socket(self, queued_bytes: int, drops: int) -> None:
        """Add the socket's losses and its fill level to the newest step."""
        if self.steps:
            step = self.steps[max(self.steps)]
            step.socket_drops += max(0, drops - self._drops_before)
            step.socket_peak_bytes = max(step.socket_peak_bytes, queued_bytes)
        self._drops_before = drops

    def best(self) -> Step | None:
        """The fastest step that lost nothing, among those slower than the first with a loss."""
        best: Step | None = None
        for number in sorted(self.steps):
            step = self.steps[number]
            if step.lost != 0:
                break
            best = step
        return best

    def _learn(self, record: Record, is_end: int, size: int) -> None:
        step = self.steps.setdefault(record.step, Step(record.rate))
        self.total_steps = record.steps
        self._records.add((record.step, is_end))
        if record.sent is not None and record.milliseconds is not None:
            step.sent = record.sent
            step.sent_rate = record.sent * size * 1000 // record.milliseconds

    def _authentic(self, datagram: memoryview, session: int, now: float) -> Record | None:
        return self._authentic_record(datagram, session) if self._trials.may_try(now) else None

    def _authentic_record(self, datagram: memoryview, number: int) -> Record | None:
        session = Session(self._key, number, self._mode)
        copy = bytearray(datagram)
        views = DatagramViews(memoryview(copy), len(copy), 1)
        if not session.check(np.frombuffer(copy, np.uint8).reshape(1, -1), views, slice(0, 1))[0]:
            return None
        try:
            record = Record.model_validate(read_json(bytes(copy[HEADER_BYTES:-TAG_BYTES]).rstrip(b"\0")))
        except (ValidationError, ValueError):
            return None
        if self._session is None or self._session.session != number:
            self._session = session  # a new run of the sender: what an earlier one said no longer counts
            self.steps.clear()
            self._records.clear()
        return record


def _parse(run: memoryview) -> tuple[int, int, int, int] | None:
    """(session, step, 1 for the end of it, datagram bytes) of a run's first header; None: not a calibration's."""
    if len(run) < HEADER_BYTES + TAG_BYTES or _FIRST.unpack_from(run)[0] != MAGIC << 8 | VERSION:
        return None
    kind, flags, _, session, _, bundle, slab, symbol, symbol_bytes = _FIELDS.unpack_from(run)
    if not is_symbol_size(symbol_bytes) or len(run) % datagram_bytes(symbol_bytes):
        return None
    if (kind, flags, bundle) != (Kind.DATA, 0, PADDING_BUNDLE) or slab >= MAX_STEPS or symbol > 1:
        return None
    return session, slab, symbol, datagram_bytes(symbol_bytes)


def ramp(
    key: LinkKey, mode: Mode, to: Address, symbol_bytes: int, path: UdpPath, rates: Sequence[int], seconds: float
) -> Iterator[Step]:
    """Send to ``to`` for ``seconds`` at each rate; yields what was sent. It stops after a rate that was not reached."""
    sender = choose_sender(path, open_sender(to), to, datagram_bytes(symbol_bytes))
    session = Session(key, int.from_bytes(os.urandom(8), "big"), mode)
    try:
        yield from climb(sender.send, Sealer(key, session, symbol_bytes), rates, seconds, time)
    finally:
        sender.close()


class Clock(Protocol):
    """A clock with the functions of the module ``time``, so that tests can replace it."""

    def monotonic(self) -> float:
        """Seconds of a clock that never goes back."""

    def sleep(self, seconds: float, /) -> None:
        """Wait for so many seconds."""


def climb(
    send: Callable[[memoryview], object], sealer: "Sealer", rates: Sequence[int], seconds: float, clock: Clock
) -> Iterator[Step]:
    """The steps of :func:`ramp`, without its socket: trains go to ``send``, and time comes from ``clock``."""
    for number, rate in enumerate(rates):
        train = sealer.seal(Record(step=number, steps=len(rates), rate=rate), is_end=False)
        clock.sleep(_GAP_S)
        sent, took = _send_for(seconds, Pacer(rate), send, train, sealer.datagram_bytes, clock)
        clock.sleep(_GAP_S)
        step = Step(rate, sent=sent, sent_rate=int(sent * sealer.datagram_bytes / took))
        steps = len(rates) if step.kept_up else number + 1
        end = Record(step=number, steps=steps, rate=rate, sent=sent, milliseconds=max(1, round(took * 1000)))
        for _ in range(END_COPIES):
            send(sealer.seal(end, is_end=True)[: sealer.datagram_bytes])
            clock.sleep(_END_GAP_S)
        yield step
        if not step.kept_up:
            return


def _send_for(
    seconds: float, pacer: Pacer, send: Callable[[memoryview], object], train: memoryview, size: int, clock: Clock
) -> tuple[int, float]:
    """(datagrams sent, seconds it took)."""
    started = now = clock.monotonic()
    sent = 0
    while now - started < seconds:
        delay = pacer.delay(now, len(train))
        if delay > 0:
            clock.sleep(delay)
        send(train)
        sent += len(train) // size
        now = clock.monotonic()
    return sent, now - started


class Sealer:
    """Makes trains of padding that carry a record. No counter is used twice in a session."""

    def __init__(self, key: LinkKey, session: Session, symbol_bytes: int) -> None:
        self._key_id = key.key_id
        self._session = session
        self._symbol_bytes = symbol_bytes
        self._counter = PADDING_COUNTER
        self.datagram_bytes = datagram_bytes(symbol_bytes)
        self._count = train_datagrams(self.datagram_bytes)

    def seal(self, record: Record, *, is_end: bool) -> memoryview:
        """A train of datagrams that all carry ``record``."""
        count, size = self._count, self.datagram_bytes
        buffer = memoryview(bytearray(count * size))
        datagrams = np.frombuffer(buffer, np.uint8).reshape(count, size)
        body = canonical(record.model_dump(exclude_none=True))
        datagrams[:, HEADER_BYTES : HEADER_BYTES + len(body)] = np.frombuffer(body, np.uint8)
        pack_lone_headers(
            headers_of(datagrams),
            kind=Kind.DATA,
            key_id=self._key_id,
            session=self._session.session,
            counter=self._counter,
            symbol_bytes=self._symbol_bytes,
            slab=record.step,
            symbol=int(is_end),
        )
        self._session.seal(datagrams, DatagramViews(buffer, size, count), 0, count)
        self._counter += count
        return buffer


def listen(
    meter: Meter, address: Address, buffer_bytes: int, path: UdpPath, patience_s: float, show: Callable[[], None]
) -> int:
    """Feed ``meter`` until the calibration ends or is silent for ``patience_s``. Returns the socket buffer in bytes."""
    sock = open_receiver(address, buffer_bytes)
    reader = choose_reader(path, sock, _QUIET_S)
    buffer = memoryview(bytearray(MAX_RUN_BYTES))
    heard = looked = time.monotonic()
    try:
        while not meter.is_over and heard + patience_s > looked:
            count = reader.receive(buffer)
            now = time.monotonic()
            if count:
                foreign = meter.foreign
                meter.feed(buffer[:count], now)
                heard = now if meter.foreign == foreign else heard
            if now - looked > _QUIET_S or not count:
                looked = now
                memory = socket_memory(sock)
                meter.note_socket(memory.queued_bytes, memory.drops)
                show()
        return socket_memory(sock).granted_bytes
    finally:
        reader.close()


def as_table(steps: Iterable[Step]) -> Table:
    """The steps as an operator reads them; rates in MB/s of UDP payload."""
    heads = ("rate", "sent at", "datagrams", "lost", "socket dropped", "socket used at most", "verdict")
    table = Table(*heads, title="MB/s of UDP payload")
    for step in steps:
        lost = "?" if step.lost is None else f"{step.lost:,}"
        sent_at = "?" if step.sent_rate is None else f"{step.sent_rate / 1e6:.1f}"
        cells = (f"{step.rate / 1e6:.1f}", sent_at, f"{step.received:,}", lost, f"{step.socket_drops:,}")
        table.add_row(*cells, f"{step.socket_peak_bytes / 1e6:.1f} MB", step.verdict)
    return table


def advice(best: Step | None) -> str:
    """What the operator should type next."""
    if best is None:
        return "no rate was carried without loss: try slower ones (diode calibrate send --rates 1M,2M,5M)"
    return (
        f"highest rate without loss: {best.carried / 1e6:.1f} MB/s; put into the sender's configuration, "
        f'{1 - MARGIN:.0%} below it:\n[link]\nrate = "{best.carried * MARGIN / 1e6:.1f}M"'
    )


def report(meter: Meter, granted_bytes: int) -> dict[str, object]:
    """The results, ready for JSON."""
    best = meter.best()
    return {
        "steps": [
            {
                "rate": step.rate,
                "sent_rate": step.sent_rate,
                "sent": step.sent,
                "received": step.received,
                "lost": step.lost,
                "socket_drops": step.socket_drops,
                "socket_peak_bytes": step.socket_peak_bytes,
                "verdict": step.verdict,
            }
            for _, step in sorted(meter.steps.items())
        ],
        "foreign": meter.foreign,
        "socket_granted": granted_bytes,
        "best_rate": best.carried if best else None,
        "recommended_rate": int(best.carried * MARGIN) if best else None,
    }
