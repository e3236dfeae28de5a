"""``diode``: what belongs to neither side alone: setting up, keys, the emulated diode, the demonstration."""

import json
import signal
import sys
import time
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.live import Live

from diode.audit.chain import Side
from diode.cli.audit import audit_app
from diode.cli.doctor import doctor, evidence, oneway_app
from diode.cli.trust import inspect_bundle, sign, trust_app, verify_bundle
from diode.config import init
from diode.config.link_key_rotation import retire_link, rotate_link
from diode.config.load import load, load_either
from diode.config.receiver import ReceiverConfig
from diode.config.sender import SenderConfig
from diode.console.drawing import new_console
from diode.console.entry import guarded, new_app
from diode.console.terminal import say, say_json
from diode.errors import IncompleteError, UsageError
from diode.formats.dsse import load_public_key
from diode.formats.sizes import parse_size
from diode.lab import calibrate
from diode.lab import plan as forecasts
from diode.net.emulator import Impairer, Impairments, Link, Tally
from diode.net.udp import Address
from diode.protocol.geometry import PROFILES
from diode.protocol.wire import symbol_bytes_for
from diode.trust.keys import new_link_key, new_signing_key, read_link_key, write_private

app = new_app("A one-way transfer service, emulated in software.")
init_app = new_app("Write ready-to-run folders, keys and configuration.")
keys_app = new_app("Make and name keys.")
app.add_typer(init_app, name="init")
app.add_typer(keys_app, name="keys")
calibrate_app = new_app("Find the highest rate that a link carries without loss. Start the receiving end first.")
app.add_typer(calibrate_app, name="calibrate")
app.add_typer(oneway_app, name="oneway")
app.add_typer(audit_app, name="audit")
app.command("doctor")(doctor)
app.command("evidence")(evidence)
app.add_typer(trust_app, name="trust")
app.command("sign")(sign)
app.command("inspect")(inspect_bundle)
app.command("verify")(verify_bundle)
main = guarded(app)

_AFTER_ROTATION: dict[Side, str] = {
    "receiver": """\
{key} is the new link key ({id}); {previous}, the one before, is taken as well
a daemon that runs has not read them yet; next, here (keys that are credentials: docs/operations.md, before that):
  systemctl restart diode-receiver                    # without systemd: end it, then diode-receiver -c {config} run
then on the sender, with the same key:
  diode keys rotate-link sender.toml --new new.key
and when bundles arrive under it, here:
  diode keys retire-link {config}""",
    "sender": """\
{key} is the new link key ({id}); the one before is set aside in {previous}
a daemon that runs has not read it yet; next, when the receiver takes the new key:
  systemctl restart diode-sender                      # without systemd: end it, then diode-sender -c {config} run
and when bundles arrive, on the receiver and here:
  diode keys retire-link receiver.toml
  diode keys retire-link {config}""",
}
_AFTER_RETIRING: dict[Side, str] = {
    "receiver": """\
{previous} is gone; a daemon that runs takes it until:
  systemctl restart diode-receiver                    # without systemd: end it, then diode-receiver -c {config} run""",
    "sender": "{previous} is gone; the sender had not used it any more",
}
DEFAULT_RATES = "10M,20M,50M,100M,150M,200M,300M,500M,750M,1000M,1250M,1500M"

To = Annotated[str, typer.Option("--to", help="HOST:PORT where the diode takes datagrams in.")]
Listen = Annotated[str, typer.Option("--listen", help="HOST:PORT where the receiver listens.")]
Mtu = Annotated[int, typer.Option("--mtu", min=576, max=65535, help="MTU of every hop.")]
Rate = Annotated[str, typer.Option("--rate", help="Bytes of UDP payload a second (100M); 0: unlimited.")]
ProfileName = Annotated[Literal["clean", "standard", "lossy", "extreme"], typer.Option("--profile", help="FEC.")]
Auth = Annotated[Literal["gmac", "aead", "none"], typer.Option("--auth", help="Datagram authentication.")]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write.")]
Share = Annotated[str, typer.Option(help="Share of datagrams, such as 1% or 0.01.")]


def _size(text: str) -> int:
    try:
        return int(parse_size(text))
    except ValueError as error:
        raise UsageError(str(error)) from None


def _address(text: str) -> str:
    try:
        Address.parse(text)
    except ValueError as error:
        raise UsageError(str(error)) from None
    return text


@init_app.command("pair")
def init_pair(
    folder: Folder,
    to: To = "127.0.0.1:9000",
    listen: Annotated[str | None, typer.Option("--listen", help="HOST:PORT of the receiver; default: --to.")] = None,
    mtu: Mtu = 1500,
    profile: ProfileName = "standard",
    rate: Rate = "100M",
    auth: Auth = "gmac",
) -> None:
    """Write both sides of a link: DIR/sender and DIR/receiver. Carry DIR/receiver to the enclave."""
    init.init_pair(
        folder,
        to=_address(to),
        listen=_address(listen or to),
        mtu=mtu,
        rate=_size(rate),
        profile=profile,
        auth=auth,
    )
    say(f"wrote {folder}/sender and {folder}/receiver; next:")
    say(f"  diode-receiver -c {folder}/receiver/receiver.toml run")
    say(f"  diode-sender -c {folder}/sender/sender.toml run")
    say(f"  mkdir -p {folder}/sender/outbox/CHANNEL && cp FILE {folder}/sender/outbox/CHANNEL/")
    say("what a channel takes is for you to set, by content, on both sides: docs/content.md")


@init_app.command("sender")
def init_sender(
    folder: Folder,
    to: To,
    mtu: Mtu = 1500,
    profile: ProfileName = "standard",
    rate: Rate = "100M",
    auth: Auth = "gmac",
    link_key: Annotated[Path | None, typer.Option("--link-key", help="Existing link key file.")] = None,
) -> None:
    """Write a sending side."""
    text = new_link_key() if link_key is None else _checked_link_key(link_key)
    init.init_sender(folder, to=_address(to), mtu=mtu, rate=_size(rate), profile=profile, auth=auth, link_key=text)
    keys = folder / "keys"
    say(f"wrote {folder}; the receiver needs {keys}/link.key, {keys}/signing.pub and {keys}/service.pub:")
    say(f"  diode init receiver DIR --listen {to} --link-key link.key --signer signing.pub --service service.pub")


@init_app.command("receiver")
def init_receiver(
    folder: Folder,
    listen: Listen,
    auth: Auth = "gmac",
    link_key: Annotated[Path | None, typer.Option("--link-key", help="The sender's link key file.")] = None,
    signer: Annotated[Path | None, typer.Option("--signer", help="The sender's signing.pub.")] = None,
    service: Annotated[Path | None, typer.Option("--service", help="The sender's service.pub.")] = None,
) -> None:
    """Write a receiving side."""
    text = new_link_key() if link_key is None else _checked_link_key(link_key)
    public = None if signer is None else _checked_public(signer)
    own_word = None if service is None else _checked_public(service)
    init.init_receiver(folder, listen=_address(listen), auth=auth, link_key=text, public=public, service=own_word)
    say(f"wrote {folder}" + ("" if public else f"; put the sender's signing.pub into {folder}/keys/signers"))


def _checked_link_key(path: Path) -> bytes:
    return read_link_key(path).secret.hex().encode() + b"\n"


def _checked_public(path: Path) -> bytes:
    try:
        pem = path.read_bytes()
        load_public_key(pem)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is not an Ed25519 public key in PEM: {error}") from error
    return pem


@keys_app.command("link")
def keys_link(path: Annotated[Path, typer.Argument(help="File to write.")]) -> None:
    """Write a new link key."""
    _write_new(path, new_link_key())
    say(f"wrote {path}; both sides of a link hold the same file")


@keys_app.command("rotate-link")
def keys_rotate_link(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="receiver.toml first, then sender.toml.")],
    new: Annotated[
        Path | None,
        typer.Option("--new", help="The new link key, one file for both sides; none: the receiver makes it."),
    ] = None,
) -> None:
    """Change the link key of one side. The receiver goes on taking the one before until retire-link."""
    loaded = load_either(config)
    if not rotate_link(loaded, new):
        say(f"{new} is the link key already; nothing was changed", file=sys.stderr)
        return
    say(*_next(_AFTER_ROTATION, config, loaded), file=sys.stderr)
    if new is None:
        say(f"the new key was made here: carry {loaded.link.key} to the sender as new.key", file=sys.stderr)


@keys_app.command("retire-link")
def keys_retire_link(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="receiver.toml, or sender.toml.")],
) -> None:
    """Give up the link key from before the last change: nothing that is sealed under it is taken any more."""
    loaded = load_either(config)
    if retire_link(loaded):
        say(*_next(_AFTER_RETIRING, config, loaded), file=sys.stderr)
    else:
        say("there is no key from before; nothing was changed", file=sys.stderr)


def _next(texts: dict[Side, str], config: Path, loaded: SenderConfig | ReceiverConfig) -> list[str]:
    """What a person types after this, line by line."""
    link = loaded.link
    key_id = f"{read_link_key(link.key).key_id:04x}"
    lines = texts[loaded.side].split("\n")
    return [line.format(key=link.key, previous=link.previous, config=config, id=key_id) for line in lines]


@keys_app.command("signing")
def keys_signing(
    path: Annotated[Path, typer.Argument(help="File to write; the public half goes to PATH.pub.")],
) -> None:
    """Write a new signing key and its public half."""
    _write_pair(path)


@keys_app.command("service")
def keys_service(
    path: Annotated[Path, typer.Argument(help="File to write; the public half goes to PATH.pub.")],
) -> None:
    """Write a new service key: signs the audit log and receipts, never a bundle. Carry its public half over."""
    _write_pair(path)


def _write_pair(path: Path) -> None:
    private, public = new_signing_key()
    _write_new(path, private)
    path.with_suffix(".pub").write_bytes(public)
    say(f"wrote {path} and {path.with_suffix('.pub')} (key id {load_public_key(public).keyid})")


@keys_app.command("show")
def keys_show(path: Annotated[Path, typer.Argument(help="A link key or a public key.")]) -> None:
    """Name a key: the id that headers or signatures carry."""
    if path.suffix == ".pub":
        say(load_public_key(_checked_public(path)).keyid)
    else:
        say(f"{read_link_key(path).key_id:04x}")


def _write_new(path: Path, data: bytes) -> None:
    try:
        write_private(path, data)
    except FileExistsError:
        raise UsageError(f"{path} exists already; nothing was changed") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error


@app.command()
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
    as_json: Annotated[bool, typer.Option("--json", help="The closing figures as JSON.")] = False,
) -> None:
    """The emulated diode: take datagrams on the low side, pass them on to the high side. There is no way back."""
    try:
        impairments = Impairments(
            loss=_share(loss),
            burst_loss=_share(burst_loss),
            burst_mean=burst_mean,
            burst=burst,
            burst_gap=burst_gap,
            reorder=_share(reorder),
            duplicate=_share(duplicate),
            corrupt=_share(corrupt),
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    diode = Link(Address.parse(_address(listen)), Address.parse(_address(to)), Impairer(impairments, seed), _size(rate))
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
    _say(tally, as_json)


def _say(tally: Tally, as_json: bool) -> None:
    figures = asdict(tally)
    if as_json:
        say_json(figures)
    else:
        say("diode: " + ", ".join(f"{name} {value:,}" for name, value in figures.items()), file=sys.stderr)


def _share(text: str) -> float:
    try:
        return float(text.removesuffix("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a share such as 1% or 0.01") from None


@app.command()
def demo(
    files: Annotated[Path | None, typer.Option(help="Send your own file or directory instead.")] = None,
    loss: Share = "1%",
    mtu: Mtu = 1500,
    rate: Rate = "100M",
    keep: Annotated[Path | None, typer.Option(help="Keep the demonstration's folders here.")] = None,
) -> None:
    """Send real files through the emulated diode, with losses, and compare what arrives byte for byte."""
    from diode.lab.demo import run_demo  # its imports are not for the other commands to wait for

    started = time.monotonic()
    code = run_demo(files=files, loss=_share(loss), mtu=mtu, rate=_size(rate), keep=keep)
    say(f"{time.monotonic() - started:.1f} s in all")
    raise typer.Exit(code)


@app.command()
def plan(
    size: Annotated[str, typer.Option("--size", help="Bytes of the bundle, such as 1TiB.")],
    rate: Rate = "100M",
    loss: Share = "0",
    burst: Annotated[float, typer.Option("--burst", min=1, help="Mean length of a burst of losses.")] = 1,
    profile: ProfileName = "standard",
    passes: Annotated[int, typer.Option("--passes", min=1, max=16, help="Transmissions.")] = 1,
    pass_delay: Annotated[float, typer.Option("--pass-delay", min=0, help="Seconds between them.")] = 30.0,
    mtu: Mtu = 1500,
    files: Annotated[int, typer.Option("--files", min=1, help="Files in the bundle.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """How long a bundle takes, what repair costs, and how likely something is missing afterwards."""
    try:
        figures = forecasts.forecast(
            PROFILES[profile],
            symbol_bytes_for(mtu),
            size=_size(size),
            files=files,
            rate=_size(rate),
            loss=forecasts.Loss(_share(loss), burst),
            passes=passes,
            delay_s=pass_delay,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    if as_json:
        say_json(asdict(figures))
        return
    say(f"{figures.slabs:,} slabs, {figures.datagrams:,} datagrams, {timedelta(seconds=round(figures.seconds))}")
    say(f"overhead {figures.overhead:.1%} a pass; any one burst of {figures.survives_burst:,} datagrams is repaired")
    say(f"a block fails with probability {figures.block_failure:.1e}, a slab {figures.slab_failure:.1e}")
    say(f"something is missing after all passes with probability {figures.bundle_failure:.1e}")


@app.command()
def bench(
    quick: Annotated[bool, typer.Option("--quick", help="Three rows, under a minute.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
) -> None:
    """Measure this machine: the kernel limit, each stage alone, and whole transfers by the real daemons."""
    from diode.lab.bench import run_bench  # its imports are not for the other commands to wait for

    run_bench(quick=quick, json_file=json_file, console=new_console())


@calibrate_app.command("send")
def calibrate_send(
    config: Annotated[Path, typer.Option("--config", "-c", help="sender.toml")] = Path("sender.toml"),
    rates: Annotated[str, typer.Option(help="Bytes a second, rising, with commas between.")] = DEFAULT_RATES,
    seconds: Annotated[float, typer.Option(min=0.1, max=600, help="How long each rate is sent.")] = 2.0,
) -> None:
    """Send filler at one rate after the other. The sender's daemon should be idle or stopped meanwhile."""
    link = load(SenderConfig, config).link
    steps = [_size(rate) for rate in rates.split(",")]
    if not 0 < len(steps) <= calibrate.MAX_STEPS or min(steps) <= 0 or steps != sorted(set(steps)):
        raise UsageError(f"--rates: 1 to {calibrate.MAX_STEPS} rising rates, such as {DEFAULT_RATES}")
    key, to = read_link_key(link.key), Address.parse(link.to)
    for step in calibrate.ramp(key, link.auth, to, link.symbol_bytes, link.path, steps, seconds):
        reached = "" if step.kept_up else ": this side sends no faster, and stops here"
        say(f"{step.rate / 1e6:g} MB/s wanted, {(step.sent_rate or 0) / 1e6:.1f} sent{reached}", file=sys.stderr)
    say("the receiving end shows what arrived", file=sys.stderr)


@calibrate_app.command("receive")
def calibrate_receive(
    config: Annotated[Path, typer.Option("--config", "-c", help="receiver.toml")] = Path("receiver.toml"),
    wait: Annotated[float, typer.Option(min=1, help="Give up after so many seconds of silence.")] = 60.0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
) -> None:
    """Count what arrives of each rate, and say which one to use. The receiver's daemon must be stopped meanwhile."""
    link = load(ReceiverConfig, config).link
    meter = calibrate.Meter(read_link_key(link.key), link.auth)
    console = new_console()
    granted = 0
    try:
        with Live(console=console, transient=True, auto_refresh=False) as live:

            def show() -> None:
                live.update(calibrate.as_table(meter.steps.values()), refresh=True)

            granted = calibrate.listen(meter, Address.parse(link.listen), link.socket_buffer, link.path, wait, show)
    finally:
        if meter.steps:
            console.print(calibrate.as_table(meter.steps.values()))
    if not meter.steps:
        raise IncompleteError(f"no calibration was heard on {link.listen} for {wait:g} s ({meter.foreign} other runs)")
    if json_file is not None:
        json_file.write_text(json.dumps(calibrate.report(meter, granted), indent=1) + "\n")
    say(calibrate.advice(meter.best()))


if __name__ == "__main__":
    main()
