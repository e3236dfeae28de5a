"""One world, from one seed: staging, a bad line and an enclave, with virtual time and a disk that can be lost.

The daemons' parts run unchanged (ledgers, packing, flights, scheduler, encoder, gate, assembler, the workers
`Assemble` and `Store`); only sockets, pipes, threads, clock and the disk's mercy are ours. Slabs are of 4 rows instead
of 200, so that a world takes a moment. After the faults, an operator carries codes until nothing is missing.
"""

import os
import random
import tempfile
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from diode.audit.chain import What
from diode.audit.verify import checkpoints_heard, entries_of, read_service_keys, verify
from diode.config.init import init_pair
from diode.config.load import load
from diode.config.sender import SenderConfig
from diode.errors import DiodeError, ReplayError, StorageError, UsageError
from diode.net.impairments import Impairer, Impairments
from diode.protocol.geometry import PROFILES
from diode.protocol.resend_codes import decode
from diode.protocol.sizes import symbol_bytes_for
from receiver.inbox.folder import UNSIGNED, Inbox
from receiver.peer.requests import request_bundle, request_gaps
from sender.recovery.resends import find_asked
from tests.faults.disk import Disk, KilledError, watched
from tests.faults.enclave import Enclave
from tests.faults.scenario import Faults
from tests.faults.staging import SMALL, Staging

MTU: Final = 576
MOST_ROUNDS: Final = 8


class Violation(AssertionError):  # noqa: N818 - it is what it says
    """An invariant does not hold."""


@dataclass
class World:
    """Staging, line and enclave; ``run`` ends when everything is published, or raises Violation."""

    seed: int
    folder: Path
    faults: Faults
    now: float = 1000.0
    epoch: float = 1.8e9  # what staging's clock says at ``now`` 0
    boot: str = "boot 1"
    counts: Counter[str] = field(default_factory=Counter)
    alarms: set[str] = field(default_factory=set)  # whatever the receiver said

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        init_pair(
            self.folder, to="127.0.0.1:9", listen="127.0.0.1:9", mtu=MTU, rate=0, profile="clean", auth=self.faults.auth
        )
        self.config = load(SenderConfig, self.folder / "sender" / "sender.toml")
        self.inbox = self.folder / "receiver" / "inbox"
        (self.folder / "receiver" / "state").mkdir(exist_ok=True)
        Inbox(self.inbox).prepare()
        self.enclave_disk = Disk(self.folder / "receiver", self.rng)
        self.staging_disk = Disk(self.folder / "sender", self.rng)
        for disk in (self.enclave_disk, self.staging_disk):
            disk.sync()
        self.staged: dict[str, bytes] = {}
        self.taken: set[str] = set()  # published, and taken away by a reader
        self.published: Counter[str] = Counter()
        self.line = Impairer(self.faults.line, self.seed)
        self.staging: Staging | None = None
        self.enclave: Enclave | None = None
        self.highest = (-1, 0)

    @property
    def clock(self) -> float:
        """What staging's clock says, in seconds."""
        return self.epoch + self.now

    # what happens

    def run(self) -> None:
        """A first bundle over a good line, then faults, then a good line again and an operator."""
        self.commission()
        for number in range(self.faults.bundles):
            self.stage(
                f"item{number}", self.rng.randbytes(self.rng.choice((0, 1, 900, 60_000, 114_688, 300_000, 500_000)))
            )
        step = 0
        kills, fails = deque(sorted(self.faults.kills)), deque(sorted(self.faults.disk_fails))
        lies = deque(sorted(self.faults.lies))
        while self.advance(dark=any(a <= step < b for a, b in self.faults.outages)) or kills:
            step += 1
            while fails and fails[0][0] <= step:
                self.enclave_disk.fails_until = self.enclave_disk.operations + fails.popleft()[1]
            while lies and lies[0] <= step:
                self.counts["lies"] += bool(lies.popleft())
                self.enclave_disk.lie()
            while kills and kills[0][0] <= step:
                self.kill(kills.popleft()[1])
        self.enclave_disk.fails_until = -1
        self.enclave_disk.kill_at = self.staging_disk.kill_at = None
        self.line = Impairer(Impairments(), self.seed)
        if len(self.published) == len(self.staged):
            self.counts["without_operator"] += 1
        self.recover()
        self.check_end()

    def commission(self) -> None:
        """The link is put into service: the receiver knows the channel from its first bundle on."""
        faulty, self.line = self.line, Impairer(Impairments(), self.seed)
        self.stage("first", b"commissioned")
        while self.advance():
            pass
        self.rest()
        self.line = faulty
        if self.faults.kill_at is not None:
            disk = self.staging_disk if self.faults.killed_by == "sender" else self.enclave_disk
            disk.kill_at = disk.operations + self.faults.kill_at

    def stage(self, name: str, data: bytes) -> None:
        """Drop an item into the outbox."""
        self.staging_disk.is_ours = True
        entry = self.config.outbox.path / "cve" / name
        entry.parent.mkdir(parents=True, exist_ok=True)
        entry.write_bytes(data)
        self.staged[name] = data
        self.staging_disk.is_ours = False

    def advance(self, *, dark: bool = False) -> bool:
        """One step of staging, and what arrives of it. False: nothing is left to send."""
        try:
            datagrams = self.send()
        except KilledError:
            self.kill("sender")
            return True
        if datagrams is None:
            return False
        arrived = self.line.apply(datagrams)
        if not dark:
            try:
                self.receiver().receive(arrived, self.now)
            except KilledError:
                self.kill(self.faults.killed_by)
            except (OSError, StorageError):  # its disk fails at the start: it is started again
                self.kill("receiver")
        self.look()
        return True

    def receiver(self) -> Enclave:
        """The receiver, started again if it was killed."""
        if self.enclave is None:
            try:
                self.enclave = Enclave(self)
            except ReplayError as error:
                raise Violation(f"I4: the receiver refuses to start: {error}") from error
            self.enclave.start()
        return self.enclave

    def send(self) -> np.ndarray | None:
        """Staging's next step, begun anew after a kill; it packs what lies in the outbox."""
        if self.staging is None:
            self.staging = Staging(self)
        for entry in sorted(self.config.outbox.path.glob("cve/*")):
            if str(entry) not in self.staging.flights.origins():
                self.staging.take(entry)
        return self.staging.next()

    def kill(self, what: str) -> None:
        """End a daemon. It is started again at its next step."""
        self.counts[what] += 1
        if what == "clock":  # it jumps while the sender is down
            self.epoch += self.rng.choice((-86400.0, -3.0, 3600.0))
        if what in ("sender", "clock"):
            if self.staging is not None:
                self.staging.close()
            self.staging = None
            return
        if what == "stop" and self.enclave is not None:
            with suppress(KilledError):
                self.enclave.stop()
        if self.enclave is not None:
            self.enclave.close()
        self.enclave = None
        if what == "power":
            self.enclave_disk.is_ours = True
            self.enclave_disk.lose_power()
            self.enclave_disk.is_ours = False
            self.boot = f"boot {self.counts['power'] + 1}"
        self.look()

    def recover(self) -> None:
        """An operator carries codes until nothing is missing."""
        for _ in range(MOST_ROUNDS):
            while self.advance():
                pass
            self.rest()
            if len(self.published) == len(self.staged):
                return
            self.counts["rounds"] += 1
            assert self.enclave is not None
            assert self.staging is not None
            ledger = self.enclave.store.records.ledger
            asked = [request_bundle(ledger, row.id) for row in ledger.bundles.in_progress() if row.state == "receiving"]
            for request in [*asked, *request_gaps(ledger)]:
                with suppress(UsageError):
                    row, ranges = find_asked(self.staging.ledger, self.config.state, decode(request.code))
                    self.staging.ledger.resends.ask(row.id, ranges)
        raise Violation(f"I4: {self.staged.keys() - self.published.keys()} neither published nor asked for")

    def rest(self) -> None:
        """Nothing is sent for a while, but heartbeats."""
        for _ in range(3):
            self.now += 6.0
            assert self.staging is not None
            self.receiver().receive(self.staging.heartbeat(), self.now)
        self.look()

    # what must hold

    def look(self) -> None:
        """Whatever is visible is complete and as staged; a reader may take it away, and it never comes again."""
        self.enclave_disk.drop_cache(f"{self.inbox}/cve/")  # a reader may come when memory was short
        for receipt in self.inbox.glob("cve/*/*"):
            name = receipt.parent.name
            if receipt.is_symlink():  # which version is in use
                continue
            if not (receipt / "receipt.json").exists():
                raise Violation(f"I1: {name} is visible without a receipt")
            if (receipt / "data" / name).read_bytes() != self.staged[name]:
                raise Violation(f"I2: {name} is not what was staged")
            if name in self.taken:
                raise Violation(f"I3: {name} was published twice")
            self.published[name] = 1
            if self.rng.random() < 0.5 and self.is_settled(name):
                self.taken.add(name)
                self.counts["taken"] += 1
                receipt.rename(self.folder / f"taken-{name}")
        if self.enclave is not None:
            orders = self.enclave.store.records.ledger.peer.link_orders().values()
            order = max((one.reached for one in orders), default=(-1, 0))
            if order < self.highest and not self.counts["power"]:
                raise Violation("I8: the order of heartbeats went back")
            self.highest = max(order, self.highest)

    def is_settled(self, name: str) -> bool:
        """Whether the ledger has it as published: what the disk still may undo, no reader takes here."""
        if self.enclave is None:
            return False
        return any(row.name == name for row in self.enclave.store.records.ledger.bundles.published("cve"))

    def check_end(self) -> None:
        """All is published, and nothing of it is left behind."""
        assert self.enclave is not None
        ledger = self.enclave.store.records.ledger
        for table in ("slab", "parked", "begun"):
            if rows := ledger._connection.execute(f"SELECT * FROM {table}").fetchall():
                raise Violation(f"I6: {len(rows)} rows left in {table}")
        if left := [path.name for path in (self.inbox / ".diode" / "spool").iterdir()]:
            raise Violation(f"I6: {left} left in the spool")
        # Without tags a manifest may arrive broken, and then whole.
        over = {row.id for row in ledger.bundles.published("cve")}
        self.check_audit()
        quarantine = self.inbox / ".diode" / "quarantine"
        names = {path.name for folder in (quarantine, quarantine / UNSIGNED) for path in folder.glob("*")}
        if aside := names - over - {UNSIGNED}:
            raise Violation(f"I4: {aside} in quarantine")

    def check_audit(self) -> None:
        """Both logs hold, say what was published before it was, and staging's has every head that was heard."""
        inside, outside = self.folder / "receiver", self.folder / "sender"
        own = {side: read_service_keys([side / "keys" / "service.pub"]) for side in (inside, outside)}
        try:
            verify(inside / "state" / "audit", own[inside])
            heard = checkpoints_heard(inside / "state" / "audit")
            verify(outside / "state" / "audit", own[outside], heard)
        except DiodeError as error:
            raise Violation(f"I7: {error}") from error
        said = [e for e in entries_of(inside / "state" / "audit") if e.what is What.PUBLISHED]
        first = Counter(entry.name for entry in said if not entry.again)
        if {entry.name for entry in said} != self.published.keys() or max(first.values()) > 1:
            raise Violation(f"I7: {first} are said to be published, {self.published} are")
        if any(entry.what is What.PEER_BACKWARDS for entry in entries_of(inside / "state" / "audit")):
            raise Violation("I7: the sender's log went backwards")

    def close(self) -> None:
        """End what runs."""
        if self.staging is not None:
            self.staging.close()
        if self.enclave is not None:
            self.enclave.close()


@contextmanager
def world(seed: int, faults: Faults | None = None) -> Iterator[World]:
    """A world in a temporary folder, with its disks watched."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with (
        tempfile.TemporaryDirectory(prefix="diode-world-", dir=place) as folder,
        pytest.MonkeyPatch.context() as patches,
    ):
        patches.setitem(PROFILES, "clean", SMALL)
        made = World(seed, Path(folder), faults or Faults.of(seed))
        with watched([made.enclave_disk, made.staging_disk]):
            try:
                yield made
            finally:
                made.close()


assert symbol_bytes_for(MTU) == 448  # slabs of 112 KiB
