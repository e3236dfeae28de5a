"""The work of ``diode audit``: verifies, exports and shows audit logs, and verifies receipts of published bundles."""

import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from rich import box
from rich.table import Column, Table

from diode.audit.chain import What
from diode.audit.find import Wanted, find_newest
from diode.audit.syslog import syslog_line
from diode.audit.verify import (
    Verified,
    chained,
    checkpoints_heard,
    guarded_checkpoint,
    newest_entries,
    read_service_keys,
    verify,
)
from diode.config.load import load_either
from diode.console.drawing import new_console
from diode.console.terminal import say, say_bytes, say_json
from diode.errors import DiodeError, UsageError
from diode.formats.timestamps import check_moment, moment
from diode.trust.keys import read_public_key
from diode.trust.receipts import verify_receipt

_AGO: Final = re.compile(r"([0-9]{1,9})([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_START: Final = {10: "T00:00:00", 16: ":00", 19: ""}  # what a date, and a time without seconds, leave out
_END: Final = {10: "T23:59:59", 16: ":59", 19: ""}
_FACTS: Final = ("bundle", "channel", "name", "version", "digest", "verdict", "key", "head", "detail")


@dataclass(frozen=True, slots=True)
class Checks:
    """What a log is checked against: keys that should have signed it, checkpoints heard elsewhere, a rollback guard."""

    keys: Sequence[Path]
    heads: Path | None
    heads_keys: Sequence[Path]
    anchor: Path | None
    are_signatures_left_out: bool


def verify_log(log: Path, checks: Checks, *, as_json: bool) -> None:
    """Check chain, numbers and signatures. Raises UsageError, IntegrityError, SignatureError."""
    if not checks.keys and not checks.are_signatures_left_out:
        raise UsageError("give the --key that should have signed, or --no-signatures to check the chain alone")
    heads = checks.heads
    if heads is not None and checks.heads_keys:
        verify(heads, read_service_keys(checks.heads_keys))
    anchor = checks.anchor or _find_guard(log)
    anchored = guarded_checkpoint(anchor) if anchor else None
    found = verify(
        log, read_service_keys(checks.keys), checkpoints_heard(heads) if heads is not None else None, anchored
    )
    if as_json:
        say_json(_as_dict(found, is_signed=bool(checks.keys)) | {"anchored": anchored.n if anchored else None})
        return
    say(
        f"{log}: entries {found.first} to {found.head.n} of a {found.side or 'side'} follow each other"
        + (", each signed" if checks.keys else "; signatures were not checked")
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


def export(log: Path, form: Literal["jsonl", "syslog"], hostname: str) -> None:
    """Write all entries to standard output. Raises IntegrityError at a line that does not follow the one before."""
    if not hostname.isascii() or not hostname.isprintable() or " " in hostname or not 0 < len(hostname) <= 255:
        raise UsageError("--hostname: 1 to 255 printable ASCII characters without a space")
    for line, entry in chained(log):
        say_bytes(line.text if form == "jsonl" else syslog_line(entry, hostname).encode())


def show(log: Path, wanted: Wanted, last: int, *, as_json: bool) -> None:
    """Show the newest entries that are wanted, as a table, or as they are, a line each. Raises UsageError."""
    if unknown := [what for what in wanted.what if what not in set(What)]:
        raise UsageError(f"--what {unknown[0]}: there is no such entry; docs/audit.md lists them")
    found = newest_entries(log, last) if wanted == Wanted() else find_newest(log, wanted, last)
    if as_json:
        for entry in found:
            say_json(entry.model_dump(exclude_none=True, mode="json"))
        return
    table = Table("n", Column("at", no_wrap=True), "side", "who", "what", "facts", box=box.SIMPLE)
    for entry in found:
        fields = entry.model_dump(exclude_none=True, mode="json")
        facts = ", ".join(f"{name} {fields[name]}" for name in _FACTS if name in fields)
        what = entry.what + (" (again)" if entry.again else "")
        table.add_row(str(entry.n), entry.at, entry.side, entry.who, what, facts)
    new_console().print(table)


def moment_of(option: str, text: str, *, is_end: bool = False) -> str:
    """A moment from text: a date, a date and a time (UTC, as entries have them), or so long ago, as 90m, 36h, 7d.

    With ``is_end``, what is not written of it is its end: a date is the whole day. Raises UsageError.
    """
    if not text:
        return ""
    if ago := _AGO.fullmatch(text):
        return moment(max(0.0, time.time() - int(ago[1]) * _SECONDS[ago[2]]))
    written = text.upper().replace(" ", "T").removesuffix("Z")
    try:
        return check_moment(f"{written}{_END[len(written)] if is_end else _START[len(written)]}Z")
    except (KeyError, ValueError):
        raise UsageError(
            f"{option} {text}: write 2026-11-29, 2026-11-29T14:30 (UTC), or how long ago: 90m, 36h, 7d"
        ) from None


def verify_published(folder: Path, key: Path) -> None:
    """Check a published bundle's receipt."""
    receipt = verify_receipt(folder, read_public_key(key))
    say(f"{receipt.label}: published {receipt.published}, signed by {receipt.signer}")


def _find_guard(log: Path) -> Path | None:
    """The rollback guard of the side whose log this is, by the configuration two folders above. None: not found."""
    for name in ("sender.toml", "receiver.toml"):
        try:
            config = load_either(log.resolve().parent.parent / name)
        except DiodeError:
            continue
        if config.audit_folder.resolve() == log.resolve() and config.guard_file.exists():
            return config.guard_file
    return None


def _as_dict(found: Verified, *, is_signed: bool) -> dict[str, object]:
    repairs = [entry.model_dump(mode="json", exclude_none=True) for entry in found.repairs]
    head = {"n": found.head.n, "hash": found.head.hash}
    return {"side": found.side, "first": found.first, "head": head, "files": found.files, "heads": found.heads} | {
        "signed": is_signed,
        "repairs": repairs,
    }
