"""Two hosts and one cable: network namespaces joined by a veth pair, with every frame counted on the cable."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.patience import PATIENCE_S

LOW, HIGH = "10.78.0.1", "10.78.0.2"
LOW_MAC, HIGH_MAC = "02:00:00:00:0d:01", "02:00:00:00:0d:02"
PORT = 9001
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Line:
    """``low`` and ``high`` name the namespaces; in each of them the interface has the same name."""

    low: str
    high: str

    @property
    def enter_low(self) -> tuple[str, ...]:
        """What a command begins with to run on the low side."""
        return ("ip", "netns", "exec", self.low)

    @property
    def enter_high(self) -> tuple[str, ...]:
        """Likewise on the high side."""
        return ("ip", "netns", "exec", self.high)

    def frames_from_high(self) -> int:
        """Frames that came out of the cable on the low side since it was made, before any rule sees them."""
        return int(self.low_says("cat", "/sys/class/net/low/statistics/rx_packets"))

    def frames_from_low(self) -> int:
        """Frames that came out of the cable on the high side."""
        return int(self.high_says("cat", "/sys/class/net/high/statistics/rx_packets"))

    def low_says(self, *command: str | Path) -> str:
        """Run a command on the low side; what it prints."""
        return run(*self.enter_low, *command)

    def high_says(self, *command: str | Path) -> str:
        """Likewise on the high side."""
        return run(*self.enter_high, *command)

    def plug_in(self) -> None:
        """Both ends go up, which makes a kernel talk by itself."""
        run("ip", "-n", self.high, "link", "set", "high", "up")
        run("ip", "-n", self.low, "link", "set", "low", "up")
        run("ip", "-n", self.low, "neighbour", "replace", HIGH, "lladdr", HIGH_MAC, "dev", "low", "nud", "permanent")


def run(*command: str | Path) -> str:
    """Run a command; what it prints. CalledProcessError when it fails."""
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE_S, cwd=ROOT).stdout


def is_possible() -> str:
    """Why this machine can make no such line; "" when it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    try:
        with line("try"):
            return ""
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        return f"no network namespaces or no veth here: {error}"


@contextmanager
def line(name: str) -> Iterator[Line]:
    """A line whose ends are still down; ``name`` tells it from others of this process."""
    made = Line(f"dw-{os.getpid()}-{name}-low", f"dw-{os.getpid()}-{name}-high")
    try:
        for namespace in (made.low, made.high):
            run("ip", "netns", "add", namespace)
            run("ip", "-n", namespace, "link", "set", "lo", "up")
        ends = f"low address {LOW_MAC} type veth peer name high address {HIGH_MAC} netns {made.high}"
        run("ip", "-n", made.low, "link", "add", *ends.split())
        run("ip", "-n", made.low, "address", "add", f"{LOW}/30", "dev", "low")
        run("ip", "-n", made.high, "address", "add", f"{HIGH}/30", "dev", "high")
        yield made
    finally:
        for namespace in (made.low, made.high):
            subprocess.run(("ip", "netns", "delete", namespace), check=False, capture_output=True)
