"""Questions and tables that several commands share: confirmations, lists of fields, a trust document."""

import sys
from collections.abc import Mapping

from rich import box
from rich.table import Table

from diode.console.drawing import new_console
from diode.console.terminal import ask, say
from diode.errors import UsageError
from diode.trust.document import TrustDocument


def show_document(document: TrustDocument) -> None:
    """Print a trust document as tables."""
    say(f"trust document {document.version}, created {document.created}, expires {document.expires or 'never'}")
    table = Table("person", "key", "from", "until", "revoked", box=box.SIMPLE)
    for person, entries in document.persons.items():
        for entry in entries:
            key_id = entry.key.keyid
            dates = entry.not_before or "", entry.expires or ""
            table.add_row(person, key_id[:16], *dates, document.revoked.get(key_id, ""))
    roles = Table("role", "people", "signatures", box=box.SIMPLE)
    roles.add_row("root", ", ".join(document.root.persons), str(document.root.threshold))
    for kind, entries_of in (("sign", document.channels), ("release", document.release)):
        for channel, role in entries_of.items():
            roles.add_row(f"{kind} {channel}", ", ".join(role.persons), str(role.threshold))
    new_console().print(table, roles)


def confirm(question: str, *, yes: bool) -> None:
    """Ask for confirmation on the terminal. Without a terminal ``--yes`` is needed; otherwise UsageError is raised."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("nothing was done: there is no terminal to ask on; with --yes nothing is asked")
    if not ask(question):
        raise UsageError("nothing was done")


def print_fields(fields: Mapping[str, object]) -> None:
    """Print one line for each field that is not empty."""
    for name, value in fields.items():
        if value is not None:
            say(f"{name + ':':<16}{value}")
