"""The datagram fuzzer: hostile links, one after another, against the real gate, assembler and worker.

An *epoch* is one such link: keys, bundles, geometry and mode are drawn from its number alone, so that ``python -m
tests.fuzz.datagrams --epoch N`` replays it. Half of the attackers hold the link key. What must hold:

- nothing raises, nothing hangs, every datagram is counted, and all that is kept is bounded (`Enclave.check`);
- nothing is published that an honest signer did not stage (`MemoryStore`);
- who has no key changes nothing: no conflict, no forged manifest; afterwards an honest sender completes everything, and
  after an attacker with the key has gone, too (unless he outbid the honest heartbeats for good).
"""

import argparse
import dataclasses
import faulthandler
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from securesystemslib.signer import Key

from diode.errors import Drop
from diode.protocol.fec import choose_engine
from diode.protocol.geometry import PROFILES
from diode.protocol.link_key import LinkKey, Mode
from diode.protocol.sizes import Kind
from tests.faults.staging import SMALL
from tests.fuzz.enclave import Enclave, enclave
from tests.fuzz.hostile import Hostile, honest_bundles, signer_of

BATCHES: Final = 48
MOST_PASSES: Final = 6
HANG_S: Final = 60  # one batch takes milliseconds
MOST_GROWTH_BYTES: Final = 384 << 20  # of resident memory over all epochs: arena, rings, pools and their successors
AGAINST_FLOOR: Final = {"tagged": 0.30, "decoded": 0.05, "completed": 0.01}


@dataclass
class Tally:
    """What epochs did."""

    epochs: int = 0
    datagrams: int = 0
    tagged: int = 0  # datagrams with a valid tag
    decoded: int = 0  # symbols of slabs that were decoded
    completed: int = 0  # slabs
    published: int = 0
    redone: int = 0  # slabs or tables that did not have the signed digest
    rejected: int = 0  # manifests
    spilled: int = 0
    seconds: float = 0.0

    def add(self, other: "Tally") -> None:
        """Sum up."""
        for field in dataclasses.fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))

    def shares(self) -> dict[str, float]:
        """Of all datagrams."""
        return {name: getattr(self, name) / max(1, self.datagrams) for name in AGAINST_FLOOR}

    def shortfalls(self) -> list[str]:
        """Shares below what makes this fuzzer worth its time."""
        shares = self.shares()
        return [
            f"{name}: {shares[name]:.2%} < {floor:.0%}" for name, floor in AGAINST_FLOOR.items() if shares[name] < floor
        ]

    def __str__(self) -> str:
        shares = ", ".join(f"{name} {share:.1%}" for name, share in self.shares().items())
        return (
            f"{self.datagrams:,} datagrams in {self.epochs} epochs ({shares}); {self.completed:,} slabs completed, "
            f"{self.redone:,} collected again, {self.spilled:,} parked, {self.rejected:,} manifests rejected, "
            f"{self.published:,} bundles published; {self.datagrams / max(self.seconds, 1e-9):,.0f} a second and core"
        )


@contextmanager
def small_slabs() -> Iterator[None]:
    """Slabs of 4 rows meanwhile, so that an epoch sees thousands of them."""
    before = PROFILES["clean"]
    PROFILES["clean"] = SMALL
    try:
        yield
    finally:
        PROFILES["clean"] = before


def run_epoch(number: int, batches: int = BATCHES) -> Tally:
    """One hostile link. Raises whatever is wrong."""
    began = time.perf_counter()
    rng = np.random.default_rng(number)
    mode: Mode = rng.choice(("gmac", "gmac", "gmac", "gmac", "gmac", "gmac", "aead", "none"))
    mtu = int(rng.choice((576, 576, 576, 1500)))
    has_key = mode == "none" or bool(rng.random() < 0.6)
    silences = has_key and bool(rng.random() < 0.15)
    arena_bytes = int(rng.choice((24, 48, 128))) << 20
    key, signer = LinkKey.of(rng.bytes(32)), signer_of(rng)
    with small_slabs(), tempfile.TemporaryDirectory(prefix="diode-fuzz-") as folder:
        good, bad = honest_bundles(rng, signer, mtu)
        attacker = Hostile(rng, key, mode, [*good, *bad], choose_engine("auto"), has_key=has_key, silences=silences)
        staged = {bundle.number: bytes(bundle.parts[Kind.DATA, 0]) for bundle in [*good, *bad]}
        trusted: list[Key] = [signer.public_key]
        with enclave(Path(folder), key, mode, arena_bytes, trusted, staged, number) as target:
            for _ in range(batches):
                target.now += float(rng.choice((0.001, 0.01, 0.5)))
                _send(target, attacker.heartbeat())
                rows = attacker.batch()
                target.receive(*attacker.region(rows), is_slow=bool(rng.random() < 0.3))
                if rng.random() < 0.2:
                    target.drain()
                    target.rest()
                    target.check()
            target.drain()
            target.check()
            if not has_key:
                strange = {reason: target.drops[reason] for reason in (Drop.CONFLICT, Drop.SIGNED_GEOMETRY)}
                assert not any(strange.values()), f"a stranger reached the assembler: {strange}"
                assert not {name for name in target.judge.counts if name.startswith("manifest_")}
            if not silences:
                _complete(target, attacker, {bundle.number for bundle in good})
            return _tally(target, time.perf_counter() - began)


def _complete(target: Enclave, attacker: Hostile, wanted: set[int]) -> None:
    """The attacker is gone; an honest sender makes passes until all that is not over already has been published."""
    wanted = wanted - target.judge.over
    before = Counter(target.judge.published)
    for _ in range(MOST_PASSES):
        target.now += 1.0
        _send(target, attacker.heartbeat())
        for first in range(0, len(attacker.pool.sealed), 2000):
            _send(target, attacker.pool.sealed[first : first + 2000])
        target.rest()
        target.check()
        missing = [f"{number:016x}" for number in wanted if target.judge.published[number] == before[number]]
        if not missing:
            return
    raise AssertionError(f"never published after the attack: {missing}")


def _send(target: Enclave, rows: np.ndarray) -> None:
    target.receive(np.ascontiguousarray(rows), [rows.shape[1]] * len(rows))


def _tally(target: Enclave, seconds: float) -> Tally:
    counts, assembler = target.judge.counts, target.assembler
    return Tally(
        epochs=1, datagrams=target.datagrams, tagged=target.tagged, decoded=assembler.decoded,
        completed=assembler.completed, published=sum(target.judge.published.values()),
        redone=counts["redone"] + counts["table_redone"],
        rejected=sum(n for name, n in counts.items() if name.startswith("manifest_")),
        spilled=counts["Spilled"], seconds=seconds,
    )  # fmt: skip


def resident_bytes() -> int:
    """Of this process now."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    raise AssertionError("no VmRSS in /proc/self/status")


def epochs_of(seed: int, worker: int) -> int:
    """Number of a worker's first epoch; it counts up from there."""
    return (seed << 32) + (worker << 24)


def run_worker(seed: int, worker: int, seconds: float) -> Tally:
    """Epochs for so long. A failure names the command that replays it, then is raised again."""
    total, first, deadline = Tally(), epochs_of(seed, worker), time.monotonic() + seconds
    base = 0
    while time.monotonic() < deadline:
        number = first + total.epochs
        faulthandler.dump_traceback_later(HANG_S, exit=True)
        try:
            total.add(run_epoch(number))
        except BaseException:
            print(f"epoch {number} failed; replay: python -m tests.fuzz.datagrams --epoch {number}", file=sys.stderr)
            raise
        finally:
            faulthandler.cancel_dump_traceback_later()
        base = base or resident_bytes()
        grown = resident_bytes() - base
        assert grown < MOST_GROWTH_BYTES, f"resident memory grew by {grown >> 20} MiB in {total.epochs} epochs"
    return total


def main() -> None:
    """Replay one epoch, or be one worker of ``python -m tests.fuzz``: then a line of JSON is printed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epoch", type=int, help="replay this one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--worker", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args()
    if given.epoch is not None:
        faulthandler.dump_traceback_later(HANG_S, exit=True)
        print(run_epoch(given.epoch))
        return
    print(json.dumps(dataclasses.asdict(run_worker(given.seed, given.worker, given.seconds))))


if __name__ == "__main__":
    main()
