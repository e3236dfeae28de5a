"""Shows a trust document as tables."""

from rich import box
from rich.table import Table

from diode.console.drawing import new_console
from diode.console.terminal import say
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
