"""``diode link``, ``demo``, ``plan``, ``bench`` and ``calibrate``: options and help texts of trials."""

from pathlib import Path
from typing import Annotated

import typer

from diode.cli.options import JsonFile, Mtu, ProfileName, Rate, Share, address_of, share_of, size_of
from diode.console.entry import new_app

calibrate_app = new_app("Find the highest rate that a link carries without loss. Start the receiving end first.")
DEFAULT_RATES = "10M,20M,50M,100M,150M,200M,300M,500M,750M,1000M,1250M,1500M"


def link(
    listen: Annotated[str, typer.Option("--listen", help="HOST:PORT of the low side.")],
    to: Annotated[str, typer.Option("--to", help="HOST:PORT of the receiver on the high side.")],
    loss: Share = "0",
    burst_loss: Share = "0",
    burst_mean: Annotated[float, typer.Option(min=1, help="Mean length of lossy bursts, in datagrams.")] = 100,
    burst: Annotated[int, typer.Option(min=0, help="Bursts of exactly so many datagrams ...")] = 0,
    burst_gap: Annotated[int, typer.Option(min=1, help="... at random places at least so far apart.")] = 30_000,
    reorder: Share = "0",
    duplicate: Share = "0",
    corrupt: Share = "0",
    rate: Rate = "0",
    seed: Annotated[int, typer.Option(help="Same seed, same impairments.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the final figures as JSON.")] = False,
) -> None:
    """Emulate the diode: take datagrams on the low side, and pass them on to the high side. Nothing goes back."""
    from diode.commands import lab

    harm = lab.Harm(
        loss=share_of(loss),
        burst_loss=share_of(burst_loss),
        burst_mean=burst_mean,
        burst=burst,
        burst_gap=burst_gap,
        reorder=share_of(reorder),
        duplicate=share_of(duplicate),
        corrupt=share_of(corrupt),
    )
    lab.link(address_of(listen), address_of(to), harm, size_of(rate), seed, as_json=as_json)


def demo(
    files: Annotated[Path | None, typer.Option(help="Send your own file or directory instead.")] = None,
    loss: Share = "1%",
    mtu: Mtu = 1500,
    rate: Rate = "100M",
    keep: Annotated[Path | None, typer.Option(help="Keep the demonstration's folders here.")] = None,
) -> None:
    """Send real files through the emulated diode, with losses, and compare what arrives byte for byte."""
    from diode.commands import lab

    lab.demo(files, loss=share_of(loss), mtu=mtu, rate=size_of(rate), keep=keep)


def plan(
    size: Annotated[str, typer.Option("--size", help="Bytes of the bundle, such as 1TiB.")],
    rate: Rate = "100M",
    loss: Share = "0",
    burst: Annotated[float, typer.Option("--burst", min=1, help="Mean length of a burst of losses.")] = 1,
    profile: ProfileName = "standard",
    passes: Annotated[int, typer.Option("--passes", min=1, max=16, help="How often the bundle is sent.")] = 1,
    pass_delay: Annotated[float, typer.Option("--pass-delay", min=0, help="Seconds between two passes.")] = 30.0,
    mtu: Mtu = 1500,
    files: Annotated[int, typer.Option("--files", min=1, help="Files in the bundle.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Show how long a bundle takes, what repair costs, and how likely something is missing afterwards."""
    from diode.commands import lab

    wanted = lab.Transfer(size_of(size), files, size_of(rate), share_of(loss), burst, profile, passes, pass_delay, mtu)
    lab.plan(wanted, as_json=as_json)


def bench(
    quick: Annotated[bool, typer.Option("--quick", help="Three rows, under a minute.")] = False,
    json_file: JsonFile = None,
) -> None:
    """Measure this machine: the kernel limit, each stage alone, and whole transfers by the real daemons."""
    from diode.commands import lab

    lab.bench(quick=quick, json_file=json_file)


@calibrate_app.command("send")
def calibrate_send(
    config: Annotated[Path, typer.Option("--config", "-c", help="sender.toml")] = Path("sender.toml"),
    rates: Annotated[str, typer.Option(help="Bytes a second, rising, with commas between.")] = DEFAULT_RATES,
    seconds: Annotated[float, typer.Option(min=0.1, max=600, help="How long each rate is sent.")] = 2.0,
) -> None:
    """Send padding at each rate in turn. The sender's daemon should be idle or stopped meanwhile."""
    from diode.commands import lab

    lab.calibrate_send(config, [size_of(rate) for rate in rates.split(",")], seconds)


@calibrate_app.command("receive")
def calibrate_receive(
    config: Annotated[Path, typer.Option("--config", "-c", help="receiver.toml")] = Path("receiver.toml"),
    wait: Annotated[float, typer.Option(min=1, help="Give up after so many seconds of silence.")] = 60.0,
    json_file: JsonFile = None,
) -> None:
    """Count what arrives at each rate, and show which rate to use. The receiver's daemon must be stopped meanwhile."""
    from diode.commands import lab

    lab.calibrate_receive(config, wait, json_file)
