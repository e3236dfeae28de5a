"""When each step of one transfer begins and ends: ``python -m tests.timeline FOLDER --mib 64 --mtu 9000``.

Real daemons on loopback run a copy of the code in which a few functions are wrapped: they say when they were called,
and when they returned. A line has milliseconds since the first datagram of the bundle, how many the step took, and what
it is. On a busy machine compare only lines of one run.
"""

import argparse
import asyncio
import os
import random
import re
import shutil
from pathlib import Path
from typing import Final, NamedTuple

from tests.e2e.pair import Ends, pair
from tests.ports import free_address

PATIENCE_S: Final = 120.0
CODE: Final = Path(__file__).parents[1]
SAID: Final = re.compile(r"timeline (\d+\.\d+) (\d+\.\d+) ([\w .:(),=-]*)")

# by file: (class, or "" for the file itself; function; its label, or "once" for the first call alone)
TRACED: Final = {
    "sender/transport/encode.py": [
        ("Encoder", "_encode", "f'encode: kind {a[2].kind} slab {a[2].slab} row {a[2].row}'"),
        ("SlabEncoder", "_add_repair", "'encode: repair'"),
    ],
    "sender/transport/transmit.py": [
        ("Transmitter", "_send_slot", "f'transmit: slot {a[1].slot}'"),
        ("Transmitter", "_send_part", "once"),
    ],
    "receiver/transport/handover.py": [
        ("", "_described", "f'assemble: {type(a[0]).__name__} kind {a[0].key.kind} slab {a[0].key.number}'"),
    ],
    "receiver/store/worker.py": [
        ("Store", "_handle", "f'store: {type(a[1]).__name__} kind {a[1].kind} slab {a[1].number}'"),
    ],
    "receiver/store/arena.py": [("Arena", "maybe_copy_hashed", "'store: copied and hashed'")],
    "receiver/spool/tree.py": [("Tree", "put", "'store: written'"), ("Tree", "finish", "'store: tree finished'")],
    "receiver/store/receiving.py": [("Receiving", "sync", "'store: synced'")],
    "receiver/store/publish.py": [
        ("Publishing", "_examine", "'store: examined'"),
        ("Publishing", "publish", "'store: published'"),
    ],
}

WRAP: Final = """

def _timed(owner, name, label):
    import os, time

    real = getattr(owner, name) if owner else globals()[name]

    def call(*a, **named):
        begun = time.monotonic()
        try:
            return real(*a, **named)
        finally:
            said = label(a)
            if said:
                os.write(2, f"timeline {begun:.4f} {time.monotonic():.4f} {said}\\n".encode())

    if owner:
        setattr(owner, name, call)
    else:
        globals()[name] = call


def _once(said, seen=[]):
    seen.append(said)
    return said if len(seen) == 1 else ""


"""


class Step(NamedTuple):
    """A call, from and to in seconds of the monotonic clock."""

    begun: float
    ended: float
    label: str


def traced(folder: Path) -> Path:
    """A copy of the code, wrapped."""
    for package in ("diode", "sender", "receiver"):
        shutil.copytree(CODE / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name, wrapped in TRACED.items():
        with (folder / name).open("a") as file:
            file.write(WRAP)
            for owner, method, label in wrapped:
                said = f"_once({method!r})" if label == "once" else label
                file.write(f"_timed({owner or None}, {method!r}, lambda a: {said})\n")
    return folder


async def transfer(folder: Path, mib: int, mtu: int, rate: int, code: Path) -> list[Step]:
    """The steps of one transfer, in order."""
    enter = ("env", "-C", str(code), f"PYTHONPATH={code}")
    address = free_address()
    source = folder / "source.bin"
    source.write_bytes(random.Random(1).randbytes(1 << 20) * mib)
    async with pair(folder / "pair", rate=rate, mtu=mtu, ends=Ends(address, address, enter, enter)) as link:
        receiver = await link.receiver("--bundles", "1")
        arguments = ("send", "--json", "--no-progress", "--channel", "bench", "--version", "1", str(source))
        sender = await link.sender(*arguments)
        assert 0 == await receiver.ended(PATIENCE_S) == await sender.ended(PATIENCE_S)
    steps = [
        Step(float(found[1]), float(found[2]), found[3])
        for line in (*sender.log, *receiver.log)
        for found in SAID.finditer(line)
    ]
    return sorted(steps)


def show(steps: list[Step]) -> None:
    """Print them."""
    begun = next(step.begun for step in steps if step.label == "_send_part")
    for step in steps:
        took = 1000 * (step.ended - step.begun)
        print(f"{1000 * (step.begun - begun):9.1f} {took:8.1f}  {step.label}")


def main() -> None:
    """Run one transfer and show it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="works here; what it makes is removed")
    parser.add_argument("--mib", type=int, default=64)
    parser.add_argument("--mtu", type=int, default=9000)
    parser.add_argument("--rate", type=int, default=250_000_000, help="bytes a second (%(default)s)")
    given = parser.parse_args()
    folder = given.folder / f"timeline-{os.getpid()}"
    try:
        code = traced(folder / "code")
        show(asyncio.run(transfer(folder, given.mib, given.mtu, given.rate, code)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
