"""Shows lists of bundles for both sides: one line for each bundle."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from rich import box
from rich.table import Column, Table

from diode.bundle import ref as bundle_ref
from diode.bundle.ref import BundleRef
from diode.console.drawing import new_console
from diode.console.terminal import say


class Row(bundle_ref.Row, Protocol):
    """A bundle's row in the ledger of either side, with what a list shows of it."""

    @property
    def size(self) -> int: ...  # noqa: D102 - bytes
    @property
    def files(self) -> int: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of a list. ``facts`` are the cells of the additional columns of this list."""

    ref: BundleRef
    size_bytes: int
    files: int
    facts: tuple[str, ...] = ()

    @classmethod
    def of(cls, row: Row, *facts: str) -> Self:
        """The line for a ledger's row."""
        return cls(BundleRef.of_row(row), row.size, row.files, facts)


def show_waiting(bundles: Iterable[Listed], columns: Sequence[str]) -> None:
    """Print the bundles that wait for a person's decision. The id comes first, because that is what one types next."""
    waiting = list(bundles)
    if not waiting:
        say("nothing waits", file=sys.stderr)
        return
    table = Table(Column("id", no_wrap=True), "bundle", "bytes", "files", *columns, box=box.SIMPLE)
    for one in waiting:
        table.add_row(one.ref.hex_id, one.ref.label, f"{one.size_bytes:,}", f"{one.files:,}", *one.facts)
    new_console().print(table)
