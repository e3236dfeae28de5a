"""``diode link``, ``demo``, ``plan``, ``bench`` and ``calibrate``: options and help texts of trials."""

from pathlib import Path
from typing import Annotated

import typer

from diode.cli.options import JsonFile, Mtu, ProfileName, Rate, address_of, share_of, share_option, size_of
from diode.console.entry import new_app

calibrate_app = new_app(
    """Find the highest rate that a link loses nothing at.

    Type 'diode calibrate receive' on the receiver first, and then 'diode calibrate send' on the sender.
    """
)
Loss = Annotated[str, share_option("loss", "Lose this share of datagrams, such as 1% or 0.01.")]
DEFAULT_RATES = "10M,20M,50M,100M,150M,200M,300M,500M,750M,1000M,1250M,1500M"


def link(
    listen: Annotated[
        str, typer.Option("--listen", metavar="HOST:PORT", help="Take datagrams here; the sender sends to it.")
    ],
    to: Annotated[
        str, typer.Option("--to", metavar="HOST:PORT", help="Pass them on to here, where a receiver listens.")
    ],
    loss: Loss = "0",
    burst_loss: Annotated[str, share_option("burst-loss", "Lose this share as well, in bursts.")] = "0",
    burst_mean: Annotated[
        float, typer.Option("--burst-mean", metavar="N", min=1, help="Mean length of these bursts, in datagrams.")
    ] = 100,
    burst: Annotated[
        int, typer.Option("--burst", metavar="N", min=0, help="Lose exactly N datagrams in a row, again and again.")
    ] = 0,
    burst_gap: Annotated[
        int, typer.Option("--burst-gap", metavar="N", min=1, help="Pass N to 2N datagrams between two such losses.")
    ] = 30_000,
    reorder: Annotated[str, share_option("reorder", "Delay this share, so that later ones overtake them.")] = "0",
    duplicate: Annotated[str, share_option("duplicate", "Pass this share on twice.")] = "0",
    corrupt: Annotated[str, share_option("corrupt", "Flip a bit in this share.")] = "0",
    rate: Rate = "0",
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="Where chance begins; the same N harms the same datagrams.")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts at the end as JSON.")] = False,
) -> None:
    """Play the diode between a sender and a receiver.

    It takes datagrams at --listen, passes them on to --to, and never sends anything back. Without other options it
    harms none. With them it loses, delays, doubles or damages some, as a bad line would. It needs no configuration and
    no root. Ctrl-C ends it, and it prints what it counted.

    SHARE is a part of all datagrams: 1% or 0.01. Example: diode link --listen 127.0.0.1:9000 --to 127.0.0.1:9001 --loss
    1%
    """
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
    files: Annotated[Path | None, typer.Option("--files", metavar="PATH", help="Send your own file or folder.")] = None,
    loss: Loss = "1%",
    mtu: Mtu = 1500,
    rate: Rate = "100M",
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="DIR", help="Keep all folders of the demonstration here.")
    ] = None,
) -> None:
    """Send files over an emulated diode, and compare them.

    A real sender, an emulated line with losses, and a real receiver run on this host. What arrives is compared byte for
    byte. All of it is removed at the end, unless --keep is given.
    """
    from diode.commands import lab

    lab.demo(files, loss=share_of(loss), mtu=mtu, rate=size_of(rate), keep=keep)


def plan(
    size: Annotated[str, typer.Option("--size", metavar="SIZE", help="Bytes of the bundle, such as 1TiB.")],
    rate: Rate = "100M",
    loss: Annotated[str, share_option("loss", "Share of datagrams that the line loses, such as 1%.")] = "0",
    burst: Annotated[
        float, typer.Option("--burst", metavar="N", min=1, help="Mean length of a burst of losses, in datagrams.")
    ] = 1,
    profile: ProfileName = "standard",
    passes: Annotated[
        int, typer.Option("--passes", metavar="N", min=1, max=16, help="How often the bundle is sent.")
    ] = 1,
    pass_delay: Annotated[
        float, typer.Option("--pass-delay", metavar="SECONDS", min=0, help="Time between two passes.")
    ] = 30.0,
    mtu: Mtu = 1500,
    files: Annotated[int, typer.Option("--files", metavar="N", min=1, help="Files in the bundle.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Calculate how long a bundle takes, and what may be lost.

    It shows the time, what repair costs, and how likely something is missing afterwards. Nothing is sent.
    """
    from diode.commands import lab

    wanted = lab.Transfer(size_of(size), files, size_of(rate), share_of(loss), burst, profile, passes, pass_delay, mtu)
    lab.plan(wanted, as_json=as_json)


def bench(
    quick: Annotated[bool, typer.Option("--quick", help="Few rows, one run each: about a minute.")] = False,
    parts: Annotated[
        str,
        typer.Option("--parts", metavar="PART,...", help="Only some of stages, transfers, sizes, singly, latency."),
    ] = "",
    json_file: JsonFile = None,
    compare: Annotated[
        Path | None, typer.Option("--compare", metavar="FILE", help="Compare with FILE, which --json-file wrote here.")
    ] = None,
) -> None:
    """Measure how fast this machine is.

    The limit of the kernel, each stage alone and what bounds it, whole transfers by real daemons with the compiled core
    and without it, sizes, single packets with losses, and how long one bundle takes. It works in a folder of its own.
    Ctrl-C ends it; what was measured by then is in the file.
    """
    from diode.commands import lab

    lab.bench(parts, quick=quick, json_file=json_file, compare=compare)


@calibrate_app.command("send")
def calibrate_send(
    config: Annotated[Path, typer.Option("--config", "-c", metavar="FILE", help="Configuration of the sender.")] = Path(
        "sender.toml"
    ),
    rates: Annotated[
        str, typer.Option("--rates", metavar="RATE,...", help="Bytes a second, rising, with commas between.")
    ] = DEFAULT_RATES,
    seconds: Annotated[
        float, typer.Option("--seconds", metavar="SECONDS", min=0.1, max=600, help="How long each rate is sent.")
    ] = 2.0,
) -> None:
    """Send padding at each rate in turn.

    The daemon of the sender should be idle or stopped meanwhile.
    """
    from diode.commands import lab

    lab.calibrate_send(config, [size_of(rate) for rate in rates.split(",")], seconds)


@calibrate_app.command("receive")
def calibrate_receive(
    config: Annotated[
        Path, typer.Option("--config", "-c", metavar="FILE", help="Configuration of the receiver.")
    ] = Path("receiver.toml"),
    wait: Annotated[
        float, typer.Option("--wait", metavar="SECONDS", min=1, help="Give up after so long a silence.")
    ] = 60.0,
    json_file: JsonFile = None,
) -> None:
    """Count what arrives at each rate, and say which to use.

    The daemon of the receiver must be stopped meanwhile.
    """
    from diode.commands import lab

    lab.calibrate_receive(config, wait, json_file)
