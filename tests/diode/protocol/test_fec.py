"""All engines are zfec's code, byte for byte, and restore whatever any k rows can tell."""

import ctypes
import time
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from diode.core.coding import Core, outruns_isal
from diode.core.library import load
from diode.protocol import fec
from diode.protocol.fec import Engine
from diode.protocol.isal import IsaL, find_isal
from diode.protocol.zfec_code import Bytes2D, Bytes3D, Mask2D, Zfec, repair_matrix
from tests import oracle

try:
    ISAL: IsaL | None = IsaL(find_isal())
except OSError as absent:
    ISAL, REASON = None, str(absent)
else:
    REASON = ""

try:
    CORE: Core | None = Core(load())
except OSError as absent:
    CORE, NO_CORE = None, f"the compiled core: {absent}"
else:
    NO_CORE = ""

needs_isal = pytest.mark.skipif(ISAL is None, reason=REASON)
needs_core = pytest.mark.skipif(CORE is None, reason=NO_CORE)
FAST = [pytest.param(ISAL, id="isal", marks=needs_isal), pytest.param(CORE, id="core", marks=needs_core)]
ENGINES = [pytest.param(Zfec(), id="zfec"), *FAST]
any_engine = pytest.mark.parametrize("engine", ENGINES)

Cube = NDArray[np.uint8]
Mask = NDArray[np.bool_]


def coded(engine: Engine, k: int, r: int, columns: int, size: int, seed: int, first: int = 0) -> Cube:
    """A slab of random bytes with its repair, as (rows, D, S)."""
    slab = np.random.default_rng(seed).integers(0, 256, (k + r, columns, size), dtype=np.uint8)
    flat = slab.reshape(k + r, -1)
    engine.encode(flat[:k], flat[k:], first)
    return slab


def damaged(slab: Cube, have: Mask) -> Cube:
    """The slab with rubbish where symbols were lost: a receiver's arena is not cleared."""
    return np.where(have[:, :, None], slab, np.uint8(0x5A))


def check_restored(engine: Engine, slab: Cube, have: Mask, k: int) -> None:
    """Restore, and compare with what was coded; nothing but the missing source symbols may change."""
    received = damaged(slab, have)
    expected = received.copy()
    expected[:k] = slab[:k]
    assert int(np.count_nonzero(~have[:k].all(axis=0))) == engine.restore(received, have, k)
    assert np.array_equal(expected, received)


def random_losses(rng: np.random.Generator, rows: int, columns: int, k: int) -> Mask:
    """Each block keeps a random number of random symbols, k at least."""
    have = np.zeros((rows, columns), dtype=np.bool_)
    for column in range(columns):
        have[rng.permutation(rows)[: rng.integers(k, rows + 1)], column] = True
    return have


@pytest.mark.parametrize("k", [1, 2, 3, 64, 128, 192, 200, 255])
def test_the_matrix_is_lagranges(k: int) -> None:
    """Repair coefficients are those of the polynomial through the points of the spec: first, last and middle rows."""
    matrix = repair_matrix(k)
    assert (256 - k, k) == matrix.shape
    for row in sorted({0, (255 - k) // 2, 255 - k}):
        assert oracle.coefficients(range(k), k + row) == matrix[row].tolist()


@any_engine
@given(
    k=st.integers(1, 12),
    r=st.integers(1, 8),
    width=st.integers(1, 3),
    first=st.integers(0, 40),
    seed=st.integers(0, 99),
)
@settings(max_examples=25)
def test_repair_is_the_oracles(engine: Engine, k: int, r: int, width: int, first: int, seed: int) -> None:
    """Any set of repair rows of any small block has the bytes that the readable twin computes."""
    slab = coded(engine, k, r, width, 16, seed, first).reshape(k + r, -1)
    source = [row.tobytes() for row in slab[:k]]
    expected = oracle.repair(source, range(k + first, k + first + r))
    assert expected == [row.tobytes() for row in slab[k:]]


@any_engine
@pytest.mark.parametrize(("k", "first"), [(200, 0), (200, 20), (200, 36), (192, 44), (128, 108)])
def test_repair_of_full_profiles_is_the_oracles(engine: Engine, k: int, first: int) -> None:
    """Full blocks too, up to row 255."""
    slab = coded(engine, k, 20, 1, 8, 1, first).reshape(k + 20, -1)
    expected = oracle.repair([row.tobytes() for row in slab[:k]], range(k + first, k + first + 20))
    assert expected == [row.tobytes() for row in slab[k:]]


@any_engine
@given(data=st.data(), k=st.integers(1, 10), r=st.integers(1, 10))
@settings(max_examples=20)
def test_restoring_agrees_with_the_oracle(engine: Engine, data: st.DataObject, k: int, r: int) -> None:
    """From any k rows of one block both the engine and the readable twin get the source rows back."""
    slab = coded(engine, k, r, 1, 16, k * 31 + r)
    kept = data.draw(st.permutations(range(k + r)))[:k]
    have = np.zeros((k + r, 1), dtype=np.bool_)
    have[kept] = True
    check_restored(engine, slab, have, k)
    expected = [row.tobytes() for row in slab[:k, 0]]
    assert expected == oracle.restore({row: slab[row, 0].tobytes() for row in kept}, k)


@pytest.mark.parametrize("engine", FAST)
@given(k=st.integers(1, 255), r=st.integers(1, 24), columns=st.integers(1, 5), seed=st.integers(0, 99), data=st.data())
@settings(max_examples=30)
def test_engines_encode_alike(engine: Engine, k: int, r: int, columns: int, seed: int, data: st.DataObject) -> None:
    """For every k, and every set of repair rows below 256, the engines' bytes are identical."""
    r = min(r, 256 - k)
    first = data.draw(st.integers(0, 256 - k - r))
    theirs, ours = (coded(each, k, r, columns, 448, seed, first) for each in (Zfec(), engine))
    assert np.array_equal(theirs, ours)


@any_engine
@given(k=st.integers(1, 30), r=st.integers(1, 30), columns=st.integers(1, 6), seed=st.integers(0, 999))
@settings(max_examples=30)
def test_random_erasures_are_restored(engine: Engine, k: int, r: int, columns: int, seed: int) -> None:
    """Blocks that keep k symbols, whichever they are, come back; nothing else of the slab is touched."""
    slab = coded(engine, k, r, columns, 64, seed)
    check_restored(engine, slab, random_losses(np.random.default_rng(seed), k + r, columns, k), k)


@any_engine
@pytest.mark.parametrize("place", [0.0, 0.37, 0.9, 1.0])
def test_the_longest_burst_is_restored(engine: Engine, place: float) -> None:
    """R x D datagrams lost one after another, anywhere in a slab of a standard block, are given back."""
    k, r, columns = 200, 20, 8
    have = np.ones((k + r) * columns, dtype=np.bool_)
    first = int(place * k * columns)
    have[first : first + r * columns] = False
    check_restored(engine, coded(engine, k, r, columns, 448, 3), have.reshape(k + r, columns), k)


@any_engine
@pytest.mark.parametrize(("k", "r"), [(128, 128), (1, 20), (64, 128), (127, 128), (1, 255)])
def test_all_source_rows_can_be_lost(engine: Engine, k: int, r: int) -> None:
    """Where there is as much repair as source, repair alone is enough, and its last rows too."""
    have = np.zeros((k + r, 2), dtype=np.bool_)
    have[k : 2 * k, 0] = True
    have[-k:, 1] = True
    check_restored(engine, coded(engine, k, r, 2, 64, 4), have, k)


@any_engine
def test_an_undamaged_slab_is_left_alone(engine: Engine) -> None:
    """Without losses, or with lost repair only, there is nothing to do."""
    slab = coded(engine, 5, 3, 4, 64, 5)
    have = np.ones((8, 4), dtype=np.bool_)
    have[5:] = False
    check_restored(engine, slab, have, 5)


@any_engine
def test_too_few_symbols_are_refused_before_native_code_sees_them(engine: Engine) -> None:
    """A block with less than k symbols is an error, and the slab stays as it was."""
    slab = coded(engine, 5, 3, 2, 64, 6)
    have = np.ones((8, 2), dtype=np.bool_)
    have[:4, 1] = False
    received = damaged(slab, have)
    before = received.copy()
    with pytest.raises(ValueError, match="fewer than 5"):
        engine.restore(received, have, 5)
    assert np.array_equal(before, received)


@pytest.mark.parametrize("engine", FAST)
@pytest.mark.parametrize(("r", "first"), [(57, 0), (20, 37), (1, 56), (1, -1)])
def test_repair_rows_above_255_are_refused(engine: Engine, r: int, first: int) -> None:
    """There is no row 256, and none before the first repair row."""
    source, repair = np.zeros((200, 64), dtype=np.uint8), np.zeros((r, 64), dtype=np.uint8)
    with pytest.raises(ValueError, match="repair rows"):
        engine.encode(source, repair, first)


@any_engine
def test_headers_and_tags_inside_the_rows_do_not_disturb_the_symbols(engine: Engine) -> None:
    """Repair computed over rows of whole datagrams has the symbols' repair in the symbols' place."""
    datagrams = np.random.default_rng(7).integers(0, 256, (6, 3, 48 + 448 + 16), dtype=np.uint8)
    rows = datagrams.reshape(6, -1)
    engine.encode(rows[:4], rows[4:])
    symbols = np.ascontiguousarray(datagrams[:, :, 48:-16])
    alone = symbols.copy().reshape(6, -1)
    engine.encode(alone[:4], alone[4:])
    assert np.array_equal(alone.reshape(symbols.shape), symbols)


def no_isal() -> str:
    """As ``find_isal`` where there is none."""
    raise OSError("no ISA-L library")


@needs_isal
def test_isal_is_chosen_without_the_core() -> None:
    """With ISA-L installed and no core given, ``auto`` takes it."""
    assert "isal" == fec.choose_engine().name


@needs_core
def test_the_core_is_chosen_without_isal(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the core given and no ISA-L installed, ``auto`` takes it; by name it is taken in any case."""
    assert "core" == fec.choose_engine("core", load()).name
    monkeypatch.setattr(fec, "find_isal", no_isal)
    assert "core" == fec.choose_engine("auto", load()).name


def test_zfec_is_the_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without both ``auto`` takes zfec, and demanding one of them says why not."""
    monkeypatch.setattr(fec, "find_isal", no_isal)
    assert "zfec" == fec.choose_engine().name
    assert "zfec" == fec.choose_engine("zfec").name
    with pytest.raises(OSError, match="no ISA-L"):
        fec.choose_engine("isal")
    with pytest.raises(OSError, match="core"):
        fec.choose_engine("core")


class Clock:
    """Each engine takes as long as it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(time, "thread_time", lambda: self.now)

    def engine(self, name: str, seconds: float) -> Engine:
        """An engine that moves this clock."""
        slow = Slow()
        slow.name, slow.clock, slow.seconds = name, self, seconds
        return slow


class Slow(Zfec):
    """zfec with a speed."""

    clock: Clock
    seconds: float

    def encode(self, source: Bytes2D, repair: Bytes2D, first: int = 0) -> None:
        """Nothing, in the time that was set."""
        self.clock.now += self.seconds


@pytest.mark.parametrize(
    ("isal_s", "best"), [(0.5, "isal"), (0.79, "isal"), (0.85, "core"), (1.0, "core"), (3.0, "core")]
)
def test_the_faster_engine_is_tried_first(monkeypatch: pytest.MonkeyPatch, isal_s: float, best: str) -> None:
    """ISA-L comes before the core only where it is clearly faster; where that is unclear, the core does."""
    clock = Clock(monkeypatch)
    engines = [clock.engine("core", 1.0), clock.engine("isal", isal_s)]
    assert best == fec._by_speed(engines, (200, 20))[0].name


@needs_core
@needs_isal
@pytest.mark.parametrize(("features", "is_timed"), [(0b0111, False), (0b0001, False), (0b1111, True), (0b0010, True)])
def test_engines_are_timed_where_it_is_not_known(
    monkeypatch: pytest.MonkeyPatch, features: int, is_timed: bool
) -> None:
    """With AVX2 and no GFNI the core is the faster one, which was measured; elsewhere both are timed."""
    timed: list[object] = []
    library = SimpleNamespace(diode_core_features=lambda: features)
    monkeypatch.setattr(fec, "outruns_isal", lambda _: outruns_isal(cast(ctypes.CDLL, library)))

    def by_speed(engines: list[Engine], code: tuple[int, int]) -> list[Engine]:
        timed.append(code)
        return engines

    monkeypatch.setattr(fec, "_by_speed", by_speed)
    assert "core" == fec.choose_engine("auto", load()).name
    assert is_timed == bool(timed)


def test_the_next_engine_is_taken_where_the_fastest_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that gives other bytes is passed over, and the next one is proven."""
    monkeypatch.setattr(fec, "_by_speed", lambda engines, code: [Liar("encode"), Zfec()])
    assert "zfec" == fec.choose_engine().name


class Liar(Zfec):
    """zfec with one step wrong."""

    name = "liar"

    def __init__(self, spoil: str) -> None:
        self._spoil = spoil

    def encode(self, source: Bytes2D, repair: Bytes2D, first: int = 0) -> None:
        """Zfec, then one bit of the last repair row flipped."""
        super().encode(source, repair, first)
        if self._spoil == "encode":
            repair[-1, -1] ^= 1

    def restore(self, symbols: Bytes3D, have: Mask2D, k: int) -> int:
        """Nothing restored, but said to be."""
        return 1 if self._spoil == "restore" else super().restore(symbols, have, k)


@pytest.mark.parametrize("spoil", ["encode", "restore"])
def test_an_engine_that_differs_is_not_used(spoil: str) -> None:
    """The proof at start-up notices wrong repair and wrong restoration."""
    with pytest.raises(OSError, match=f"does not {spoil}"):
        fec.prove_identical(Liar(spoil))


@any_engine
def test_an_engine_that_is_the_same_is_proven(engine: Engine) -> None:
    """The proof at start-up accepts ours."""
    fec.prove_identical(engine)


def test_the_oracle_multiplies_in_a_field() -> None:
    """Products commute and distribute over xor, and the generator reaches every element but 0."""
    multiply = oracle.multiply
    for a in range(0, 256, 5):
        for b in range(0, 256, 7):
            assert multiply(a, b) == multiply(b, a)
            assert multiply(a, b ^ 0x35) == multiply(a, b) ^ multiply(a, 0x35)
    assert set(range(1, 256)) == set(oracle.POWERS)
