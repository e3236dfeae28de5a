"""Takes runs of datagrams with few reads of their bytes: tags are checked while symbols go to their places.

The state at the end is the one that :meth:`Gate.admit` and :meth:`Assembler.feed` would have left: slabs, what is
handed over, counters and drops (tests/diode/protocol/test_run_taker.py). These two stay: they are shorter to read, and
do the work where there is no compiled core, and in ``aead`` mode.

The run may lie in memory that another process writes meanwhile. Headers are judged by one copy of them, which the gate
makes. A tag is computed over that copy of the header, and over the symbol as it was placed. What cannot be placed at
once is copied as a whole before its tag is checked (docs/adr/0051).

A run's pieces, in order:

- Rows of a slab that is open and signed are placed where the slab lacks them. A row whose place is taken is left over,
  and placed the readable way when its stretch ends, which counts it as a duplicate or conflict.
- Padding and rows of slabs that are not wanted are verified and counted.
- Rows whose shape nobody has signed, or whose slab is being loaded, are copied, and placed when their stretch ends.
- So are the first rows of a slab that is not open, because they must be believed before it is opened.

A *stretch* is what :meth:`Assembler.feed` takes at once: neighbouring authentic rows of one slab and shape. Only when
the next one begins, or the run ends, may the slab of a stretch be complete.
"""

import itertools
from collections import Counter
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from diode.errors import Drop
from diode.protocol.assembler import Assembler, key_of, stretches
from diode.protocol.auth import Kernel
from diode.protocol.gate import Claims, Gate
from diode.protocol.handed_over import SlabKey
from diode.protocol.link_key import Mode
from diode.protocol.open_slab import OpenSlab
from diode.protocol.sizes import HEADER_BYTES, TAG_BYTES
from diode.protocol.wire import PADDING_BUNDLE, Headers

Bytes2D = NDArray[np.uint8]
Rows = NDArray[np.intp]
Mask = NDArray[np.bool_]

MOST_PIECES: Final = 64  # of a run. Each costs as much as fifty datagrams, and strangers may cut a run as they like
_FEW: Final = 8  # rows that are believed before a slab is opened
_NO_ROWS: Final = np.empty(0, dtype=np.intp)


class Status(IntEnum):
    """What became of a row."""

    LEFT = 0  # not verified: its place is taken, or the slab has no such place
    TAKEN = 1  # authentic; its symbol is in its place
    FORGED = 2  # its tag is wrong


@runtime_checkable
class Takes(Protocol):
    """The tags of a session, where a kernel checks them and puts symbols to their places at once."""

    def take(
        self, datagrams: Bytes2D, rows: Rows, headers: Headers, places: tuple[Bytes2D, Mask] | None
    ) -> NDArray[np.uint8]:
        """The ``Status`` of each of the ``rows`` of a matrix of ``datagrams``, taken one after another.

        ``headers`` are copies of the rows' headers; those in the matrix are not read. Symbols and tags are read once.
        ``places`` are the symbols of a slab, (m, S), and the mask of those that are there; both are written. Where the
        mask has a place already, the row is left. A place that the mask lacks holds anything. Without ``places`` rows
        are verified only. Nothing of the arguments is kept.
        """
        ...


def can_take(kernel: Kernel | None, mode: Mode) -> bool:
    """Whether the sessions of a gate with this kernel are such that a RunTaker can take its runs."""
    if kernel is None or mode == "aead":
        return False
    return isinstance(kernel.tags(None if mode == "none" else bytes(32)), Takes)


class _About(NamedTuple):
    """The slab that a row names, and the shape that it claims."""

    key: SlabKey
    symbol_bytes: int
    columns: int
    k: int


class _Piece(NamedTuple):
    """Neighbouring rows of one session, slab and shape, and their headers. ``claim`` is the number of their session."""

    claim: int
    rows: Rows
    headers: Headers

    def part(self, picked: Rows | slice) -> "_Piece":
        """Some of its rows."""
        return _Piece(self.claim, self.rows[picked], self.headers[picked])

    @property
    def numbers(self) -> Rows:
        """Of the symbols."""
        return self.headers["symbol"].astype(np.intp)


@dataclass(slots=True)
class _Stretch:
    """Authentic rows of one slab and shape. ``place``: their slab, or why they are dropped; None for padding."""

    about: _About
    place: OpenSlab | Drop | None
    is_direct: bool  # False: the slab takes no rows directly, so all wait among the copies
    is_touched: bool = False  # symbols went to their places
    copies: list[Bytes2D] = field(default_factory=list)  # authentic datagrams that wait for the end of the stretch
    numbers: list[Rows] = field(default_factory=list)  # of their symbols


class RunTaker:
    """Takes runs for ``gate`` and ``assembler``, which count drops in the same ``drops``. See :func:`can_take`."""

    def __init__(self, gate: Gate, assembler: Assembler, drops: "Counter[Drop]") -> None:
        self._gate = gate
        self._assembler = assembler
        self._drops = drops
        self._claims: Claims  # of the run that is taken
        self._stretch: _Stretch | None = None  # the newest of it

    def take(self, datagrams: Bytes2D, now: float) -> int:
        """Take a run, an (n, size) matrix that may change meanwhile. Returns how many of its rows are authentic data.

        No reference to the matrix is kept after the call.
        """
        claims = self._claims = self._gate.claims(datagrams, now)
        pieces = _pieces(claims)
        if len(pieces) > MOST_PIECES:
            found = self._take_whole(_copied(datagrams, slice(None), claims.headers))
        else:
            found = self._take_pieces(datagrams, pieces)
        for claim, rows in zip(claims.sessions, found, strict=True):
            self._gate.settle(claims, claim, rows, now)
        return sum(map(len, found))

    def _take_pieces(self, datagrams: Bytes2D, pieces: list[_Piece]) -> list[Rows]:
        """The authentic rows of each session."""
        found: list[list[Rows]] = [[_NO_ROWS] for _ in self._claims.sessions]
        for piece in pieces:
            is_authentic = self._take_piece(datagrams, piece)
            found[piece.claim].append(piece.rows if is_authentic.all() else piece.rows[is_authentic])
        self._end_stretch()
        return [np.concatenate(rows) for rows in found]

    def _take_whole(self, copy: Bytes2D) -> list[Rows]:
        """The authentic rows of each session, of a run of very many pieces: believed first, then fed as a whole."""
        headers, found = self._claims.headers, list[Rows]()
        for number, claim in enumerate(self._claims.sessions):
            found.append(claim.rows[self._verify(copy, _Piece(number, claim.rows, headers[claim.rows]))])
        self._assembler.feed(copy, np.sort(np.concatenate(found)))
        return found

    def _take_piece(self, datagrams: Bytes2D, piece: _Piece) -> Mask:
        """Which rows are authentic. They are in their places, or wait for the end of the stretch, or are dropped."""
        about, now = _about(piece.headers[0]), self._stretch
        if now is not None and now.about == about:
            place, is_direct = now.place, now.is_direct
        elif about.key.bundle == PADDING_BUNDLE:
            place, is_direct = None, True
        elif now is not None and now.about.key == about.key:
            place, is_direct = None, False  # in another shape: its slab may be complete when the stretch ends
        else:
            place = self._assembler.peek(*about)
            is_direct = place is not None
        if not is_direct:
            return self._take_first(datagrams, piece, about)
        if isinstance(place, OpenSlab):
            return self._take_direct(datagrams, piece, about, place)
        is_authentic = self._verify(datagrams, piece)
        if is_authentic.any():
            self._drop(self._stretch_of(about, place), int(np.count_nonzero(is_authentic)))
        return is_authentic

    def _take_direct(self, datagrams: Bytes2D, piece: _Piece, about: _About, slab: OpenSlab) -> Mask:
        """Rows of an open slab go to the places that it lacks. The others are copied, and wait."""
        status = self._take(datagrams, piece, (slab.symbols, slab.have))
        is_taken: Mask = status == Status.TAKEN
        if is_taken.any():
            self._stretch_of(about, slab).is_touched = True
            slab.took(piece.numbers if is_taken.all() else piece.numbers[is_taken])
        left = np.flatnonzero(status == Status.LEFT)
        if len(left):
            is_taken[left] = self._take_copied(datagrams, piece.part(left), about, slab)
        return is_taken

    def _take_first(self, datagrams: Bytes2D, piece: _Piece, about: _About) -> Mask:
        """Rows that must be believed before their slab is looked up or opened: a few at a time, until one is.

        If the slab then takes rows directly, the few are placed, and the rest follow.
        """
        is_authentic = np.zeros(len(piece.rows), dtype=np.bool_)
        first, few = 0, _FEW
        while first < len(piece.rows):
            some = slice(first, first + few)
            is_authentic[some] = self._take_copied(datagrams, piece.part(some), about)
            first, few = some.stop, 2 * few
            stretch = self._stretch
            if first < len(piece.rows) and stretch is not None and stretch.about == about and self._opens(stretch):
                is_authentic[first:] = self._take_piece(datagrams, piece.part(slice(first, None)))
                break
        return is_authentic

    def _opens(self, stretch: _Stretch) -> bool:
        """Whether the slab of a stretch takes rows directly from now on. If so, what waited is placed."""
        slab = stretch.place
        if self._assembler.peek(*stretch.about) is not slab:
            return False
        if isinstance(slab, OpenSlab) and not np.array_equal(slab.have, slab.settled):
            return False  # which of two symbols a third one is compared with depends on who is placed together
        self._place_copies(stretch)
        stretch.is_direct = True
        return True

    def _take_copied(self, datagrams: Bytes2D, piece: _Piece, about: _About, slab: OpenSlab | None = None) -> Mask:
        """Rows of ``slab``, or of one that is looked up or opened if any is authentic: they are copied, and wait."""
        copy = _copied(datagrams, piece.rows, piece.headers)
        is_authentic = self._verify(copy, _Piece(piece.claim, np.arange(len(copy)), piece.headers))
        if not is_authentic.any():
            return is_authentic
        stretch = self._stretch_of(about, slab, is_direct=slab is not None)
        if isinstance(stretch.place, OpenSlab):
            stretch.copies.append(copy[is_authentic])
            stretch.numbers.append(piece.numbers[is_authentic])
        else:
            self._drop(stretch, int(np.count_nonzero(is_authentic)))
        return is_authentic

    def _verify(self, datagrams: Bytes2D, piece: _Piece) -> Mask:
        """Which rows are authentic. Nothing is placed."""
        is_authentic: Mask = self._take(datagrams, piece, None) == Status.TAKEN
        return is_authentic

    def _take(self, datagrams: Bytes2D, piece: _Piece, places: tuple[Bytes2D, Mask] | None) -> NDArray[np.uint8]:
        tags = self._claims.sessions[piece.claim].tracked.cipher.tags
        assert isinstance(tags, Takes)
        return tags.take(datagrams, piece.rows, piece.headers, places)

    def _drop(self, stretch: _Stretch, count: int) -> None:
        if isinstance(stretch.place, Drop):
            self._drops[stretch.place] += count
        else:
            self._assembler.figures.padding += count

    def _stretch_of(self, about: _About, place: OpenSlab | Drop | None, *, is_direct: bool = True) -> _Stretch:
        """The stretch of authentic rows. If they begin one, the one before ends, and a slab may be opened."""
        if self._stretch is None or self._stretch.about != about:
            self._end_stretch()
            self._stretch = _Stretch(about, place if is_direct else self._assembler.slab(*about), is_direct)
        return self._stretch

    def _end_stretch(self) -> None:
        """Place what waits. The slab may now be complete."""
        stretch, self._stretch = self._stretch, None
        if stretch is None or not isinstance(stretch.place, OpenSlab):
            return
        self._place_copies(stretch)
        if stretch.is_touched:
            self._assembler.touch(stretch.place)

    def _place_copies(self, stretch: _Stretch) -> None:
        if not stretch.copies:
            return
        assert isinstance(stretch.place, OpenSlab)
        symbols = np.concatenate(stretch.copies)[:, HEADER_BYTES:-TAG_BYTES]
        rows, numbers = np.arange(len(symbols)), np.concatenate(stretch.numbers)
        stretch.is_touched |= self._assembler.place(stretch.place, symbols, rows, numbers)
        stretch.copies, stretch.numbers = [], []


def _about(head: np.void) -> _About:
    return _About(key_of(head), int(head["symbol_bytes"]), int(head["columns"]), int(head["k"]))


def _copied(datagrams: Bytes2D, rows: Rows | slice, headers: Headers) -> Bytes2D:
    """A copy of rows, with the headers that were judged: theirs may have changed since."""
    copy = np.array(datagrams[rows])
    copy[:, :HEADER_BYTES] = headers.view(np.uint8).reshape(-1, HEADER_BYTES)
    return copy


def _pieces(claims: Claims) -> list[_Piece]:
    """The claimed rows in order of arrival, cut where session, slab or claimed shape change."""
    sessions = claims.sessions
    if not sessions:
        return []
    rows, owners = sessions[0].rows, np.zeros(len(sessions[0].rows), dtype=np.intp)
    if len(sessions) > 1:
        rows = np.concatenate([claim.rows for claim in sessions])
        owners = np.repeat(np.arange(len(sessions)), [len(claim.rows) for claim in sessions])
        order = np.argsort(rows)
        rows, owners = rows[order], owners[order]
    headers = claims.headers if len(rows) == len(claims.headers) else claims.headers[rows]
    turns = np.flatnonzero(owners[1:] != owners[:-1]) + 1
    cuts = sorted({0, len(rows), *turns.tolist(), *(last for _, last in stretches(headers))})
    return [
        _Piece(int(owners[first]), rows[first:last], headers[first:last]) for first, last in itertools.pairwise(cuts)
    ]
