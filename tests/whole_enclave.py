"""A whole enclave on loopback for a test: staging, link, daemon and gateway as real processes.

Bundles that are published before ``start`` cross the link, version by version. Pointers are moved by order files, as
commands write them, but without the second that a command takes to start; now and then by a command.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.formats.timestamps import now_utc
from diode.layouts.kinds import KINDS
from receiver.commands.opening import open_ledger
from receiver.promotion.orders import Order, new_id, write_order
from tests.patience import wait_until
from tests.ports import free_address

BIN: Final = Path(sys.executable).parent
START_S: Final = 120.0  # until a program that was told to end has ended
COMMAND_EVERY: Final = 50  # moves
Restart = Literal["hup", "kill", "daemon"]
RESTARTS: Final[tuple[Restart, ...]] = ("hup", "daemon", "kill")


@dataclass
class WholeEnclave:
    """The processes and the folder they work in. ``kills``: when the serving process was killed, of time.monotonic."""

    folder: Path
    labels: list[tuple[str, str]] = field(default_factory=list)
    kills: list[float] = field(default_factory=list)
    restarts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._listen = str(free_address())
        self.base = f"http://{self._listen}"
        self._toml = self.folder / "receiver" / "receiver.toml"

    def publish(self, channel: str, name: str, version: str, files: Mapping[str, bytes | str]) -> None:
        """Put a bundle where ``running`` sends it from."""
        place = self.folder / "made" / version / channel / f"{name}@{version}"
        for path, content in files.items():
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_bytes(content.encode() if isinstance(content, str) else content)
        if (channel, name) not in self.labels:
            self.labels.append((channel, name))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send what was published, and serve it until the block ends."""
        try:
            self._prepare()
            self._start_daemon()
            self._start("sender", "diode-sender", self.folder / "sender" / "sender.toml", "run")
            for made in sorted((self.folder / "made").iterdir()):
                self._send(made)
            self._end("sender")
            self._start("gateway", "diode-receiver", self._toml, "gateway", "run")
            wait_until(lambda: bool(self._pids()), "the gateway serves")
            yield
        finally:
            for name in list(self._processes):
                self._end(name)

    def move(self, number: int, versions: Sequence[str]) -> None:
        """Promote the older version of every name, or roll back, in turn; returns when all is done."""
        asked = list(self.labels)
        if number % COMMAND_EVERY == COMMAND_EVERY - 1:
            channel, name = asked.pop(0)
            words = ("rollback", f"{channel}/{name}") if number % 2 else ("promote", f"{channel}/{name}", versions[0])
            self._command("diode-receiver", "-c", str(self._toml), *words, "--yes")
        orders = [self._order(number, label, versions) for label in asked]
        config = load(ReceiverConfig, self._toml)
        for order in orders:
            write_order(config.state, order, [])
        with closing(open_ledger(config)) as ledger:
            wait_until(
                lambda: all(ledger.pointers.outcome(order.id) is not None for order in orders), "the orders are read"
            )
            for order in orders:
                outcome = ledger.pointers.outcome(order.id)
                if outcome is None or outcome.outcome != "applied":
                    self.problems.append(f"{order.what} of {order.channel}/{order.name}: {outcome}")

    def restart(self, what: Restart) -> None:
        """Have a new serving process, kill the serving one, or end the daemon and start it again."""
        before = len(self._pids())
        match what:
            case "hup":
                self._processes["gateway"].send_signal(signal.SIGHUP)
            case "kill":
                self.kills.append(time.monotonic())
                os.kill(self._pids()[-1], signal.SIGKILL)
            case "daemon":
                self._end("daemon")
                self._start_daemon()
        if what != "daemon":
            wait_until(lambda: len(self._pids()) > before, f"a serving process after {what}")
        self.restarts[what] += 1

    def _prepare(self) -> None:
        link = str(free_address())
        self._command("diode", "init", "pair", str(self.folder), "--to", link, "--listen", link)
        channels = "".join(f'\n[channels.{kind}]\nserve = ["{kind}"]\n' for kind in KINDS)
        with self._toml.open("a") as file:
            file.write(f'{channels}\n[gateway]\nlisten = "{self._listen}"\n')

    def _send(self, made: Path) -> None:
        for place in made.glob("*/*"):
            into = self.folder / "sender" / "outbox" / place.parent.name
            into.mkdir(exist_ok=True)
            shutil.move(place, into / place.name)
        inbox = self.folder / "receiver" / "inbox"
        receipts = [inbox / channel / name / made.name / "receipt.json" for channel, name in self.labels]
        wait_until(lambda: all(one.exists() for one in receipts), f"version {made.name} is published")
        with closing(open_ledger(load(ReceiverConfig, self._toml))) as ledger:  # a pointer that people moved stays
            pointers = ledger.pointers
            wait_until(
                lambda: all(
                    (found := pointers.get(*label)) and found.current and found.current.version == made.name
                    for label in self.labels
                ),
                f"version {made.name} is in use",
            )

    def _order(self, number: int, label: tuple[str, str], versions: Sequence[str]) -> Order:
        what: Literal["promote", "rollback"] = "rollback" if number % 2 else "promote"
        channel, name = label
        return Order(
            id=new_id(), what=what, channel=channel, name=name, version=versions[number % 2], reason="", at=now_utc()
        )

    def _command(self, program: str, *words: str) -> None:
        done = subprocess.run([str(BIN / program), *words], capture_output=True, text=True, check=False)
        if done.returncode:
            raise AssertionError(f"{program} {' '.join(words)}: {done.stderr.strip()}")

    def _start_daemon(self) -> None:
        """Start it, and wait until it can be told to end: before that a signal kills it."""
        before = self._count("listening") if (self.folder / "daemon.log").exists() else 0
        self._start("daemon", "diode-receiver", self._toml, "run")
        wait_until(lambda: self._count("listening") > before, "the daemon listens")

    def _count(self, event: str) -> int:
        return len([line for line in self._lines("daemon") if line.get("event") == event])

    def _start(self, name: str, program: str, config: Path, *words: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            command = [str(BIN / program), "-c", str(config), *words]
            env = {**os.environ, "DIODE_OUTBOX__SETTLE_S": "0"}  # what is moved there is whole
            self._processes[name] = subprocess.Popen(command, stdout=log, stderr=log, env=env)

    def _end(self, name: str) -> None:
        """End a program in order. Whoever does not end well is a problem."""
        process = self._processes.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(START_S)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        if code:
            self.problems.append(f"{name} ended with {code}: {(self.folder / f'{name}.log').read_text()[-600:]}")

    def _pids(self) -> list[int]:
        """The serving processes of the gateway so far, the newest last."""
        return [int(line["pid"]) for line in self._lines("gateway") if line.get("event") == "gateway_serving"]

    def _lines(self, name: str) -> Iterator[dict[str, Any]]:
        for line in (self.folder / f"{name}.log").read_text().splitlines():
            if line.startswith("{"):
                yield json.loads(line)
