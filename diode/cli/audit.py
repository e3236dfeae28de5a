"""``diode audit``: options and help texts of the commands that verify audit logs and receipts, export and show logs."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from diode.console.entry import new_app

app = new_app("Audit logs: one signed line for each decision, chained (docs/audit.md).")

Log = Annotated[Path, typer.Argument(metavar="FILE|DIR", help="A log's folder, or one of its segments.")]
Keys = Annotated[
    list[Path] | None, typer.Option("--key", help="Service key (*.pub) of the side; again for an older one.")
]


@app.command("verify")
def verify_log(
    log: Log,
    key: Keys = None,
    heads: Annotated[
        Path | None,
        typer.Option("--heads", metavar="FILE|DIR", help="The enclave's log: the heads that it heard of LOG."),
    ] = None,
    heads_key: Annotated[
        list[Path] | None, typer.Option("--heads-key", help="Service key of the enclave: its log is verified, too.")
    ] = None,
    guard: Annotated[
        Path | None,
        typer.Option("--anchor", metavar="FILE", help="This side's rollback guard: it knows where LOG ended."),
    ] = None,
    no_signatures: Annotated[bool, typer.Option("--no-signatures", help="Check the chain alone.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON.")] = False,
) -> None:
    """Check chain, numbers and signatures; 13 where the chain is broken or cut, 12 at a wrong signature, named by line.

    The rollback guard of a log that lies where 'diode init' puts it is found by itself.
    """
    from diode.commands import audit

    wanted = audit.Checks(key or [], heads, heads_key or [], guard, are_signatures_left_out=no_signatures)
    audit.verify_log(log, wanted, as_json=as_json)


@app.command("export")
def export(
    log: Log,
    form: Annotated[
        Literal["jsonl", "syslog"], typer.Option("--format", help="Lines as they are, or RFC 5424.")
    ] = "jsonl",
    hostname: Annotated[str, typer.Option("--hostname", help="HOSTNAME of syslog lines.")] = "-",
) -> None:
    """Write all entries to standard output; ends with 13 at a line that does not follow the one before."""
    from diode.commands import audit

    audit.export(log, form, hostname)


@app.command("show")
def show(
    log: Log,
    last: Annotated[int, typer.Option("--last", min=1, max=10_000, help="How many of the newest entries.")] = 20,
) -> None:
    """The newest entries, as a table."""
    from diode.commands import audit

    audit.show(log, last)


@app.command("verify-receipt")
def verify_published(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="inbox/CHANNEL/NAME/VERSION, or a copy.")],
    key: Annotated[Path, typer.Option("--key", help="Service key (*.pub) of the receiver that published it.")],
) -> None:
    """Check a published bundle's receipt: signed by KEY, and of the manifest beside it. SHA256SUMS checks the data."""
    from diode.commands import audit

    audit.verify_published(folder, key)
