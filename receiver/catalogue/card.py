"""The card of one published bundle: an index file of its files, and of what each protocol needs to know of them.

A card is written once, after publication, by a worker without keys (:mod:`receiver.describe`), from the signed table of
files. Nothing in it changes any more. Digests beside SHA-256 are there for files of which a protocol asks for them.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from diode.storage.connection import Columns
from diode.storage.index_file import IndexFile, write_index

SCHEMA: Final = """
CREATE TABLE file (
    path TEXT PRIMARY KEY, size INTEGER NOT NULL, sha256 BLOB NOT NULL, sha512 BLOB, blake2b BLOB,
    executable INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE fact (kind TEXT, key TEXT, value BLOB NOT NULL, PRIMARY KEY (kind, key)) STRICT, WITHOUT ROWID;
CREATE TABLE claim (kind TEXT, normal TEXT, spelling TEXT NOT NULL, PRIMARY KEY (kind, normal)) STRICT, WITHOUT ROWID;
"""
# made when all rows are in: one sort each
_INDEXES: Final = (
    "CREATE INDEX by_sha256 ON file (sha256)",
    "CREATE INDEX by_sha512 ON file (sha512) WHERE sha512 IS NOT NULL",
)


class CardFile(NamedTuple):
    """One file of a bundle. Digests are in hex; empty: not computed for this file."""

    path: str
    size: int
    sha256: str
    sha512: str = ""
    blake2b: str = ""  # BLAKE2b of 256 bits
    is_executable: bool = False


class Fact(NamedTuple):
    """What one protocol needs to know: ``value`` is JSON, or the bytes of a file's part, as ``kind`` has it."""

    kind: str
    key: str
    value: bytes


class Claim(NamedTuple):
    """A name that a bundle holds something of, in its normal form and as it is spelt there."""

    kind: str
    normal: str
    spelling: str


def write_card(path: Path, files: Iterable[CardFile], facts: Iterable[Fact], claims: Iterable[Claim]) -> None:
    """Write a card by one rename. Its folder is the caller's alone. Raises StorageError, OSError."""
    with write_index(path, SCHEMA) as index:
        index.add_all("INSERT INTO file VALUES (?, ?, ?, ?, ?, ?)", (_stored(one) for one in files))
        index.add_all("INSERT INTO fact VALUES (?, ?, ?)", iter(facts))
        index.add_all("INSERT INTO claim VALUES (?, ?, ?)", iter(claims))
        for statement in _INDEXES:
            index.add(statement, ())


class Card:
    """A card, opened for reading. Look-ups are by the signed paths and digests alone."""

    def __init__(self, path: Path) -> None:
        """Raises StorageError when it is not there."""
        self._index = IndexFile(path)

    def close(self) -> None:
        """Close its file."""
        self._index.close()

    def file(self, path: str) -> CardFile | None:
        """The file at a path."""
        return _maybe(self._index.row("SELECT * FROM file WHERE path = ?", (path,)))

    def files(self, below: str = "", start: str = "") -> Iterator[CardFile]:
        """All files, sorted by path, whose path begins with ``below``; from the path ``start`` on."""
        if not below:
            return map(_file, self._index.rows("SELECT * FROM file WHERE path >= ? ORDER BY path", (start,)))
        last = below[:-1] + chr(ord(below[-1]) + 1)
        query = "SELECT * FROM file WHERE path >= ? AND path < ? ORDER BY path"
        return map(_file, self._index.rows(query, (max(below, start), last)))

    def children(self, below: str, most: int) -> list[str]:
        """Up to ``most`` names in a folder; those of folders end with a slash. ``below``: with its slash, or empty.

        It takes as many look-ups as there are names, however many files lie further below.
        """
        found: list[str] = []
        query, at = "SELECT path FROM file WHERE path >= ? AND path < ? ORDER BY path LIMIT 1", below
        end = f"{below[:-1]}0" if below else "\U0010ffff"  # 0 follows the slash
        while len(found) < most and (row := self._index.row(query, (at, end))):
            name, slash, _ = row["path"][len(below) :].partition("/")
            found.append(name + slash)
            at = f"{below}{name}0" if slash else f"{row['path']}\x00"
        return found

    def by_sha256(self, digest: str) -> CardFile | None:
        """A file with this content."""
        return self._by("sha256", digest)

    def by_sha512(self, digest: str) -> CardFile | None:
        """A file with this content, as far as SHA-512 was computed."""
        return self._by("sha512", digest)

    def fact(self, kind: str, key: str = "") -> bytes | None:
        """What one protocol noted under a key."""
        row = self._index.row("SELECT value FROM fact WHERE kind = ? AND key = ?", (kind, key))
        return bytes(row["value"]) if row else None

    def json(self, kind: str, key: str = "") -> Any:
        """The same, parsed; None where nothing was noted."""
        value = self.fact(kind, key)
        return None if value is None else json.loads(value)

    def facts(self, kind: str) -> Mapping[str, bytes]:
        """All that one protocol noted, by key."""
        rows = self._index.rows("SELECT key, value FROM fact WHERE kind = ? ORDER BY key", (kind,))
        return {row["key"]: bytes(row["value"]) for row in rows}

    def claims(self) -> Iterator[Claim]:
        """Every name that this bundle holds something of."""
        for row in self._index.rows("SELECT kind, normal, spelling FROM claim ORDER BY kind, normal"):
            yield Claim(row["kind"], row["normal"], row["spelling"])

    def _by(self, column: str, digest: str) -> CardFile | None:
        try:
            raw = bytes.fromhex(digest)
        except ValueError:
            return None
        return _maybe(self._index.row(f"SELECT * FROM file WHERE {column} = ? ORDER BY path LIMIT 1", (raw,)))


def _stored(one: CardFile) -> tuple[object, ...]:
    digests = (bytes.fromhex(one.sha256), *(bytes.fromhex(d) if d else None for d in (one.sha512, one.blake2b)))
    return (one.path, one.size, *digests, int(one.is_executable))


def _maybe(row: Columns | None) -> CardFile | None:
    return None if row is None else _file(row)


def _file(row: Columns) -> CardFile:
    def hexed(column: str) -> str:
        return row[column].hex() if row[column] is not None else ""

    digests = (hexed("sha256"), hexed("sha512"), hexed("blake2b"))
    return CardFile(row["path"], row["size"], *digests, bool(row["executable"]))
