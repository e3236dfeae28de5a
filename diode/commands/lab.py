"""The work of ``diode link``, ``demo``, ``plan``, ``bench`` and ``calibrate``: tries and measures a link."""

import json
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

import typer
from rich.live import Live

from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.config.sender import SenderConfig
from diode.console.drawing import new_console
from diode.console.terminal import say, say_json
from diode.errors import IncompleteError, UsageError
from diode.lab import calibrate
from diode.lab import plan as forecasts
from diode.net.address import Address
from diode.net.emulator import Link
from diode.net.impairments import Impairer, Impairments, Tally
from diode.protocol.geometry import PROFILES
from diode.protocol.sizes import symbol_bytes_for
from diode.trust.keys import read_link_key


@dataclass(frozen=True, slots=True)
class Harm:
    """What the emulated line does to datagrams: the unchecked values for :class:`diode.net.emulator.Impairments`."""

    loss: float
    burst_loss: float
    burst_mean: float
    burst: int
    burst_gap: int
    reorder: float
    duplicate: float
    corrupt: float


@dataclass(frozen=True, slots=True)
class Transfer:
    """A transfer to be forecast: its size, and the properties of the link."""

    size_bytes: int
    files: int
    rate: int  # bytes a second
    loss: float  # share of datagrams
    burst: float  # mean length of a burst of losses, in datagrams
    profile: Literal["clean", "standard", "lossy", "extreme"]
    passes: int
    pass_delay_s: float
    mtu: int


def link(listen: str, to: str, harm: Harm, rate: int, seed: int, *, as_json: bool) -> None:
    """Pass datagrams on from ``listen`` to ``to`` until a signal arrives. Raises UsageError."""
    try:
        impairments = Impairments(**asdict(harm))
    except ValueError as error:
        raise UsageError(str(error)) from None
    diode = Link(Address.parse(listen), Address.parse(to), Impairer(impairments, seed), rate)
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    say(f"diode: {diode.listen_address} -> {to}, one way", file=sys.stderr)
    try:
        diode.run(lambda: stopping, None)
    finally:
        tally = diode.tally
        diode.close()
    _say_tally(tally, as_json=as_json)


def _say_tally(tally: Tally, *, as_json: bool) -> None:
    figures = asdict(tally)
    if as_json:
        say_json(figures)
    else:
        say("diode: " + ", ".join(f"{name} {value:,}" for name, value in figures.items()), file=sys.stderr)


def demo(files: Path | None, *, loss: float, mtu: int, rate: int, keep: Path | None) -> None:
    """Send real files through the emulated diode. Raises typer.Exit with the exit code of the demonstration."""
    from diode.lab.demo import run_demo  # takes longer to load than the other commands want to wait

    started = time.monotonic()
    code = run_demo(files=files, loss=loss, mtu=mtu, rate=rate, keep=keep)
    say(f"{time.monotonic() - started:.1f} s in all")
    raise typer.Exit(code)


def plan(wanted: Transfer, *, as_json: bool) -> None:
    """Show how long a transfer takes, and how likely something is missing afterwards. Raises UsageError."""
    try:
        figures = forecasts.forecast(
            PROFILES[wanted.profile],
            symbol_bytes_for(wanted.mtu),
            size=wanted.size_bytes,
            files=wanted.files,
            rate=wanted.rate,
            loss=forecasts.Loss(wanted.loss, wanted.burst),
            passes=wanted.passes,
            delay_s=wanted.pass_delay_s,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    if as_json:
        say_json(asdict(figures))
        return
    say(f"{figures.slabs:,} slabs, {figures.datagrams:,} datagrams")
    if wanted.rate:
        say(f"line time {_duration(figures.seconds)} among others, {_duration(figures.alone_seconds)} alone")
    say(f"overhead {figures.overhead:.1%} a pass; any one burst of {figures.survives_burst:,} datagrams is repaired")
    say(f"a block fails with probability {figures.block_failure:.1e}, a slab {figures.slab_failure:.1e}")
    say(f"something is missing after all passes with probability {figures.bundle_failure:.1e}")


def _duration(seconds: float) -> str:
    """Legible for a small bundle and for a large one."""
    return f"{1000 * seconds:.0f} ms" if seconds < 10 else str(timedelta(seconds=round(seconds)))


def bench(parts: str, *, quick: bool, json_file: Path | None, compare: Path | None) -> None:
    """Measure this machine: all parts, or those that are named, with commas between. Raises UsageError."""
    from diode.lab.bench import PARTS, QUICK_PARTS, Wanted, run_bench  # takes longer to load than others want to wait

    chosen = tuple(parts.split(",")) if parts else QUICK_PARTS if quick else PARTS
    if unknown := [part for part in chosen if part not in PARTS]:
        raise UsageError(f"--parts: there is no {unknown[0]!r}; there are {', '.join(PARTS)}")
    with _one_interrupt():
        run_bench(Wanted(chosen, quick, json_file, compare), new_console())


@contextmanager
def _one_interrupt() -> Iterator[None]:
    """The first signal ends the block. Later ones are ignored, so that nothing disturbs the cleaning up."""

    def interrupt(*_: object) -> None:
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def calibrate_send(config: Path, steps: Sequence[int], seconds: float) -> None:
    """Send padding at each rate (bytes a second) in turn. Raises UsageError."""
    link = load(SenderConfig, config).link
    if not 0 < len(steps) <= calibrate.MAX_STEPS or min(steps) <= 0 or list(steps) != sorted(set(steps)):
        raise UsageError(f"--rates: 1 to {calibrate.MAX_STEPS} rising rates, such as 10M,100M,1000M")
    key, to = read_link_key(link.key), link.address
    for step in calibrate.ramp(key, link.auth, to, link.symbol_bytes, link.path, list(steps), seconds):
        reached = "" if step.kept_up else ": this side sends no faster, and stops here"
        say(f"{step.rate / 1e6:g} MB/s wanted, {(step.sent_rate or 0) / 1e6:.1f} sent{reached}", file=sys.stderr)
    say("the receiving end shows what arrived", file=sys.stderr)


def calibrate_receive(config: Path, wait: float, json_file: Path | None) -> None:
    """Count what arrives of each rate until ``wait`` seconds of silence. Raises IncompleteError when nothing came."""
    link = load(ReceiverConfig, config).link
    meter = calibrate.Meter(read_link_key(link.key), link.auth)
    console = new_console()
    granted = 0
    try:
        with Live(console=console, transient=True, auto_refresh=False) as live:

            def show() -> None:
                live.update(calibrate.as_table(meter.steps.values()), refresh=True)

            granted = calibrate.listen(meter, link.address, link.socket_buffer, link.path, wait, show)
    finally:
        if meter.steps:
            console.print(calibrate.as_table(meter.steps.values()))
    if not meter.steps:
        raise IncompleteError(f"no calibration was heard on {link.listen} for {wait:g} s ({meter.foreign} other runs)")
    if json_file is not None:
        json_file.write_text(json.dumps(calibrate.report(meter, granted), indent=1) + "\n")
    say(calibrate.advice(meter.best()))
