"""The loss matrix: what whole transfers deliver over an impaired line, beside what ``diode plan`` says they will.

``python -m tests.faults.matrix`` prints one row for each loss and burst length. A run is one transfer of
:mod:`tests.link`: real scheduler, encoder, gate, assembler and Reed-Solomon, the emulator's line between them, and the
first heartbeat before it. The same seed gives the same table. It ends with 1 when a row contradicts the model, with 130
on Ctrl-C, else with 0.

The model errs on the safe side, and so a row has two figures. ``model`` is its forecast, the least that should be
delivered. ``at most`` takes the blocks of a slab to share one fate under bursts, and manifest and tables never to be
lost: the line allows no more. Of losses that come alone the two say nearly the same.
"""

import argparse
import random
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Final, Literal

from diode.lab.plan import Loss, Tail, binomial_tail, block_failure, forecast
from diode.net.impairments import Impairments
from diode.protocol.fec import Engine, choose_engine
from diode.protocol.geometry import PROFILES, slab_at, slab_count, stream_geometry
from diode.protocol.sizes import Kind, symbol_bytes_for
from tests.link import Bundle, ProfileName, make_bundle, transfer

SHARES: Final = (0.0, 0.001, 0.01, 0.05, 0.10, 0.30)
BURSTS: Final = (1, 8, 64, 512)
ROUGH: Final = Impairments(loss=0.01, reorder=0.05, duplicate=0.05, corrupt=0.001)
MTU: Final = 1500
SIZE: Final = 45_000_000  # two whole slabs of ``standard`` and half a one, whose last row is not full
SMALL: Final = (40_000, 300_000, 1_000_000)
RATE: Final = 100e6
WARM_UP: Final = 4096  # datagrams after which the line has forgotten that it began without a burst
EARLY_BYTES: Final = 80 << 20  # half the memory of the enclave in tests.link
PROCESSES: Final = 2
CONFIDENCE: Final = 0.95  # of a row's interval, and of all verdicts together
NEVER: Final = 1e-6  # a bundle whose failure is less likely than this must not be lost
INTERRUPTED: Final = 130

Verdict = Literal["inside", "above", "by chance", "CONTRADICTION"]


@dataclass(frozen=True, slots=True)
class Setup:
    """What is sent."""

    profile: ProfileName
    passes: int
    size: int


@dataclass(frozen=True, slots=True)
class Cell:
    """A line, and what the model is told of it."""

    name: str
    loss: Loss
    line: Impairments


@dataclass(frozen=True, slots=True)
class Expected:
    """Failure of a bundle by the model, and the least that the line allows."""

    failure: float
    least: float


Count = Callable[[Setup, Impairments, list[int]], int]


def cells() -> list[Cell]:
    """The matrix, and a row in which datagrams are also reordered, sent twice and damaged: those damaged are lost."""
    matrix = [
        Cell(
            f"{100 * share:g} %",
            Loss(share, burst),
            Impairments(loss=share) if burst == 1 else Impairments(burst_loss=share, burst_mean=burst),
        )
        for share in SHARES
        for burst in BURSTS
    ]
    return [*matrix, Cell("rough", Loss(1 - (1 - ROUGH.loss) * (1 - ROUGH.corrupt)), ROUGH)]


def small_cells() -> list[tuple[int, Cell]]:
    """Bundles of one row, of four, and of twelve, over lines that lose a few of them."""
    lines = {("30 %", 1), ("10 %", 512), ("30 %", 64), ("30 %", 512)}
    chosen = [cell for cell in cells() if (cell.name, cell.loss.burst) in lines]
    return [(size, cell) for size in SMALL for cell in chosen]


def expected(setup: Setup, loss: Loss) -> Expected:
    """What the model says of ``setup`` on a line that loses this. Of several passes it knows no least."""
    profile, symbol_bytes = PROFILES[setup.profile], symbol_bytes_for(MTU)
    figures = forecast(
        profile,
        symbol_bytes,
        size=setup.size,
        files=1,
        rate=RATE,
        loss=loss,
        passes=setup.passes,
        delay_s=1.0,
        early_bytes=EARLY_BYTES,
    )
    full = stream_geometry(symbol_bytes, profile)
    complete = 1.0
    for number in range(slab_count(full, setup.size)):
        sent = Tail.of(full, slab_at(full, setup.size, number))
        fates = sent.shape.columns if loss.burst == 1 else 1
        complete *= (1 - block_failure(sent.shape, loss, sent.apart)) ** fates
    return Expected(figures.bundle_failure, 1 - complete if setup.passes == 1 else 0.0)


def delivered(setup: Setup, line: Impairments, seeds: list[int]) -> int:
    """Bundles that are published, one transfer a seed. Wrong bytes are no loss but an error."""
    bundle, count = _packed(setup), 0
    for seed in seeds:
        enclave = transfer([bundle], line, seed, passes=setup.passes, engine=_engine(), rate=RATE, warm_up=WARM_UP)
        stream = enclave.published.get(bundle.number)
        assert stream is None or stream == bundle.parts[Kind.DATA, 0]
        count += stream is not None
    return count


@cache
def _packed(setup: Setup) -> Bundle:
    return make_bundle({"a": random.Random(setup.size).randbytes(setup.size)}, mtu=MTU, profile=setup.profile)


@cache
def _engine() -> Engine:
    return choose_engine()


def judge(model: Expected, arrived: int, runs: int, rows: int) -> Verdict:
    """Whether measurement and model agree. Of many rows some lie outside their interval: they share the doubt."""
    low, high = interval(arrived, runs, CONFIDENCE)
    if model.failure < NEVER and arrived < runs:
        return "CONTRADICTION"
    if low <= 1 - model.failure <= high:
        return "inside"
    if 1 - model.failure < low <= 1 - model.least:
        return "above"
    low, high = interval(arrived, runs, 1 - (1 - CONFIDENCE) / rows)
    return "by chance" if 1 - model.failure <= high and low <= 1 - model.least else "CONTRADICTION"


def interval(arrived: int, runs: int, confidence: float) -> tuple[float, float]:
    """Delivered shares that ``arrived`` of ``runs`` do not rule out (Clopper and Pearson 1934)."""
    outside = (1 - confidence) / 2
    low = _root(lambda share: binomial_tail(runs, share, arrived - 1) - outside) if arrived else 0.0
    high = _root(lambda share: binomial_tail(runs, share, arrived) - 1 + outside) if arrived < runs else 1.0
    return low, high


def _root(rising: Callable[[float], float]) -> float:
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if rising(middle) > 0 else (middle, high)
    return low


def print_table(setup: Setup, rows: list[Cell], runs: int, seed: int, count: Count = delivered) -> list[Verdict]:
    """Print rows as they are measured, as Markdown; returns their verdicts."""
    print("| loss | burst | runs | delivered | share (95 %) | model | at most | verdict |", flush=True)
    print("|---|---|---|---|---|---|---|---|")
    verdicts = []
    for cell in rows:
        model = expected(setup, cell.loss)
        rng = random.Random(f"{seed} {cell}")
        arrived = count(setup, cell.line, [rng.getrandbits(48) for _ in range(runs)])
        low, high = interval(arrived, runs, CONFIDENCE)
        verdicts.append(judge(model, arrived, runs, len(rows)))
        share = f"{arrived / runs:.3f} ({low:.3f} to {high:.3f})"
        columns = (
            cell.name,
            f"{cell.loss.burst:g}",
            runs,
            arrived,
            share,
            *map(_share, (model.failure, model.least)),
        )
        print("|", " | ".join(map(str, (*columns, verdicts[-1]))), "|", flush=True)
    return verdicts


def _share(failure: float) -> str:
    """The delivered share, legible on either end."""
    if failure < 0.0005:
        return f"1 - {failure:.0e}" if failure else "1"
    return f"{1 - failure:.3f}"


def start_workers() -> Count:
    """Processes that share the runs of a row, and leave Ctrl-C to this one: they end with it."""
    context = get_context("spawn")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # they inherit it, from their first instruction on
    pipes = []
    for _ in range(PROCESSES):
        ours, theirs = context.Pipe()
        context.Process(target=_work, args=(theirs,), daemon=True).start()
        theirs.close()  # so that a worker's death is the end of its pipe
        pipes.append(ours)
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def count(setup: Setup, line: Impairments, seeds: list[int]) -> int:
        for number, pipe in enumerate(pipes):
            pipe.send((setup, line, seeds[number::PROCESSES]))
        return sum(pipe.recv() for pipe in pipes)

    return count


def _work(pipe: Connection) -> None:
    with suppress(EOFError):  # the table is finished
        while True:
            pipe.send(delivered(*pipe.recv()))


def main() -> int:
    """Print the matrix; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.matrix", description="Delivery beside diode plan.")
    parser.add_argument("--runs", type=int, default=100, help="transfers a row (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="another seed, other losses (%(default)s)")
    parser.add_argument("--profile", choices=sorted(PROFILES), default="standard", help="FEC (%(default)s)")
    parser.add_argument("--passes", type=int, default=1, help="transmissions (%(default)s)")
    parser.add_argument("--size", type=int, default=SIZE, help="bytes of the bundle (%(default)s)")
    parser.add_argument("--small", action="store_true", help=f"four lines each for bundles of {SMALL} bytes")
    options = parser.parse_args()
    rows = small_cells() if options.small else [(options.size, cell) for cell in cells()]
    try:
        verdicts, count = [], start_workers()
        for size, group in groupby(rows, key=lambda row: row[0]):
            setup = Setup(options.profile, options.passes, size)
            verdicts += print_table(setup, [cell for _, cell in group], options.runs, options.seed, count)
    except KeyboardInterrupt:
        return INTERRUPTED
    return int("CONTRADICTION" in verdicts)


if __name__ == "__main__":
    sys.exit(main())
