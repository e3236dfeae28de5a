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
) -> None:
    """Show the newest entries as a table."""
    from diode.commands import audit

    audit.show(log, last)


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
