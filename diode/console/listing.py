"""Shows lists of bundles for ``ls`` of both sides: a line a bundle, which fits the terminal, or JSON lines."""

import shutil
import sys
import time
from collections.abc import Callable, Collection, Iterable
from itertools import islice
from typing import Final

from diode.bundle.ref import label_of
from diode.console.human import moment_text, size_text
from diode.console.moments import moment_of
from diode.console.terminal import say, say_json
from diode.errors import UsageError
from diode.formats.escape import escape
from diode.storage.listing import Listed, Listing, Wanted

LAST: Final = 50
_NARROW: Final = 80
_LEAST_LABEL: Final = 20
_AT_ONCE: Final = 1000  # lines of one write
_CUT: Final = "\N{HORIZONTAL ELLIPSIS}"


def wanted_of(of: str, channel: str, state: str, states: Collection[str], period: tuple[str, str]) -> Wanted:
    """What is to be listed. ``of``: ``CHANNEL`` or ``CHANNEL/NAME``. Raises UsageError."""
    place, _, name = of.partition("/")
    if place and channel and place != channel:
        raise UsageError(f"{of!r} is not of channel {channel!r}; name one of them")
    if state and state not in states:
        raise UsageError(f"no bundle is ever {state!r}; a state is one of: {', '.join(states)}")
    since, until = (moment_of(text, time.time()) if text else "" for text in period)
    return Wanted(place or channel, name, state, since, until)


def list_bundles(
    listing: Listing | None, wanted: Wanted, most: int | None, standing: Callable[[Listed], str], *, as_json: bool
) -> None:
    """Show the newest bundles that are wanted; ``most`` of them, None for all. There may be no ledger yet.

    ``standing``: the word for people, as ``status`` has it. Programs read the ledger's own, and this one beside it.
    """
    found = iter(()) if listing is None else listing.newest(wanted, -1 if most is None else most + 1)
    shown = found if most is None else islice(found, most)
    if as_json:
        for one in shown:
            say_json(as_dict(one) | {"standing": standing(one)})
        return
    lines, count = (line_of(one, standing(one), time.time(), label_columns()) for one in shown), 0
    while some := list(islice(lines, _AT_ONCE)):
        say(*some)
        count += len(some)
    if not count:
        say("no such bundle" if any(wanted) else "no bundle yet", file=sys.stderr)
    elif most is not None and next(found, None) is not None:
        say(f"these are the newest {most}; older ones: --last N, or --all", file=sys.stderr)


def as_dict(one: Listed) -> dict[str, object]:
    """One bundle for programs, with its label."""
    return {"bundle": one.id, "label": label_of(one), **{name: getattr(one, name) for name in Listed._fields[1:]}}


def line_of(one: Listed, standing: str, now_s: float, columns: int) -> str:
    """One bundle for people: id, moment, size, state and label. Of a longer label the middle is left out."""
    head = f"{one.id}  {moment_text(one.at, now_s):<12}  {size_text(one.size):>9}  {standing:<11}  "
    return head + clipped(escape(label_of(one)), columns)


def label_columns() -> int:
    """How many characters a label may have in a line of the terminal. Elsewhere it is never cut."""
    if not sys.stdout.isatty():
        return sys.maxsize
    return max(
        _LEAST_LABEL, shutil.get_terminal_size((_NARROW, 24)).columns - len(f"{'':16}  {'':12}  {'':9}  {'':11}  ")
    )


def clipped(text: str, columns: int) -> str:
    """``text``, or its beginning and its end where it is longer than that."""
    if len(text) <= columns:
        return text
    before = (columns - 1) // 2
    return text[:before] + _CUT + text[len(text) - (columns - 1 - before) :]


def lines_of(some: Iterable[Listed]) -> list[str]:
    """Bundles that a text could mean, to be shown beside an error."""
    return [f"{one.id} {label_of(one)}" for one in some]
