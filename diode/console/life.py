"""Shows one bundle's life for ``log`` of both sides: what is known of it now, and each step with its time."""

import sys
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, Protocol

from diode.bundle.ref import label_of
from diode.console.human import size_text
from diode.console.listing import as_dict, lines_of
from diode.console.moments import whole_time
from diode.console.terminal import say, say_json
from diode.errors import UsageError
from diode.storage.listing import MOST_NAMED, Listed, Listing

Source = Literal["audit", "ledger", "peer", "gateway"]
PEER_SAYS = "says the sender, unsigned"
_WHOLE_ID = 16
_HEX = frozenset("0123456789abcdef")
_LEDGER_ONLY = 19 * " "  # as wide as a whole time


class Entry(Protocol):
    """What is shown of an entry of the audit log."""

    @property
    def at(self) -> str: ...  # noqa: D102
    @property
    def what(self) -> str: ...  # noqa: D102
    @property
    def who(self) -> str: ...  # noqa: D102
    @property
    def verdict(self) -> str | None: ...  # noqa: D102
    @property
    def detail(self) -> str | None: ...  # noqa: D102
    @property
    def key(self) -> str | None: ...  # noqa: D102
    @property
    def again(self) -> bool | None: ...  # noqa: D102


class Step(NamedTuple):
    """One thing that happened to a bundle, or is so. ``at`` is empty where nobody wrote down when."""

    at: str
    what: str
    who: str = ""
    detail: str = ""
    key: str = ""
    source: Source = "audit"


class Life(NamedTuple):
    """A bundle, as the ledger has it (None: it does not), and its steps."""

    bundle: str
    row: Listed | None
    steps: Sequence[Step]
    standing: str = ""  # the word for people, where it is another than the ledger's


def find_bundle(listing: Listing | None, text: str) -> tuple[str, Listed | None]:
    """The one bundle whose id begins so, or that has this label: its id and row. A whole id needs no row.

    Raises UsageError when there is none, or more than one.
    """
    found = listing.beginning(text) if listing is not None and text else []
    if len(found) == 1:
        return found[0].id, found[0]
    if not found and len(text) == _WHOLE_ID and _HEX.issuperset(text.lower()):
        return text.lower(), None
    if not found:
        raise UsageError(f"{text!r} is no bundle here: give an id, its beginning, or CHANNEL/NAME/VERSION; see 'ls'")
    more = ", ..." if len(found) == MOST_NAMED else ""
    raise UsageError(f"{text!r} is the beginning of several bundles: {', '.join(lines_of(found))}{more}")


def step_of(entry: Entry) -> Step:
    """A step from an entry of the audit log."""
    verdict = f"{entry.verdict}: " if entry.verdict and entry.verdict != "failed" else ""
    again = " (again)" if entry.again else ""
    return Step(entry.at, entry.what + again, entry.who, f"{verdict}{entry.detail or ''}".strip(), entry.key or "")


def show_life(life: Life, *, as_json: bool) -> None:
    """Show a bundle's life. Raises UsageError when nothing at all is known of it."""
    if life.row is None and not life.steps:
        raise UsageError(f"{life.bundle} is not known here: neither the ledger nor the audit log names it")
    steps = sorted(life.steps, key=lambda step: (not step.at, step.at))  # stable: as they were written
    if as_json:
        _say_json(life, steps)
        return
    say(*_head(life))
    say(*(_line(step) for step in steps))
    if not any(step.source == "audit" for step in steps):
        say("the audit log says nothing of it", file=sys.stderr)


def _say_json(life: Life, steps: Iterable[Step]) -> None:
    say_json({"message_type": "bundle"} | ({"bundle": life.bundle} if life.row is None else as_dict(life.row)))
    for step in steps:
        say_json({"message_type": "step", **step._asdict()})


def _head(life: Life) -> Iterable[str]:
    row = life.row
    if row is None:
        yield f"{life.bundle}: the ledger does not have it"
        return
    yield label_of(row)
    files = "1 file" if row.files == 1 else f"{row.files:,} files"
    yield f"  bundle {row.id}, number {row.sequence}, {size_text(row.size)} in {files}: {life.standing or row.state}"
    if row.detail:
        yield f"  {row.detail}"


def _line(step: Step) -> str:
    by = {"peer": f" ({PEER_SAYS})", "gateway": " (says the gateway)"}.get(step.source, "")
    who = f" by {step.who}" if step.who else ""
    key = f", key {', '.join(one[:16] for one in step.key.split(','))}" if step.key else ""
    detail = f": {step.detail}" if step.detail else ""
    return f"  {whole_time(step.at) if step.at else _LEDGER_ONLY}  {step.what}{who}{key}{detail}{by}"
