"""``diode audit``: verify, export and show audit logs, and verify the receipts of published bundles."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich import box
from rich.table import Table

from diode.audit.syslog import syslog_line
from diode.audit.verify import (
    Verified,
    anchored_head,
    chained,
    heads_heard,
    newest_entries,
    read_service_keys,
    verify,
)
from diode.config.load import load_either
from diode.console.drawing import new_console
from diode.console.entry import new_app
from diode.console.terminal import say, say_bytes, say_json
from diode.errors import DiodeError, UsageError
from diode.trust.keys import read_public_key
from diode.trust.receipts import verify_receipt

audit_app = new_app("Audit logs: one signed line for each decision, chained (docs/audit.md).")

Log = Annotated[Path, typer.Argument(metavar="FILE|DIR", help="A log's folder, or one of its segments.")]
Keys = Annotated[
    list[Path] | None, typer.Option("--key", help="Service key (*.pub) of the side; again for an older one.")
]
_FACTS = ("bundle", "channel", "name", "version", "digest", "verdict", "key", "head", "detail")


@audit_app.command("verify")
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
    anchor: Annotated[
        Path | None,
        typer.Option("--anchor", metavar="FILE", help="This side's rollback guard: it knows where LOG ended."),
    ] = None,
    no_signatures: Annotated[bool, typer.Option("--no-signatures", help="Check the chain alone.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON.")] = False,
) -> None:
    """Check chain, numbers and signatures; 13 where the chain is broken or cut, 12 at a wrong signature, named by line.

    The rollback guard of a log that lies where 'diode init' puts it is found by itself.
    """
    if not key and not no_signatures:
        raise UsageError("give the --key that should have signed, or --no-signatures to check the chain alone")
    if heads is not None and heads_key:
        verify(heads, read_service_keys(heads_key))
    anchor = anchor or _find_anchor(log)
    anchored = anchored_head(anchor) if anchor else None
    found = verify(log, read_service_keys(key or []), heads_heard(heads) if heads is not None else None, anchored)
    if as_json:
        say_json(_as_dict(found, is_signed=bool(key)) | {"anchored": anchored.n if anchored else None})
        return
    say(
        f"{log}: entries {found.first} to {found.head.n} of a {found.side or 'side'} follow each other"
        + (", each signed" if key else "; signatures were not checked")
    )
    say(f"  head {found.head.n} {found.head.hash}")
    if heads is not None:
        say(f"  {found.heads} heads that the enclave heard are in it")
    if anchored is not None:
        say(f"  entry {anchored.n}, which the rollback guard {anchor} knows of, is in it")
    else:
        say("  no rollback guard tells whether its end was cut off: give it by --anchor", file=sys.stderr)
    for entry in found.repairs:
        say(f"  repaired after a crash: entry {entry.n}, {entry.at}: {entry.detail or ''}")


@audit_app.command("export")
def export(
    log: Log,
    form: Annotated[
        Literal["jsonl", "syslog"], typer.Option("--format", help="Lines as they are, or RFC 5424.")
    ] = "jsonl",
    hostname: Annotated[str, typer.Option("--hostname", help="HOSTNAME of syslog lines.")] = "-",
) -> None:
    """Write all entries to standard output; ends with 13 at a line that does not follow the one before."""
    if not hostname.isascii() or not hostname.isprintable() or " " in hostname or not 0 < len(hostname) <= 255:
        raise UsageError("--hostname: 1 to 255 printable ASCII characters without a space")
    for line, entry in chained(log):
        say_bytes(line.text if form == "jsonl" else syslog_line(entry, hostname).encode())


@audit_app.command("show")
def show(
    log: Log,
    last: Annotated[int, typer.Option("--last", min=1, max=10_000, help="How many of the newest entries.")] = 20,
) -> None:
    """The newest entries, as a table."""
    table = Table("n", "at", "side", "who", "what", "facts", box=box.SIMPLE)
    for entry in newest_entries(log, last):
        fields = entry.model_dump(exclude_none=True, mode="json")
        facts = ", ".join(f"{name} {fields[name]}" for name in _FACTS if name in fields)
        what = entry.what + (" (again)" if entry.again else "")
        table.add_row(str(entry.n), entry.at, entry.side, entry.who, what, facts)
    new_console().print(table)


@audit_app.command("verify-receipt")
def verify_published(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="inbox/CHANNEL/NAME/VERSION, or a copy.")],
    key: Annotated[Path, typer.Option("--key", help="Service key (*.pub) of the receiver that published it.")],
) -> None:
    """Check a published bundle's receipt: signed by KEY, and of the manifest beside it. SHA256SUMS checks the data."""
    receipt = verify_receipt(folder, read_public_key(key))
    say(f"{receipt.label}: published {receipt.published}, signed by {receipt.signer}")


def _find_anchor(log: Path) -> Path | None:
    """The rollback guard of the side whose log this is, by the configuration two folders above. None: not found."""
    for name in ("sender.toml", "receiver.toml"):
        try:
            config = load_either(log.resolve().parent.parent / name)
        except DiodeError:
            continue
        if config.audit_folder.resolve() == log.resolve() and config.anchor_file.exists():
            return config.anchor_file
    return None


def _as_dict(found: Verified, *, is_signed: bool) -> dict[str, object]:
    repairs = [entry.model_dump(mode="json", exclude_none=True) for entry in found.repairs]
    head = {"n": found.head.n, "hash": found.head.hash}
    return {"side": found.side, "first": found.first, "head": head, "files": found.files, "heads": found.heads} | {
        "signed": is_signed,
        "repairs": repairs,
    }
