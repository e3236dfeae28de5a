"""Finds bundles by what they hold: a file's path or name, a digest, a package, a model, an id of a vulnerability.

An index for searching is written now and then from all cards (:func:`write_search`), whole, by one rename. It knows of
which cards it was made. Cards that are newer are looked through one by one (:class:`Search`), and there are few of
them: whoever writes the index does that anew when they are more than a tenth.
"""

import os
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, NamedTuple

from diode.errors import StorageError
from diode.storage.index_file import IndexFile, NewIndex, write_index
from receiver.catalogue.card import Card
from receiver.catalogue.snapshot import CARDS

SEARCH: Final = "search"  # the folder of the index, beside the snapshot
SEARCH_FILE: Final = "search.db"
TERM: Final = "term"  # the kind of facts of a card that are searched; key: what it is, a blank, its text
MOST_FOUND: Final = 1000
LEAST_HEX: Final = 8  # digits of a digest by which one is looked for
MOST_NEW: Final = 64  # cards that are looked through one by one, however few there are

_SCHEMA: Final = """
CREATE TABLE bundle (number INTEGER PRIMARY KEY, id TEXT NOT NULL, stamp INTEGER NOT NULL) STRICT;
CREATE TABLE file (bundle INTEGER NOT NULL, folder TEXT NOT NULL, name TEXT NOT NULL, sha256 BLOB NOT NULL) STRICT;
CREATE TABLE term (
    text TEXT COLLATE NOCASE, what TEXT, bundle INTEGER, PRIMARY KEY (text, what, bundle)
) STRICT, WITHOUT ROWID;
"""
_INDEXES: Final = (
    "CREATE INDEX by_name ON file (name COLLATE NOCASE)",
    "CREATE INDEX by_sha256 ON file (sha256)",
)


class Hit(NamedTuple):
    """What was found in one bundle: ``what`` is ``file``, a kind of names, ``component``, ``purl``, ``flaw``..."""

    bundle: str
    what: str
    text: str


class Found(NamedTuple):
    """Hits, and whether there are more than are told."""

    hits: list[Hit]
    is_cut: bool


def write_search(index: Path, path: Path) -> bool:
    """Write the index of all cards in the folder ``index`` to ``path``, where that is worth it; False: it is not.

    Raises StorageError or OSError when it cannot be written. A card that cannot be read is left out.
    """
    cards, known = _stamps(index / CARDS), _known(index / SEARCH / SEARCH_FILE)
    new = sum(known.get(bundle) != stamp for bundle, stamp in cards.items())
    if known and new <= max(MOST_NEW, len(cards) // 10) and len(known.keys() - cards.keys()) <= len(cards):
        return False
    with write_index(path, _SCHEMA) as written:
        for number, (bundle, stamp) in enumerate(sorted(cards.items())):
            with suppress(StorageError):
                _add(written, index / CARDS, number, bundle, stamp)
        for statement in _INDEXES:
            written.add(statement, ())
    return True


def _add(written: NewIndex, cards: Path, number: int, bundle: str, stamp: int) -> None:
    with closing(Card(cards / f"{bundle}.db")) as card:
        names = ((file.path.rpartition("/"), file.sha256) for file in card.files())
        rows = ((number, folder, name, bytes.fromhex(sha256)) for (folder, _, name), sha256 in names)
        written.add_all("INSERT INTO file VALUES (?, ?, ?, ?)", rows)
        terms = ((text, what, number) for what, text in _terms(card))
        written.add_all("INSERT OR IGNORE INTO term VALUES (?, ?, ?)", terms)
    written.add("INSERT INTO bundle VALUES (?, ?, ?)", (number, bundle, stamp))


def _terms(card: Card) -> Iterator[tuple[str, str]]:
    """(what, text) of all that a card is found by, beside its files."""
    for claim in card.claims():
        yield claim.kind, claim.spelling
        if claim.normal != claim.spelling.lower():
            yield claim.kind, claim.normal
    for key in card.facts(TERM):
        what, _, text = key.partition(" ")
        yield what, text


def _stamps(cards: Path) -> dict[str, int]:
    """The cards that are there, each with the time of its last change."""
    found = {}
    with os.scandir(cards) as entries:
        for entry in entries:
            if entry.name.endswith(".db") and not entry.name.startswith("."):
                with suppress(FileNotFoundError):
                    found[entry.name.removesuffix(".db")] = entry.stat(follow_symlinks=False).st_mtime_ns
    return found


def _known(path: Path) -> dict[str, int]:
    """Of which cards an index was made. Empty: there is none that can be read."""
    with suppress(StorageError), closing(IndexFile(path)) as index:
        return {row["id"]: row["stamp"] for row in index.rows("SELECT id, stamp FROM bundle")}
    return {}


class Search:
    """Looks into the index, and into the cards that are newer. ``index``: the folder of cards and snapshots."""

    def __init__(self, index: Path) -> None:
        """Raises StorageError when no card was ever written there."""
        self._cards = index / CARDS
        self._path = index / SEARCH / SEARCH_FILE
        try:
            cards = _stamps(self._cards)
        except OSError as error:
            raise StorageError(f"{self._cards} cannot be read: {error.strerror}") from error
        known = _known(self._path)
        self._current = frozenset(bundle for bundle, stamp in known.items() if cards.get(bundle) == stamp)
        self._newer = sorted(cards.keys() - self._current)

    def find(self, text: str) -> Found:
        """Bundles that hold something called ``text``, or a file with a digest that begins so.

        Where nothing is called so, whatever has ``text`` in its name or path. Upper case is as lower case.
        """
        for how in (_exactly(text), _containing(text)):
            hits = list(dict.fromkeys(self._hits(how)))
            if hits:
                return Found(hits[:MOST_FOUND], len(hits) > MOST_FOUND)
        return Found([], is_cut=False)

    def _hits(self, how: "_How") -> Iterator[Hit]:
        left = MOST_FOUND + 1
        for hit in self._in_index(how):
            yield hit
            left -= 1
        for bundle in self._newer:
            if left <= 0:
                return
            for hit in self._in_card(bundle, how, left):
                yield hit
                left -= 1

    def _in_index(self, how: "_How") -> Iterator[Hit]:
        if not self._current:
            return
        with closing(IndexFile(self._path)) as index:
            for query, values in how.in_index:
                for row in index.rows(query, (*values, MOST_FOUND + 1)):
                    if row["id"] in self._current:
                        yield Hit(row["id"], row["what"], row["text"])

    def _in_card(self, bundle: str, how: "_How", most: int) -> Iterator[Hit]:
        with suppress(StorageError), closing(IndexFile(self._cards / f"{bundle}.db")) as card:
            for query, values in how.in_card:
                for row in card.rows(query, (*values, most)):
                    yield Hit(bundle, row["what"], row["text"])


class Indexed:
    """The index for searching as it is now, asked by exact digests. Without one it knows of nothing."""

    def __init__(self, index: Path) -> None:
        """``index``: the folder of cards and snapshots."""
        self._index: IndexFile | None = None
        with suppress(StorageError):
            self._index = IndexFile(index / SEARCH / SEARCH_FILE)

    def bundles(self) -> frozenset[str]:
        """The bundles whose files it knows. Their cards may be gone."""
        if self._index is None:
            return frozenset()
        return frozenset(row["id"] for row in self._index.rows("SELECT id FROM bundle"))

    def holding(self, sha256: str) -> Iterator[str]:
        """Those that hold a file with this digest, in hex."""
        if self._index is not None:
            query = "SELECT DISTINCT id FROM file JOIN bundle ON number = bundle WHERE sha256 = ?"
            yield from (row["id"] for row in self._index.rows(query, (bytes.fromhex(sha256),)))


Query = tuple[str, tuple[object, ...]]


class _How(NamedTuple):
    """Queries of the index, and of one card. The last value of each is how many rows are wanted."""

    in_index: list[Query]
    in_card: list[Query]


_PATH: Final = "iif(folder = '', name, folder || '/' || name)"
_FILES: Final = f"SELECT id, 'file' AS what, {_PATH} AS text FROM file JOIN bundle ON number = bundle WHERE "
_TERMS: Final = "SELECT id, what, text FROM term JOIN bundle ON number = bundle WHERE "
_CARD_FILES: Final = "SELECT 'file' AS what, path AS text FROM file WHERE "
_CARD_TERMS: Final = (
    "SELECT what, text FROM (SELECT substr(key, 1, instr(key, ' ') - 1) AS what, substr(key, instr(key, ' ') + 1) "
    f"AS text FROM fact WHERE kind = '{TERM}' UNION ALL SELECT kind, spelling FROM claim "
    "UNION ALL SELECT kind, normal FROM claim WHERE normal != lower(spelling)) WHERE "
)


def _exactly(text: str) -> _How:
    folder, _, name = text.rpartition("/")
    below = ("%/" if folder else "%") + _like(folder)
    in_index: list[Query] = [
        (f"{_TERMS} text = ? LIMIT ?", (text,)),
        (
            f"{_FILES} name = ? COLLATE NOCASE AND (folder = ? COLLATE NOCASE OR folder LIKE ? ESCAPE '!') LIMIT ?",
            (name, folder, below if folder else "%"),
        ),
    ]
    in_card: list[Query] = [
        (f"{_CARD_TERMS} text = ? COLLATE NOCASE LIMIT ?", (text,)),
        (f"{_CARD_FILES} path = ? COLLATE NOCASE OR path LIKE ? ESCAPE '!' LIMIT ?", (text, f"%/{_like(text)}")),
    ]
    if (bounds := _of_digest(text)) is not None:
        in_index.append((f"{_FILES} sha256 BETWEEN ? AND ? LIMIT ?", bounds))
        in_card.append((f"{_CARD_FILES} sha256 BETWEEN ? AND ? LIMIT ?", bounds))
    return _How(in_index, in_card)


def _containing(text: str) -> _How:
    like = f"%{_like(text)}%"
    of_files = f"({_PATH} LIKE ? ESCAPE '!')" if "/" in text else "(name LIKE ? ESCAPE '!' OR folder LIKE ? ESCAPE '!')"
    values = (like,) if "/" in text else (like, like)
    return _How(
        [(f"{_TERMS} text LIKE ? ESCAPE '!' LIMIT ?", (like,)), (f"{_FILES} {of_files} LIMIT ?", values)],
        [
            (f"{_CARD_TERMS} text LIKE ? ESCAPE '!' LIMIT ?", (like,)),
            (f"{_CARD_FILES} path LIKE ? ESCAPE '!' LIMIT ?", (like,)),
        ],
    )


def _like(text: str) -> str:
    """``text`` as part of a pattern of LIKE that stands for itself."""
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def _of_digest(text: str) -> tuple[bytes, bytes] | None:
    """The least and the greatest SHA-256 that begin with these hexadecimal digits. None: they are none, or too few."""
    digits = text.lower().removeprefix("sha256:")
    if not LEAST_HEX <= len(digits) <= 64 or set(digits) - set("0123456789abcdef"):
        return None
    return bytes.fromhex(digits.ljust(64, "0")), bytes.fromhex(digits.ljust(64, "f"))
