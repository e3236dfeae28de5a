"""The quick way of taking runs leaves what the readable one leaves, with every kernel, whatever is sent."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from diode.errors import Drop
from diode.protocol.assembler import Assembler
from diode.protocol.auth import Kernel
from diode.protocol.handed_over import Wanted
from diode.protocol.open_slab import OpenSlab
from diode.protocol.run_taker import MOST_PIECES, RunTaker, can_take
from diode.protocol.wire import headers_of
from tests.both_ways import BUNDLES, FULL, SIZES, Line, Side, play
from tests.taking import Twin

ARENA_BYTES = 8 << 20


def compiled() -> Kernel:
    """The core."""
    from diode.core.library import load
    from diode.core.sealing import Sealing

    return Sealing(load())


def test_both_ways_are_one() -> None:
    """Slabs, symbols, counters, drops and what is handed over are the same after each region."""
    assert sum(play(seed, Twin(), 30) for seed in range(2)) > 1000


@pytest.mark.needs("core")
def test_both_ways_are_one_with_the_core() -> None:
    """Likewise by the compiled tags."""
    assert sum(play(seed, compiled(), 30) for seed in range(3, 5)) > 1000


@pytest.mark.needs("core")
@pytest.mark.long
def test_both_ways_are_one_over_many_links() -> None:
    """Of half a million datagrams."""
    kernel = compiled()
    assert sum(play(seed, kernel, 80) for seed in range(100, 300)) > 500_000


@pytest.mark.parametrize("most", [1, 4])
def test_a_run_of_many_pieces_is_taken_as_a_whole(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It leaves the same."""
    monkeypatch.setattr("diode.protocol.run_taker.MOST_PIECES", most)
    assert sum(play(seed, Twin(), 20) for seed in range(2)) > 500


def skips_the_end(self: RunTaker) -> None:
    """Slabs are never complete."""
    self._stretch = None


def counts_nothing(self: OpenSlab, numbers: Any) -> None:
    """As if nothing had been placed."""


def opens_at_once(self: Assembler, *about: Any) -> Any:
    """Places symbols of slabs that are being loaded or that nobody signed, too."""
    return self._open.get(about[0]) or peek(self, *about)


peek = Assembler.peek
WRONG: dict[str, tuple[type, str, Callable[..., Any]]] = {
    "no slab is looked at when its stretch ends": (RunTaker, "_end_stretch", skips_the_end),
    "what is placed is not counted": (OpenSlab, "took", counts_nothing),
    "every open slab is written at once": (Assembler, "peek", opens_at_once),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_way_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison finds it within a few links."""
    monkeypatch.setattr(*WRONG[name])
    with pytest.raises(AssertionError, match="seed"):
        play_some()


def play_some() -> None:
    """Eight links."""
    for seed in range(8):
        play(seed, Twin(), 40)


def test_strangers_cannot_overwrite_what_is_being_loaded() -> None:
    """Spilled symbols may come straight to their places, which are empty until the last of them is there."""
    rng = np.random.default_rng(3)
    line, side = Line(rng, "gmac"), Side("gmac", Twin(), ARENA_BYTES)
    side.receive(line.beat(), 1.0)
    side.assembler.know(BUNDLES[0], FULL, SIZES, [])
    rows = line._sealed(line._next(12))
    side.receive(rows, 2.0)
    side.assembler.spill(BUNDLES[0])
    side.caller.answer()
    again = line._sealed(line._next(2))
    side.receive(again, 3.0)
    (wanted,) = [item for item in side.assembler.handed_over if isinstance(item, Wanted)]
    (slab,) = side.assembler._open.values()
    before = slab.symbols.copy()
    forged = np.repeat(rows, 2, axis=0)
    forged[:, 100] ^= 1
    side.receive(forged, 4.0)
    assert (slab.symbols == before).all()
    assert (wanted.key, len(forged)) == (slab.key, side.caller.drops[Drop.TAG])


def test_whoever_cuts_a_run_into_pieces_gains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strangers need no key to make each row a piece; then the run is verified once and fed once."""
    rng = np.random.default_rng(4)
    line, side = Line(rng, "gmac"), Side("gmac", Twin(), ARENA_BYTES)
    side.receive(line.beat(), 1.0)
    rows = np.repeat(line._sealed(line._next(1)), 4 * MOST_PIECES, axis=0)
    headers_of(rows)["slab"] = np.arange(len(rows)) % 7
    looked_at: list[object] = []
    monkeypatch.setattr(RunTaker, "_take_piece", lambda *given: looked_at.append(given))
    side.receive(rows, 2.0)
    assert ([], 4 * MOST_PIECES) == (looked_at, side.gate.received + side.caller.drops[Drop.TAG])


@pytest.mark.parametrize(("mode", "can"), [("gmac", True), ("none", True), ("aead", False)])
def test_encrypted_links_take_the_readable_way(mode: Any, can: bool) -> None:
    """A kernel knows no encryption; and without a kernel nothing is taken quickly."""
    assert (can, False) == (can_take(Twin(), mode), can_take(None, mode))
