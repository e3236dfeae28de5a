"""Judges an item of identity material by its channel's rules, against what was taken under its name before."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from importlib import import_module
from typing import Any, Final, NamedTuple

from diode.formats.escape import printable
from diode.identity.material import Fault, IdentityError
from diode.identity.rules import IdentityRules
from diode.identity.telling import HEAD_BYTES, kinds_of
from diode.layouts.files import Files
from diode.layouts.source import SOURCE_FILE, read_source

MOST_BYTES: Final = 64 << 20  # of an item
MOST_FILES: Final = 1000
MOST_CHANGES: Final = 100  # lines that people are shown
MOST_LINE: Final = 200  # characters of one
_READERS: Final = {  # loaded when the first file of a kind comes
    "crl": ("diode.identity.crl", "Crl"),
    "saml": ("diode.identity.saml", "Saml"),
    "jwks": ("diode.identity.jwks", "Jwks"),
    "ldif": ("diode.identity.ldif", "Ldif"),
    "ca-bundle": ("diode.identity.ca_bundle", "CaBundle"),
}


class RefusedMaterialError(IdentityError):
    """As IdentityError, of the file ``path`` of the item. Empty: of the item as a whole."""

    def __init__(self, fault: Fault, detail: str, path: str = "") -> None:
        super().__init__(fault, detail)
        self.path = path

    @property
    def said(self) -> str:
        """For people, with the file's name; one line, bounded."""
        of_file = f"{printable(self.path, MOST_LINE)}: " if self.path else ""
        return of_file + printable(self.detail, 2 * MOST_LINE)


class Before(NamedTuple):
    """What was taken last, and when: it may have expired since."""

    files: Files
    at: datetime


@dataclass(frozen=True, slots=True)
class Report:
    """An item that may be taken. ``changes``: a line for each, for those who approve it; bounded in number and length.

    ``counts``: files by kind. ``dated``: the oldest date that a file bears itself; None: no file bears one.
    """

    changes: Sequence[str]
    counts: Mapping[str, int]
    dated: datetime | None


def load(kinds: Sequence[str]) -> None:
    """Load the readers of these kinds, for a process that cannot load them later. Raises ImportError."""
    for kind in kinds:
        import_module(_READERS[kind][0])


def check(rules: IdentityRules, now: Files, before: Before | None, at: datetime) -> Report:
    """Judge the item ``now``, at the moment ``at``. ``before``: what was taken under this name last.

    A file that was there before may not be left out, of any kind: a revocation list that vanishes un-revokes, and what
    vanished could come back later in an older version. Raises RefusedMaterialError, OSError.
    """
    read = dict(_read_all(rules, now, at))
    if not read:
        raise RefusedMaterialError(Fault.KIND, "it holds no identity material")
    _check_deltas(read)
    known = _read_before(rules, before)
    for path in known.keys() - read.keys():
        said = "it was there before and is left out; a file that is no longer wanted ends with the name of its bundle"
        raise RefusedMaterialError(Fault.SWEEPING, said, path)
    lines: list[str] = []
    for path, (kind, material) in read.items():
        lines += _changes(path, kind, material, known.get(path), rules)
    counts: dict[str, int] = {}
    for kind, _ in read.values():
        counts[kind] = counts.get(kind, 0) + 1
    dates = [material.dated for _, material in read.values() if material.dated is not None]
    return Report(_bounded(lines), counts, min(dates, default=None))


def _changes(
    path: str, kind: str, material: Any, before: tuple[str, Any] | None, rules: IdentityRules
) -> Iterator[str]:
    """A line for each change of one file, and each note of it."""
    with _naming(path):
        if before is not None and before[0] != kind:
            raise IdentityError(Fault.KIND, f"it is {kind}, and was {before[0]} before")
        if before is None:
            yield f"{path}: new, {kind}"
        for line in (*material.follow(before[1] if before else None, rules), *material.notes):
            yield f"{path}: {line}"


def _read_all(rules: IdentityRules, files: Files, at: datetime) -> Iterator[tuple[str, tuple[str, Any]]]:
    """(path, (kind, what was read)) of each file, sorted by path. What this side wrote beside them is left out."""
    size = 0
    for number, file in enumerate(files.table()):
        size += file.size
        if size > MOST_BYTES or number >= MOST_FILES:
            said = f"an item of identity material has {MOST_BYTES >> 20} MiB and {MOST_FILES} files at most"
            raise RefusedMaterialError(Fault.MALFORMED, said)
        with _naming(file.path):
            try:
                content = files.read(file.path, MOST_BYTES)
            except ValueError as error:
                raise IdentityError(Fault.MALFORMED, str(error)) from None
            if file.path != SOURCE_FILE or not _is_source(content):
                kind = _kind_of(content, rules)
                yield file.path, (kind, _reader(kind).read(content, rules, at))


def _read_before(rules: IdentityRules, before: Before | None) -> dict[str, tuple[str, Any]]:
    """What was taken last, as it was judged then: how long it had to last does not matter any more."""
    if before is None:
        return {}
    then = replace(rules, crl_lag_days=0.0, saml_lag_days=0.0, ca_days=0.0)
    try:
        return dict(_read_all(then, before.files, before.at))
    except RefusedMaterialError as error:
        said = f"what was taken before cannot be read by the rules of today, so nothing can follow it: {error.detail}"
        raise RefusedMaterialError(error.fault, said, error.path) from error


def _kind_of(content: bytes, rules: IdentityRules) -> str:
    """The one kind of a file. Raises IdentityError unless the channel takes it."""
    found = kinds_of(content[:HEAD_BYTES])
    if len(found) != 1:
        seen = f"it may be {' or '.join(found)}" if found else "it is no kind of identity material that is known here"
        raise IdentityError(Fault.KIND, seen)
    if found[0] not in rules.kinds:
        raise IdentityError(Fault.KIND, f"it is {found[0]}; the channel takes {', '.join(rules.kinds)}")
    return found[0]


def _is_source(content: bytes) -> bool:
    """Whether it is a ``source.json`` as this project writes it: nothing of another kind can be one, too."""
    try:
        read_source(content)
    except ValueError:
        return False
    return True


def _reader(kind: str) -> Any:
    module, name = _READERS[kind]
    return getattr(import_module(module), name)()


def _check_deltas(read: Mapping[str, tuple[str, Any]]) -> None:
    lists = {path: material for path, (kind, material) in read.items() if kind == "crl"}
    if lists:
        try:
            import_module(_READERS["crl"][0]).check_deltas(lists)
        except IdentityError as error:
            raise RefusedMaterialError(error.fault, error.detail) from error


@contextmanager
def _naming(path: str) -> Iterator[None]:
    """Let an IdentityError in this block name the file."""
    try:
        yield
    except IdentityError as error:
        raise RefusedMaterialError(error.fault, error.detail, path) from error


def _bounded(lines: Sequence[str]) -> tuple[str, ...]:
    shown = [printable(line, MOST_LINE) for line in lines[:MOST_CHANGES]]
    more = len(lines) - len(shown)
    return (*shown, f"and {more} more lines, which are not shown") if more else tuple(shown)
