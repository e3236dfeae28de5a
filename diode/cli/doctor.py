"""``diode oneway`` and ``diode doctor``: what makes this host one-way, and what it still lacks."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from diode.config.load import load_either
from diode.config.sender import SenderConfig
from diode.console.drawing import new_console
from diode.console.entry import new_app
from diode.console.terminal import say, say_json, say_ours
from diode.doctor import nftables as oneway
from diode.doctor import report as diagnosis
from diode.doctor import selftest
from diode.errors import FindingsError, UsageError
from diode.formats.dsse import load_public_key
from diode.net.udp import Address

oneway_app = new_app("Rules of the kernel that let nothing out of (or into) the diode's interface. Needs root.")

Config = Annotated[Path, typer.Option("-c", "--config", help="Configuration of the daemon on this host.")]
Interface = Annotated[str, typer.Option("--interface", "-i", help="The diode's interface.")]
Source = Annotated[
    str | None, typer.Option("--from", metavar="ADDRESS", help="Receiver: the only address that datagrams come from.")
]


def _rules(config: Path, interface: str, source: str | None) -> oneway.Rules:
    """What this host's daemon needs of its interface."""
    found = load_either(config)
    if isinstance(found, SenderConfig):
        if source:
            raise UsageError("--from is for a receiver: nothing comes in on the sending side")
        return oneway.Rules("sender", interface)
    return oneway.Rules("receiver", interface, source, Address.parse(found.link.listen).port)


@oneway_app.command("show")
def show(config: Config, interface: Interface, source: Source = None) -> None:
    """Print the rules, as nft reads them."""
    say_ours(_rules(config, interface, source).text().removesuffix("\n"))


@oneway_app.command("install")
def install(
    config: Config,
    interface: Interface,
    source: Source = None,
    replace: Annotated[bool, typer.Option("--replace", help="Also when somebody changed them.")] = False,
) -> None:
    """Write the rules in one step, and read them back. They last until the next boot."""
    rules = _rules(config, interface, source)
    oneway.install(rules, replace=replace)
    way = "nothing leaves it" if rules.role == "receiver" else "nothing comes in by it"
    say(f"{interface}: {way}. After a boot the rules are gone: docs/operations.md says how to load them then")


@oneway_app.command("check")
def check(config: Config, interface: Interface, source: Source = None) -> None:
    """Compare what the kernel has with what install writes, and print its counters."""
    rules = _rules(config, interface, source)
    standing = oneway.check(rules)
    if standing.differences:
        raise FindingsError("; ".join([*standing.differences, f"type: {install_command(rules, config)}"]))
    counters = ", ".join(f"{name}: {count:,}" for name, count in standing.counters.items())
    say(f"{interface}: in place ({counters} packets)")


@oneway_app.command("remove")
def remove(config: Config, interface: Interface) -> None:
    """Remove the rules, and nothing else."""
    was_there = oneway.remove(_rules(config, interface, None))
    say(f"{interface}: " + ("removed; frames pass both ways now" if was_there else "there was nothing to remove"))


def doctor(
    config: Config,
    interface: Annotated[
        str | None, typer.Option("--interface", "-i", help="The diode's interface; found by itself if it can be.")
    ] = None,
    source: Source = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON on standard output.")] = False,
    with_selftest: Annotated[
        bool, typer.Option("--selftest", help="Receiver: let a rogue process try to send by every way; needs root.")
    ] = False,
    evidence: Annotated[
        Path | None, typer.Option("--evidence", metavar="FILE", help="Write what was found, signed.")
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", help="Signing key for --evidence.")] = None,
    fix_plan: Annotated[
        bool, typer.Option("--fix-plan", help="Print the commands that mend what was found; runs none.")
    ] = False,
) -> None:
    """Can anything come back, is this host fast, is it sound? Changes nothing; ends with 20 when a problem is found."""
    if evidence is not None and key is None:
        raise UsageError("--evidence is signed: give a --key (diode keys signing PATH makes one)")
    site = diagnosis.open_site(config, interface, source)
    report = diagnosis.examine(site)
    proof = selftest.prove(site) if with_selftest else None
    if proof:
        text = "{tried} tries to send by {0}: {dropped_by_the_rules} frames dropped by the rules, {left} left"
        say(text.format(site.interface, **proof), file=sys.stderr)
    if evidence is not None and key is not None:
        keyid = selftest.write_evidence(selftest.evidence(site, report, proof), evidence, key)
        say(f"wrote {evidence}, signed by {keyid}", file=sys.stderr)
    if fix_plan:
        say(*diagnosis.fix_plan(report))
    elif as_json:
        diagnosis.print_json(site, report)
    else:
        diagnosis.show(site, report, new_console())
    if found := diagnosis.problems(report):
        if as_json or fix_plan:
            raise typer.Exit(FindingsError.exit_code)
        raise FindingsError(f"{len(found)} problems: {', '.join(finding.check for finding in found)}")


def evidence(
    file: Annotated[Path, typer.Argument(help="What diode doctor --evidence wrote.")],
    signer: Annotated[Path, typer.Option("--signer", help="Public key of whoever should have signed it.")],
) -> None:
    """Check the signature of an evidence pack, and print what it says as JSON."""
    try:
        public = load_public_key(signer.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"{signer} is no public key: {error}") from error
    say_json(selftest.read_evidence(file, public), indent=2)


def install_command(rules: oneway.Rules, config: Path) -> str:
    """What to type to have ``rules`` in place."""
    source = f" --from {rules.source}" if rules.source else ""
    return f"diode oneway install -c {config} -i {rules.interface}{source}"
