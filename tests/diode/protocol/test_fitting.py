"""Repair that fits a small slab: computed anew from the definition, and held against the table that is used."""

import json
import math
from itertools import pairwise

import pytest

from diode.protocol.fitting import Spread, fitting_offset, fitting_repair, spread_of
from diode.protocol.geometry import PROFILES, Profile, Slab, repair_sets, slab_at, stream_geometry
from tests.vectors import generate

COLUMNS = 64  # of a full slab; with the 32 of large symbols no slab needs more
LOSSES = [n / 1000 for n in range(1, 21)] + [n / 200 for n in range(5, 101)]
RARE = 1e-12


def failing(k: int, repair: int, loss: float, columns: int = COLUMNS) -> float:
    """The probability that a slab fails: that any of its blocks loses more than its repair, by exact tails."""
    n, lost, kept = k + repair, math.log(loss), math.log1p(-loss)
    ways = [math.lgamma(n + 1) - math.lgamma(j + 1) - math.lgamma(n - j + 1) for j in range(n + 1)]
    block = math.fsum(math.exp(ways[j] + j * lost + (n - j) * kept) for j in range(repair + 1, n + 1))
    return -math.expm1(columns * math.log1p(-min(block, 1 - 1e-16)))


def is_enough(profile: Profile, k: int, repair: int, columns: int = COLUMNS) -> bool:
    """Whether a slab of ``k`` rows with this repair is as safe as a full one, at every loss."""
    return all(
        failing(k, repair, loss, columns) <= max(failing(profile.k, profile.r, loss, columns), RARE) for loss in LOSSES
    )


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("k", [1, 2, 4, 12, 40, 56])
def test_the_least_repair_is_as_safe_as_a_full_slab(name: str, k: int) -> None:
    """So many rows are enough at each loss from 0.1 to 50 %; a row less is not."""
    profile = PROFILES[name]
    repair = fitting_repair(stream_geometry(1408, profile), k)
    assert is_enough(profile, k, repair)
    assert is_enough(profile, k, repair, 32)
    assert not is_enough(profile, k, repair - 1)


@pytest.mark.long
@pytest.mark.parametrize("name", PROFILES)
def test_the_table_is_what_the_definition_gives(name: str) -> None:
    """Every fifth k of each profile."""
    profile = PROFILES[name]
    full = stream_geometry(1408, profile)
    for k in range(1, profile.k + 1, 5):
        repair = fitting_repair(full, k)
        assert repair == profile.r or is_enough(profile, k, repair)
        assert not is_enough(profile, k, repair - 1)
        assert repair == profile.r or is_enough(profile, k, repair, 32)


@pytest.mark.parametrize("name", PROFILES)
def test_the_table_is_what_the_vectors_say(name: str) -> None:
    """For every k, as an oracle of its own has computed it."""
    vector = json.loads((generate.HOME / "repair" / f"good_{name}.json").read_text())
    full = stream_geometry(1408, PROFILES[name])
    assert (full.k, full.r) == (vector["k"], vector["r"])
    assert vector["repair"] == [fitting_repair(full, k) for k in range(1, full.k + 1)]


def test_the_figures_of_the_standard_profile() -> None:
    """As the specification has them."""
    full = stream_geometry(1408, PROFILES["standard"])
    assert [6, 7, 9, 13, 20] == [fitting_repair(full, k) for k in (1, 4, 12, 56, 200)]


def tail(name: str, symbols: int, symbol_bytes: int = 1408) -> Slab:
    """The only slab of a stream of so many symbols."""
    return slab_at(stream_geometry(symbol_bytes, PROFILES[name]), symbols * symbol_bytes, 0)


@pytest.mark.parametrize("symbol_bytes", [448, 1408, 8896])
@pytest.mark.parametrize("name", PROFILES)
def test_a_slab_that_a_burst_could_take_is_always_spread(name: str, symbol_bytes: int) -> None:
    """So none is sent twice any more; and a full slab is never spread."""
    full = stream_geometry(symbol_bytes, PROFILES[name])
    assert all(spread_of(full, tail(name, symbols, symbol_bytes)) for symbols in range(1, full.columns + 1))
    assert spread_of(full, tail(name, full.k * full.columns, symbol_bytes)) is None


@pytest.mark.parametrize("name", PROFILES)
def test_passes_send_disjoint_rows_that_every_receiver_takes(name: str) -> None:
    """All sets lie below k' + n x r', where the specification lets a receiver drop rows."""
    full = stream_geometry(1408, PROFILES[name])
    for k in range(1, full.k):
        slab = tail(name, k * full.columns)
        spread = spread_of(full, slab)
        if spread is None:
            continue
        sets = repair_sets(slab.shape) * slab.shape.r // spread.repair
        firsts = [fitting_offset(slab.shape, spread.repair, number) for number in range(sets)]
        assert all(second - first == spread.repair for first, second in pairwise(firsts))
        assert firsts[-1] + spread.repair <= repair_sets(slab.shape) * slab.shape.r
        assert 0 == fitting_offset(slab.shape, spread.repair, sets)


def test_rows_apart_by_the_repair_are_apart_by_the_budget() -> None:
    """Each distance is the least whole number that keeps the rule."""
    spread = Spread(12, 9, 1280)
    assert (143, 1280, 712) == (spread.step, spread.distance(9), spread.distance(5))
