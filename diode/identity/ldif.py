"""Entries of a directory, and changes of them (LDIF, RFC 2849): all at or below one name, and nothing secret.

A file holds either all entries of a part of the directory, or changes. Entries follow entries: who is missing was
removed. Changes follow entries, or changes.
"""

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Self

from ldif import LDIFParser

from diode.identity.attributes import check_attributes, listed_types, types_of
from diode.identity.ldif_changes import Change, check_known, check_share, check_unknown
from diode.identity.ldif_lines import END_OF_MODIFICATION, Record, line_of, malformed, records_of
from diode.identity.material import Fault, IdentityError, Read
from diode.identity.names import Name, is_below, parse_name, text_of
from diode.identity.rules import IdentityRules
from diode.identity.showing import bounded, differences, shown

Values = Mapping[str, Sequence[bytes]]  # by name in lower case, in the order of the file

_MODIFICATIONS: Final = ("add", "delete", "replace")


@dataclass(frozen=True, slots=True)
class Ldif(Read):
    """One file: either ``entries``, digests by name, or ``changes``. It bears no date."""

    entries: Mapping[str, bytes] = field(default_factory=dict)
    changes: Sequence[Change] = ()

    def read(self, content: bytes, rules: IdentityRules, at: datetime) -> Self:
        """Read a file that a channel may take. Raises IdentityError."""
        judge = _Judge(rules)
        entries: dict[str, bytes] = {}
        changes: list[Change] = []
        for record in records_of(content):
            name, rest = judge.name(record[0]), record[1:]
            if rest and rest[0].startswith(b"changetype:"):
                changes.append(judge.change(name, rest))
            elif text_of(name) in entries:
                raise malformed(f"it has the entry {shown(text_of(name))} twice")
            else:
                entries[text_of(name)] = judge.entry(rest)
        if bool(entries) == bool(changes):
            raise malformed("it holds both entries and changes" if entries else "it holds no entry and no change")
        _check_once(changes)
        return type(self)(entries=entries, changes=tuple(changes))

    def follow(self, before: Self | None, rules: IdentityRules) -> Sequence[str]:
        """Which entries are removed, added, changed and moved. Raises IdentityError.

        At most the share ``ldif_most_removed`` of the entries before may go. Where changes follow changes, or nothing,
        nobody knows how many there are: then at most MOST_UNKNOWN may.
        """
        if self.changes:
            if before is not None and before.entries:
                check_known(self.changes, before.entries, rules.ldif_most_removed)
            elif before is None or before.changes != self.changes:  # the same ones take nobody else away
                check_unknown(self.changes)
            return bounded(change.line() for change in self.changes)
        if before is not None and before.changes:
            said = "entries cannot follow changes, which do not say who was there; send them under another file's name"
            raise IdentityError(Fault.BASE, said)
        known = before.entries if before is not None else {}
        check_share(len(known.keys() - self.entries.keys()), len(known), rules.ldif_most_removed)
        return bounded(differences("entry", known, self.entries))


class _Judge:
    """Reads records by one channel's rules. Its methods raise IdentityError."""

    def __init__(self, rules: IdentityRules) -> None:
        self._listed = listed_types(rules.ldif_attributes)
        try:
            self._base = parse_name(rules.ldif_base)
        except ValueError as error:
            raise IdentityError(Fault.BASE, f"this channel's own base is no name by RFC 4514: {error}") from error

    def name(self, line: bytes, word: str = "dn") -> Name:
        """The name that a line ``dn: NAME`` bears: at or below the base, and of attributes that may cross."""
        found, value = line_of(line)
        if found != word or not line.startswith(word.encode()):
            raise malformed(f"a record, or a part of one, begins with {shown(found)} instead of {word}")
        return self._inside(_parsed(value))

    def entry(self, lines: Record) -> bytes:
        """The digest of an entry: the same for the same values, in whatever order."""
        values = _read(lines)
        if not values:
            raise malformed("an entry has no attribute")
        check_attributes(values, self._listed)
        digest = hashlib.sha256()
        for pair in sorted(_pairs(values)):
            digest.update(hashlib.sha256(pair[0].encode()).digest() + hashlib.sha256(pair[1]).digest())
        return digest.digest()

    def change(self, name: Name, lines: Record) -> Change:
        """One change, from its line ``changetype`` on."""
        kind = line_of(lines[0])[1]
        rest = lines[1:]
        if kind == b"add":
            self.entry(rest)
            return Change("add", name)
        if kind == b"modify":
            return Change("modify", name, said=", ".join(self._modifications(rest)))
        if name == self._base:
            raise IdentityError(Fault.SWEEPING, "it takes the base itself away")
        if kind == b"delete" and not rest:
            return Change("delete", name)
        if kind in (b"modrdn", b"moddn"):
            return Change("move", name, to=self._moved(name, rest))
        raise malformed("a changetype is unknown, or followed by what does not belong to it")

    def _modifications(self, lines: Record) -> Iterator[str]:
        if not lines or lines[-1] != END_OF_MODIFICATION:
            raise malformed("a modification does not end with a line of one hyphen")
        start = 0
        for end, line in enumerate(lines):
            if line == END_OF_MODIFICATION:
                yield self._modification(lines[start:end])
                start = end + 1

    def _modification(self, lines: Record) -> str:
        word, value = line_of(lines[0]) if lines else ("", b"")
        target = value.decode("ascii", "replace").lower()
        values = _read(lines[1:])
        if word not in _MODIFICATIONS or not lines[0].startswith(word.encode()) or values.keys() - {target}:
            raise malformed("a modification is unknown, or names one attribute and holds another")
        check_attributes([target], self._listed)
        if not values and word == "add":
            raise malformed("a modification adds nothing")
        return f"{word} {target}" if values else f"clear {target}"

    def _moved(self, name: Name, lines: Record) -> Name:
        words = [line_of(line)[0] for line in lines]
        if words not in (["newrdn", "deleteoldrdn"], ["newrdn", "deleteoldrdn", "newsuperior"]):
            raise malformed("a move has other lines than newrdn, deleteoldrdn and newsuperior")
        if line_of(lines[1])[1] not in (b"0", b"1"):
            raise malformed("deleteoldrdn is neither 0 nor 1")
        leaf = _parsed(line_of(lines[0])[1])
        above = self.name(lines[2], "newsuperior") if len(lines) > 2 else name[1:]
        if len(leaf) != 1 or is_below(above, name):
            raise malformed("a new name has several parts, or lies below the old one")
        return self._inside((*leaf, *above))

    def _inside(self, name: Name) -> Name:
        if not is_below(name, self._base):
            said = f"{shown(text_of(name))} does not lie at or below {shown(text_of(self._base))}"
            raise IdentityError(Fault.BASE, said)
        check_attributes(types_of(name, self._base), self._listed)
        return name


def _parsed(value: bytes) -> Name:
    try:
        return parse_name(value.decode("utf-8"))
    except ValueError as error:
        raise malformed(f"a name is none by RFC 4514: {error}") from error


def _read(lines: Record) -> dict[str, list[bytes]]:
    """Values by name, by the library.

    It gets an empty name in place of the entry's own: its pattern for names takes exponential time.
    """
    for line in lines:
        line_of(line)
    parser = LDIFParser(io.BytesIO(b"\n".join((b"dn:", *(_lowered(line) for line in lines)))), encoding=None)
    try:
        _, read = next(parser.parse())
    except (ValueError, KeyError) as error:
        raise malformed(f"a record is none of RFC 2849: {shown(str(error))}") from error
    if any(len(values) != len(set(values)) for values in read.values()):
        raise malformed("an attribute has the same value twice")
    return dict(read)


def _lowered(line: bytes) -> bytes:
    """Names are equal in whatever case, and the library does not know it."""
    name, colon, value = line.partition(b":")
    return name.lower() + colon + value


def _pairs(values: Values) -> Iterator[tuple[str, bytes]]:
    return ((name, value) for name, several in values.items() for value in several)


def _check_once(changes: Sequence[Change]) -> None:
    """No entry is added twice, or taken away twice, by one file."""
    seen: set[tuple[bool, Name]] = set()
    for change in changes:
        key = (change.takes, change.name)
        if change.kind != "modify" and key in seen:
            raise malformed(f"it adds or removes {shown(text_of(change.name))} twice")
        seen.add(key)
