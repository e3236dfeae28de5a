"""``diode audit``: options and help texts of the commands that verify audit logs and receipts, export and show logs."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from diode.console.entry import new_app

app = new_app("Show and verify audit logs: one signed line a decision.")

Log = Annotated[Path, typer.Argument(metavar="FILE|DIR", help="A log's folder, or one of its segments.")]
Keys = Annotated[
    list[Path] | None, typer.Option("--key", help="Service key (*.pub) of the side; repeat for older keys.")
]


@app.command("verify")
def verify_log(
    log: Log,
    key: Keys = None,
    heads: Annotated[
        Path | None,
        typer.Option(
            "--heads", metavar="FILE|DIR", help="The enclave's log, which records checkpoints of LOG that it heard."
        ),
    ] = None,
    heads_key: Annotated[
        list[Path] | None, typer.Option("--heads-key", help="Service key of the enclave, to verify its log as well.")
    ] = None,
    guard: Annotated[
        Path | None,
        typer.Option("--anchor", metavar="FILE", help="This side's rollback guard, which records where LOG ended."),
    ] = None,
    no_signatures: Annotated[bool, typer.Option("--no-signatures", help="Check the chain only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Check chain, numbers and signatures of a log.

    Nothing is changed. Exit code 13: the chain is broken or cut. 12: a signature is wrong. The message names the line.
    The rollback guard is found by itself if the log lies where 'diode init' puts it.
    """
    from diode.commands import audit

    wanted = audit.Checks(key or [], heads, heads_key or [], guard, are_signatures_left_out=no_signatures)
    audit.verify_log(log, wanted, as_json=as_json)


@app.command("export")
def export(
    log: Log,
    form: Annotated[
        Literal["jsonl", "syslog"], typer.Option("--format", help="The lines themselves, or syslog lines of RFC 5424.")
    ] = "jsonl",
    hostname: Annotated[str, typer.Option("--hostname", help="HOSTNAME of syslog lines.")] = "-",
) -> None:
    """Write all entries to standard output.

    Exit code 13: a line does not follow the one before.
    """
    from diode.commands import audit

    audit.export(log, form, hostname)


@app.command("show")
def show(
    log: Log,
    last: Annotated[int, typer.Option("--last", min=1, max=10_000, help="How many entries to show.")] = 20,
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="Not older: a date, a date and a time in UTC, or 36h, 7d.")
    ] = "",
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="Not newer; a date is the whole day.")] = "",
    what: Annotated[list[str] | None, typer.Option("--what", help="This kind of entry; repeatable.")] = None,
    bundle: Annotated[
        str, typer.Option("--bundle", metavar="ID", help="About this bundle; its beginning will do.")
    ] = "",
    channel: Annotated[str, typer.Option("--channel", help="About bundles of this channel.")] = "",
    who: Annotated[str, typer.Option("--who", help="By this user; a part of the name will do.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="The entries as JSON, one a line.")] = False,
) -> None:
    """Show the newest entries that fit all filters.

    Times are whole, in UTC. Nothing is changed.
    """
    from diode.audit.find import Wanted
    from diode.commands import audit

    begin, end = audit.moment_of("--since", since), audit.moment_of("--until", until, is_end=True)
    wanted = Wanted(begin, end, tuple(what or ()), bundle.lower(), channel, who)
    audit.show(log, wanted, last, as_json=as_json)


@app.command("verify-receipt")
def verify_published(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="inbox/CHANNEL/NAME/VERSION, or a copy.")],
    key: Annotated[Path, typer.Option("--key", help="Service key (*.pub) of the receiver that published it.")],
) -> None:
    """Check the receipt of a published bundle.

    KEY must have signed it, and it must be about the manifest beside it. The data itself is not read: check it with
    SHA256SUMS.
    """
    from diode.commands import audit

    audit.verify_published(folder, key)
