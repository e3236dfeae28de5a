"""Bounds what people are shown of strangers' words, in number and in length, and makes it safe to look at."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Final

from cryptography import x509

from diode.formats.escape import escape

MAX_LINES: Final = 100  # of the changes of one file
_MAX_SHOWN: Final = 200  # characters of a name


def shown(text: str) -> str:
    """The beginning of a stranger's text, on one line and with every character visible."""
    visible = escape(text[:_MAX_SHOWN])
    return visible if len(visible) <= _MAX_SHOWN and len(text) <= _MAX_SHOWN else f"{visible[: _MAX_SHOWN - 3]}..."


def shown_name(name: x509.Name) -> str:
    """A subject or an issuer as RFC 4514 writes it. Raises ValueError where it cannot be read."""
    return shown(name.rfc4514_string()) or "(no name)"


def shown_date(at: datetime) -> str:
    """A moment in UTC, to the second."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def bounded(lines: Iterable[str]) -> tuple[str, ...]:
    """At most MAX_LINES lines; where there are more, the last one counts those that are left out."""
    rest = iter(lines)
    first = tuple(islice(rest, MAX_LINES))
    more = sum(1 for _ in rest)
    return (*first[:-1], f"and {more + 1} more changes") if more else first


def differences(what: str, before: Mapping[str, bytes], now: Mapping[str, bytes]) -> Iterator[str]:
    """A line for each ``what`` that is removed, added or changed, in this order. Digests by name."""
    yield from (f"removed {what} {shown(name)}" for name in sorted(before.keys() - now.keys()))
    yield from (f"added {what} {shown(name)}" for name in sorted(now.keys() - before.keys()))
    yield from (
        f"changed {what} {shown(name)}" for name in sorted(now.keys() & before.keys()) if now[name] != before[name]
    )
