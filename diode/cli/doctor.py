"""``diode oneway``, ``doctor`` and ``evidence``: options and help texts of the host checks and one-way rules."""

from pathlib import Path
from typing import Annotated

import typer

from diode.console.entry import new_app

oneway_app = new_app("Rules of the kernel that let nothing out of (or into) the diode's interface. Needs root.")

Config = Annotated[Path, typer.Option("-c", "--config", help="Configuration of the daemon on this host.")]
Interface = Annotated[str, typer.Option("--interface", "-i", help="The diode's interface.")]
Source = Annotated[
    str | None, typer.Option("--from", metavar="ADDRESS", help="Receiver: the only address that datagrams come from.")
]


@oneway_app.command("show")
def show(config: Config, interface: Interface, source: Source = None) -> None:
    """Print the rules that install would write, in the language of nft."""
    from diode.commands import doctor

    doctor.show_rules(doctor.Place(config, interface, source))


@oneway_app.command("install")
def install(
    config: Config,
    interface: Interface,
    source: Source = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace rules that somebody changed.")] = False,
) -> None:
    """Write the rules in one step, and read them back. They last until the next boot."""
    from diode.commands import doctor

    doctor.install(doctor.Place(config, interface, source), replace=replace)


@oneway_app.command("check")
def check(config: Config, interface: Interface, source: Source = None) -> None:
    """Compare the rules in the kernel with those that install writes, and print their counters."""
    from diode.commands import doctor

    doctor.check(doctor.Place(config, interface, source))


@oneway_app.command("remove")
def remove(config: Config, interface: Interface) -> None:
    """Remove the rules of this interface. Other rules stay."""
    from diode.commands import doctor

    doctor.remove(doctor.Place(config, interface, None))


def doctor(
    config: Config,
    interface: Annotated[
        str | None, typer.Option("--interface", "-i", help="The diode's interface; if left out, it is looked up.")
    ] = None,
    source: Source = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON on standard output.")] = False,
    with_selftest: Annotated[
        bool, typer.Option("--selftest", help="Receiver: a rogue process tries every way to send; needs root.")
    ] = False,
    evidence: Annotated[
        Path | None, typer.Option("--evidence", metavar="FILE", help="Write the findings, signed, to this new file.")
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", help="Signing key for --evidence.")] = None,
    fix_plan: Annotated[
        bool, typer.Option("--fix-plan", help="Print the commands that mend what was found; runs none.")
    ] = False,
) -> None:
    """Check whether anything can come back, and whether this host is fast and sound. Exits with 20 for a problem.

    Nothing is changed.
    """
    from diode.commands import doctor

    place = doctor.Place(config, interface, source)
    form: doctor.Form = "fix_plan" if fix_plan else "json" if as_json else "tables"
    doctor.examine(place, form, evidence, key, with_selftest=with_selftest)


def evidence(
    file: Annotated[Path, typer.Argument(help="A file that diode doctor --evidence wrote.")],
    signer: Annotated[Path, typer.Option("--signer", help="Public key that must have signed it.")],
) -> None:
    """Check the signature of an evidence pack, and print its content as JSON."""
    from diode.commands import doctor

    doctor.read_evidence(file, signer)
