"""The work of ``diode oneway``, ``doctor`` and ``evidence``: installs kernel rules and examines the host."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import typer

from diode.config.load import load_either
from diode.console.drawing import new_console
from diode.console.terminal import say, say_json, say_ours
from diode.doctor import nftables, report, selftest
from diode.errors import FindingsError, UsageError
from diode.formats.dsse import load_public_key

Form = Literal["tables", "json", "fix_plan"]


@dataclass(frozen=True, slots=True)
class Place:
    """The side and the interface that a command is about."""

    config: Path
    interface: str | None  # the diode's; None: found by itself
    source: str | None  # receiver: the only address that datagrams come from

    @property
    def rules(self) -> nftables.Rules:
        """The kernel rules that this side's daemon needs on its interface. Raises UsageError."""
        assert self.interface is not None
        found = load_either(self.config)
        if found.side == "receiver":
            return nftables.Rules("receiver", self.interface, self.source, found.link.address.port)
        if self.source:
            raise UsageError("--from is for a receiver: nothing comes in on the sending side")
        return nftables.Rules("sender", self.interface)

    def install_command(self, rules: nftables.Rules) -> str:
        """The command that installs ``rules``, as a person types it."""
        source = f" --from {rules.source}" if rules.source else ""
        return f"diode oneway install -c {self.config} -i {rules.interface}{source}"


def show_rules(place: Place) -> None:
    """Print the rules, as nft reads them."""
    say_ours(place.rules.text().removesuffix("\n"))


def install(place: Place, *, replace: bool) -> None:
    """Write the rules in one step, and read them back."""
    rules = place.rules
    nftables.install(rules, replace=replace)
    way = "nothing leaves it" if rules.role == "receiver" else "nothing comes in by it"
    say(f"{rules.interface}: {way}. After a boot the rules are gone: docs/operations.md says how to load them then")


def check(place: Place) -> None:
    """Compare what the kernel has with what install writes. Raises FindingsError where they differ."""
    rules = place.rules
    standing = nftables.check(rules)
    if standing.differences:
        raise FindingsError("; ".join([*standing.differences, f"type: {place.install_command(rules)}"]))
    counters = ", ".join(f"{name}: {count:,}" for name, count in standing.counters.items())
    say(f"{rules.interface}: in place ({counters} packets)")


def remove(place: Place) -> None:
    """Remove the rules, and nothing else."""
    was_there = nftables.remove(place.rules)
    say(f"{place.interface}: " + ("removed; frames pass both ways now" if was_there else "there was nothing to remove"))


def examine(place: Place, form: Form, evidence: Path | None, key: Path | None, *, with_selftest: bool) -> None:
    """Run all checks and show what they find. Raises FindingsError, or typer.Exit where the output is for machines."""
    if evidence is not None and key is None:
        raise UsageError("--evidence is signed: give a --key (diode keys signing PATH makes one)")
    site = report.open_site(place.config, place.interface, place.source)
    found = report.examine(site)
    proof = selftest.prove(site) if with_selftest else None
    if proof:
        text = "{tried} tries to send by {0}: {dropped_by_the_rules} frames dropped by the rules, {left} left"
        say(text.format(site.interface, **proof), file=sys.stderr)
    if evidence is not None and key is not None:
        keyid = selftest.write_evidence(selftest.evidence(site, found, proof), evidence, key)
        say(f"wrote {evidence}, signed by {keyid}", file=sys.stderr)
    match form:
        case "fix_plan":
            say(*report.fix_plan(found))
        case "json":
            report.print_json(site, found)
        case "tables":
            report.show(site, found, new_console())
    if problems := report.problems(found):
        if form != "tables":
            raise typer.Exit(FindingsError.exit_code)
        raise FindingsError(f"{len(problems)} problems: {', '.join(finding.check for finding in problems)}")


def read_evidence(file: Path, signer: Path) -> None:
    """Check the signature of an evidence pack, and print what it says as JSON."""
    try:
        public = load_public_key(signer.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"{signer} is no public key: {error}") from error
    say_json(selftest.read_evidence(file, public), indent=2)
