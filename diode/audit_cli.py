"""``diode audit``: verify, export and show audit logs, and verify the receipts of published bundles."""

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from diode.audit_check import (
    Verified,
    anchored_head,
    chained,
    heads_heard,
    newest_entries,
    read_service_keys,
    verify,
)
from diode.config import load_either
from diode.entry import new_app
from diode.errors import DiodeError, UsageError
from diode.keys import read_public_key
from diode.receipt import verify_receipt
from diode.syslog import syslog_line

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
        print(json.dumps(_as_dict(found, is_signed=bool(key)) | {"anchored": anchored.n if anchored else None}))
        return
    print(
        f"{log}: entries {found.first} to {found.head.n} of a {found.side or 'side'} follow each other"
        + (", each signed" if key else "; signatures were not checked")
    )
    print(f"  head {found.head.n} {found.head.hash}")
    if heads is not None:
        print(f"  {found.heads} heads that the enclave heard are in it")
    if anchored is not None:
        print(f"  entry {anchored.n}, which the rollback guard {anchor} knows of, is in it")
    else:
        print("  no rollback guard tells whether its end was cut off: give it by --anchor", file=sys.stderr)
    for entry in found.repairs:
        print(f"  repaired after a crash: entry {entry.n}, {entry.at}: {_shown(entry.detail or '')}")


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
    out = sys.stdout.buffer
    for line, entry in chained(log):
        out.write((line.text if form == "jsonl" else syslog_line(entry, hostname).encode()) + b"\n")
    out.flush()


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
        table.add_row(*map(_shown, (str(entry.n), entry.at, entry.side, entry.who, what, facts)))
    Console().print(table)


@audit_app.command("verify-receipt")
def verify_published(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="inbox/CHANNEL/NAME/VERSION, or a copy.")],
    key: Annotated[Path, typer.Option("--key", help="Service key (*.pub) of the receiver that published it.")],
) -> None:
    """Check a published bundle's receipt: signed by KEY, and of the manifest beside it. SHA256SUMS checks the data."""
    receipt = verify_receipt(folder, read_public_key(key))
    print(f"{_shown(receipt.label)}: published {_shown(receipt.published)}, signed by {_shown(receipt.signer)}")


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


def _shown(text: str) -> Text:
    """Nothing in it reaches the terminal but characters."""
    return Text("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text))
