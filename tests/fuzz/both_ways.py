"""Hostile links taken both ways: by the readable gate and assembler, and by :class:`RunTaker` over a kernel's tags.

Two enclaves hear the same. After each region all that they keep and hand over must be the same: slabs and their
symbols, counters, drops, sessions. ``python -m tests.fuzz.both_ways --epoch N`` plays one link, ``--seconds S`` as many
as fit: half of them hostile, half of them the calmer ones of ``tests/both_ways.py``.
"""

import argparse
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import numpy as np

from diode.core.library import load
from diode.core.sealing import Sealing
from diode.protocol import run_taker
from diode.protocol.auth import Kernel
from diode.protocol.fec import choose_engine
from diode.protocol.link_key import LinkKey, Mode
from diode.protocol.sizes import Kind
from tests.both_ways import kept, play
from tests.fuzz.datagrams import small_slabs
from tests.fuzz.enclave import Enclave, enclave
from tests.fuzz.hostile import Hostile, honest_bundles, signer_of
from tests.needs import has_core

FEW_PIECES: Final = (1, 8, 1 << 20)  # of a run, above which it is taken as a whole


def run_epoch(number: int, kernel: Kernel, batches: int = 12) -> int:
    """One hostile link. Raises AssertionError where the two differ. Returns how many datagrams were compared."""
    rng = np.random.default_rng(number)
    mode: Mode = rng.choice(("gmac", "gmac", "gmac", "none"))
    mtu = int(rng.choice((576, 576, 1500)))
    arena_bytes = int(rng.choice((24, 48))) << 20
    key, signer = LinkKey.of(rng.bytes(32)), signer_of(rng)
    most_pieces = int(rng.choice(FEW_PIECES))
    with ExitStack() as stack:
        stack.enter_context(small_slabs())
        stack.enter_context(patch.object(run_taker, "MOST_PIECES", most_pieces))
        good, bad = honest_bundles(rng, signer, mtu)
        attacker = Hostile(
            rng, key, mode, [*good, *bad], choose_engine(), has_key=bool(rng.random() < 0.7), silences=False
        )
        staged = {bundle.number: bytes(bundle.parts[Kind.DATA, 0]) for bundle in [*good, *bad]}
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="diode-fuzz-"))) for _ in range(2)]
        readable, taking = (
            stack.enter_context(enclave(folder, key, mode, arena_bytes, [signer.public_key], staged, number, chosen))
            for folder, chosen in zip(folders, (None, kernel), strict=True)
        )
        assert readable.worker._taker is None
        assert taking.worker._taker is not None
        for _ in range(batches):
            _hear(readable, taking, attacker, rng)
        return readable.datagrams


def _hear(readable: Enclave, taking: Enclave, attacker: Hostile, rng: np.random.Generator) -> None:
    """A heartbeat, and a region in some order; then perhaps a pause."""
    passed, is_slow, rests = float(rng.choice((0.001, 0.01, 0.5))), bool(rng.random() < 0.3), bool(rng.random() < 0.2)
    beat, rows = np.ascontiguousarray(attacker.heartbeat()), _calmed(attacker, rng)
    received, lengths = attacker.region(rows)
    for one in (readable, taking):
        one.now += passed
        one.receive(beat, [beat.shape[1]])
        one.receive(received, lengths, is_slow=is_slow)
    compare(readable, taking)
    for one in (readable, taking):
        if rests:
            one.drain()
            one.rest()
            one.check()
    compare(readable, taking)


def _calmed(attacker: Hostile, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """A hostile batch, or a calm one: whole slabs in order, some with a loss or a repeat, and few forged rows."""
    if rng.random() < 0.5:
        return attacker.batch()
    pool, made = attacker.pool, []
    for number in rng.permutation(len(pool.slabs))[:6].tolist():
        rows = np.arange(*pool.slabs[number])
        rows = rows[rng.random(len(rows)) < rng.choice((1.0, 0.98, 0.5))]
        extra = rng.choice(rows, min(len(rows), int(rng.integers(4)))) if len(rows) else rows
        made.append(np.sort(np.concatenate([rows, extra]), kind="stable") if rng.random() < 0.5 else rows)
    chosen = np.concatenate(made)[: attacker._most]
    batch: np.ndarray[Any, Any] = pool.sealed[chosen]
    forged = np.flatnonzero(rng.random(len(batch)) < 0.002)
    batch[forged, rng.integers(0, batch.shape[1], len(forged))] ^= 1
    return batch


def compare(readable: Enclave, taking: Enclave) -> None:
    """All that is kept, and what was handed over."""
    one, other = state_of(readable), state_of(taking)
    for name in one:
        assert one[name] == other[name], name


def state_of(target: Enclave) -> dict[str, Any]:
    """By name."""
    worker, assembler, judge = target.worker, target.assembler, target.judge
    return kept(worker._gate, assembler) | {
        "drops": +target.drops,
        "datagrams": (target.datagrams, worker._regions.usual_bytes),
        "handed over": [str(item) for item in assembler.handed_over],
        "judged": (judge.published, judge.counts, judge.refused, judge.over),
    }


def main() -> None:
    """Links until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--epoch", type=int)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if not has_core():
        print("both ways: the core is not compiled (python diode/core/build.py)")
        return
    kernel, datagrams, epochs, end = Sealing(load()), 0, 0, time.monotonic() + given.seconds
    number = given.seed << 32 if given.epoch is None else given.epoch
    while not epochs or (given.epoch is None and time.monotonic() < end):
        try:
            datagrams += run_epoch(number, kernel) if number % 2 else play(number, kernel, 200)
        except BaseException:
            print(f"python -m tests.fuzz.both_ways --epoch {number}", flush=True)
            raise
        epochs, number = epochs + 1, number + 1
    print(f"{datagrams:,} datagrams of {epochs} links, taken alike both ways")


if __name__ == "__main__":
    main()
