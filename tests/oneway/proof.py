"""``make oneway``: a receiver on its own host is probed, a rogue beside it tries to get out, and frames are counted.

Each situation stands in a row of its own: what was sent at the receiver, how often a rogue tried, and how many frames
came out of the cable on the low side. Without the rules they do, which shows that the count sees them.
"""

import argparse
import asyncio
import contextlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from diode.net.address import Address
from tests.e2e.pair import Ends, Pair, Process, pair
from tests.oneway.line import HIGH, PORT, Line, is_possible, line
from tests.patience import PATIENCE_S, until

HERE: Final = Path(__file__).parent
SIZE: Final = 40_000_000
CHATTER_S: Final = 3.0  # what a kernel says by itself when a cable is plugged in
ROGUE: Final = (sys.executable, "-m", "tests.oneway.rogue")
DIODE: Final = ("-c", "from diode.cli.main import main; main()", "oneway")


@dataclass(frozen=True)
class Row:
    """One situation. ``came_back``: frames on the cable, from the high side to the low one."""

    situation: str
    probes: int
    tries: int
    datagrams: int
    bundles: str
    dropped: int
    came_back: int

    @property
    def is_right(self) -> bool:
        """Nothing came back; without rules, something must have, or the count is blind."""
        return (self.came_back > 0) == (self.situation == NO_RULES)


NO_RULES: Final = "no rules, no receiver (for comparison)"


class Proof:
    """One line, and one pair of daemons on its ends."""

    def __init__(self, cable: Line, link: Pair, turns: int, size: int) -> None:
        self._cable = cable
        self._link = link
        self._turns = turns
        self._size = size
        self._config = link.folder / "receiver" / "receiver.toml"
        self._bundles = 0
        self._probes = 0
        self._tries = 0

    def oneway(self, command: str) -> str:
        """``diode oneway`` on the high side."""
        options = ("-c", self._config, "-i", "high", *(() if command == "remove" else ("--from", "10.78.0.1")))
        return self._cable.high_says(sys.executable, *DIODE, command, *options)

    def dropped(self) -> int:
        """Frames that the rules kept from leaving."""
        said = self.oneway("check")
        return int(said.split("tried to leave: ")[1].split(" ")[0].rstrip(",").replace(",", ""))

    async def harass(self) -> None:
        """Send probes at the receiver, and let a rogue try beside it; both at once."""
        probes, rogue = await asyncio.gather(
            asyncio.to_thread(self._cable.low_says, sys.executable, HERE / "probes.py", str(self._turns)),
            asyncio.to_thread(self._cable.high_says, *ROGUE, str(self._turns)),
        )
        self._probes += int(probes)
        self._tries += int(rogue.split()[0])

    @contextlib.asynccontextmanager
    async def row(self, situation: str, rows: list[Row]) -> AsyncIterator[dict[str, str]]:
        """Count what happens in the block, which says how many bundles arrived."""
        has_rules = situation != NO_RULES
        before, sent = self._cable.frames_from_high(), self._cable.frames_from_low()
        dropped = self.dropped() if has_rules else 0
        self._probes = self._tries = 0
        said = {"bundles": "-"}
        yield said
        await asyncio.sleep(1.0)  # answers that a kernel puts off
        others = self._cable.frames_from_low() - sent - self._probes
        came_back = self._cable.frames_from_high() - before
        dropped = self.dropped() - dropped if has_rules else 0
        rows.append(Row(situation, self._probes, self._tries, others, said["bundles"], dropped, came_back))

    async def run(self) -> list[Row]:
        """All situations, one after the other."""
        rows: list[Row] = []
        async with self.row(NO_RULES, rows):
            self._cable.plug_in()
            await asyncio.sleep(CHATTER_S)
            await self.harass()
        self._cable.high_says("ip", "link", "set", "high", "down")
        self.oneway("install")
        started = self._cable.frames_from_high()
        self._cable.plug_in()
        await asyncio.sleep(CHATTER_S)
        rows.append(Row("link-up, with rules", 0, 0, 0, "-", self.dropped(), self._cable.frames_from_high() - started))
        async with self.row("receiver up, transfer running", rows) as said:
            receiver = await self._link.receiver("--bundles", "1")
            sender = await self._send(passes=1)
            probes = asyncio.create_task(self.harass())
            assert (0, 0) == (await sender.ended(), await receiver.ended())
            await probes  # they ran beside it
            said["bundles"] = "1 of 1"
        async with self.row("receiver killed in mid-transfer, then started again", rows) as said:
            sender = await self._killed()
            while self._arrived.exists():  # before the receiver was killed
                await _end(sender)
                sender = await self._killed()
            await self.harass()
            again = await self._link.receiver()
            await until(self._arrived.exists, "what was interrupted is published")
            await _end(again)
            await _end(sender)
            said["bundles"] = "1 of 1"
        async with self.row("receiver down: its port is closed", rows):
            sender = await self._send(passes=1)
            await asyncio.gather(sender.said('"outcome": "sent"'), self.harass())
            await _end(sender)  # which would go on with the passes of the bundle before
        return rows

    async def _killed(self) -> Process:
        """Kill a receiver that receives. The sender goes on, and gives it three minutes to start again."""
        receiver = await self._link.receiver()
        sender = await self._send(passes=16, delay_s=12)
        await receiver.said('"bytes_done": ')
        receiver.signal(signal.SIGKILL)
        await receiver.ended()
        return sender

    @property
    def _arrived(self) -> Path:
        """Where the newest item is published."""
        return self._link.inbox / "default" / f"item{self._bundles}" / "1"

    async def _send(self, passes: int, delay_s: int = 2) -> Process:
        self._bundles += 1
        item = self._link.folder / f"item{self._bundles}"
        item.write_bytes(random.Random(self._bundles).randbytes(self._size))
        options = ("--passes", str(passes), "--pass-delay", str(delay_s), "--version", "1")
        return await self._link.sender("send", "--json", *options, str(item))


async def _end(daemon: Process) -> None:
    """End it in order."""
    daemon.signal(signal.SIGTERM)
    assert 0 == await daemon.ended()


@contextlib.contextmanager
def captured(cable: Line, file: Path | None) -> Iterator[None]:
    """Keep every frame on the low side's end of the cable in ``file``, by tcpdump or dumpcap."""
    if file is None:
        yield
        return
    tool = next((tool for tool in ("tcpdump", "dumpcap") if shutil.which(tool)), None)
    if tool is None:
        raise SystemExit("--capture needs tcpdump or dumpcap")
    options = ("-U", "-Z", "root") if tool == "tcpdump" else ("-q",)
    command = (*cable.enter_low, tool, "-i", "low", "-s", "128", "-w", str(file.resolve()), *options)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        process.stderr.readline()  # it says that it listens
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)


async def prove(folder: Path, turns: int, size: int, capture: Path | None = None) -> list[Row]:
    """Make a line, and count in all situations; ``size`` is a bundle's, in bytes."""
    with line("proof") as cable:
        there = Address(HIGH, PORT)
        ends = Ends(there, there, cable.enter_low, cable.enter_high)
        with captured(cable, capture):
            async with pair(folder, rate=20_000_000, ends=ends) as link:
                return await Proof(cable, link, turns, size).run()


def show(rows: list[Row]) -> None:
    """Draw the table."""
    table = Table("situation", "probes", "rogue's tries", "other frames", "delivered", "dropped", "came back")
    for row in rows:
        figures = (row.probes, row.tries, row.datagrams, row.bundles, row.dropped, row.came_back)
        table.add_row(row.situation, *(f"{figure:,}" if isinstance(figure, int) else figure for figure in figures))
    console = Console()
    console.width = max(console.width, 120)
    console.print(table)


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m tests.oneway", description=__doc__)
    parser.add_argument("--turns", type=int, default=20, help="how often each probe is sent, and each way is tried")
    parser.add_argument("--capture", type=Path, help="keep the low side's frames in a pcap file, as evidence")
    options = parser.parse_args()
    if why := is_possible():
        print(f"skipped: {why}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        rows = asyncio.run(prove(Path(folder), options.turns, SIZE, options.capture))
    show(rows)
    return int(not all(row.is_right for row in rows))
