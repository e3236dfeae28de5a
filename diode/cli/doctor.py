"""``diode oneway``, ``doctor`` and ``evidence``: options and help texts of the host checks and one-way rules."""

from pathlib import Path
from typing import Annotated

import typer

from diode.console.entry import new_app

oneway_app = new_app(
    """Let the kernel keep the interface one-way. Needs root.

    Its rules let nothing out of the diode's interface on the receiver, and nothing in on the sender.
    """
)

Config = Annotated[
    Path, typer.Option("-c", "--config", metavar="FILE", help="Configuration of the daemon on this host.")
]
Interface = Annotated[str, typer.Option("--interface", "-i", metavar="NAME", help="The diode's interface.")]
Source = Annotated[
    str | None, typer.Option("--from", metavar="ADDRESS", help="Receiver: the only address that datagrams come from.")
]


@oneway_app.command("show")
def show(config: Config, interface: Interface, source: Source = None) -> None:
    """Print the rules that 'install' would write, as nft has them."""
    from diode.commands import doctor

    doctor.show_rules(doctor.Place(config, interface, source))


@oneway_app.command("install")
def install(
    config: Config,
    interface: Interface,
    source: Source = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace rules that somebody changed.")] = False,
) -> None:
    """Write the rules, in one step, and read them back.

    They last until the next boot.
    """
    from diode.commands import doctor

    doctor.install(doctor.Place(config, interface, source), replace=replace)


@oneway_app.command("check")
def check(config: Config, interface: Interface, source: Source = None) -> None:
    """Compare the rules in the kernel with those of 'install'.

    It prints their counters, too. Nothing is changed.
    """
    from diode.commands import doctor

    doctor.check(doctor.Place(config, interface, source))


@oneway_app.command("remove")
def remove(config: Config, interface: Interface) -> None:
    """Remove the rules of this interface.

    Other rules stay.
    """
    from diode.commands import doctor

    doctor.remove(doctor.Place(config, interface, None))


def doctor(
    config: Config,
    interface: Annotated[
        str | None,
        typer.Option("--interface", "-i", metavar="NAME", help="The diode's interface; if left out, it is looked up."),
    ] = None,
    source: Source = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON on standard output.")] = False,
    with_selftest: Annotated[
        bool, typer.Option("--selftest", help="Receiver: a rogue process tries every way to send; needs root.")
    ] = False,
    evidence: Annotated[
        Path | None, typer.Option("--evidence", metavar="FILE", help="Write the findings, signed, to this new file.")
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", metavar="FILE", help="Signing key for --evidence.")] = None,
    fix_plan: Annotated[
        bool, typer.Option("--fix-plan", help="Print the commands that mend what was found; runs none.")
    ] = False,
) -> None:
    """Check whether this host is one-way, fast and sound.

    Nothing is changed. Exit code 20: there is a problem. --fix-plan prints the commands that mend it.
    """
    from diode.commands import doctor

    place = doctor.Place(config, interface, source)
    form: doctor.Form = "fix_plan" if fix_plan else "json" if as_json else "tables"
    doctor.examine(place, form, evidence, key, with_selftest=with_selftest)


def evidence(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that 'diode doctor --evidence' wrote.")],
    signer: Annotated[Path, typer.Option("--signer", metavar="PUB", help="Public key of whoever must have signed it.")],
) -> None:
    """Check who signed an evidence pack, and print it as JSON."""
    from diode.commands import doctor

    doctor.read_evidence(file, signer)
