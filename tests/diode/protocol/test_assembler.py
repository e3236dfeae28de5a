"""The assembler gives back the bytes that were sent, whatever the line does, and keeps no more than its budget."""

import itertools
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diode.errors import Drop
from diode.protocol import early_slabs
from diode.protocol.encoder import Part
from diode.protocol.geometry import Geometry, object_geometry, slab_count
from diode.protocol.handed_over import Grown, SlabKey
from diode.protocol.sizes import Kind, ObjectType
from diode.protocol.wire import PADDING_BUNDLE, headers_of
from tests.diode.protocol.caller import Caller, sent

S = 448
FULL = Geometry(S, 4, 6, 3)  # 24 symbols of source in 6 rows, and 3 rows of repair
WHOLE = FULL.source_bytes
BUNDLE = 99
DATA, MANIFEST = Part(BUNDLE, Kind.DATA), Part(BUNDLE, Kind.OBJECT, ObjectType.MANIFEST)
BUDGET = 4 << 20
TABLES = {(Kind.OBJECT, int(ObjectType.FILES)): 10, (Kind.OBJECT, int(ObjectType.SLABS)): 32}

Datagrams = np.ndarray[Any, Any]


def content_of(length: int, seed: int = 1) -> bytes:
    """So many random bytes."""
    return random.Random(seed).randbytes(length)


def key(number: int = 0, part: Part = DATA) -> SlabKey:
    """Of a slab of the bundle."""
    return SlabKey(part.bundle, part.kind, part.flags, number)


def know(caller: Caller, length: int, bundle: int = BUNDLE, full: Geometry = FULL) -> None:
    """The manifest of a stream of ``length`` bytes is verified."""
    caller.assembler.know(bundle, full, {(Kind.DATA, 0): length, **TABLES}, [])
    caller.answer()


def knowing(length: int, budget: int = BUDGET) -> Caller:
    """A caller that knows the bundle from the start."""
    caller = Caller(budget)
    know(caller, length)
    return caller


# what the line may do


def lossy(datagrams: Datagrams, rng: random.Random, most_lost: int) -> Datagrams:
    """Those that arrive: of each column at most ``most_lost`` are missing, some come twice, in any order."""
    columns = headers_of(datagrams)["symbol"] % headers_of(datagrams)["columns"]
    kept: list[int] = []
    for column in np.unique(columns):
        rows = np.flatnonzero(columns == column).tolist()
        kept += rng.sample(rows, len(rows) - rng.randint(0, min(most_lost, len(rows))))
    kept += [rng.choice(kept) for _ in range(rng.randint(0, 5))] if kept else []
    rng.shuffle(kept)
    return datagrams[kept]


@settings(max_examples=40)
@given(st.integers(1, 2 * WHOLE + 1), st.integers(0, 1 << 30), st.integers(0, 3))
def test_losses_within_parity_cost_nothing(length: int, seed: int, known_after: int) -> None:
    """In any order, with repeats, in pieces of any size, and with the manifest verified at any time between them."""
    rng, content = random.Random(seed), content_of(length)
    numbers = range(slab_count(FULL, length))
    arrive = [lossy(sent(FULL, DATA, content, number), rng, FULL.r) for number in numbers]
    caller = Caller(BUDGET)
    for turn, datagrams in enumerate(arrive):
        if turn == known_after:
            know(caller, length)
        while len(datagrams):
            cut = rng.randint(1, len(datagrams))
            assert caller.feed(datagrams[:cut]).keys() <= {Drop.DUPLICATE, Drop.REDUNDANT}
            datagrams = datagrams[cut:]  # noqa: PLW2901 - what is left of it
    if known_after >= len(arrive):
        know(caller, length)
    expected = {key(number): content[number * WHOLE : (number + 1) * WHOLE] for number in numbers}
    assert (expected, 0, 0) == (caller.completed, caller.assembler.used_bytes, caller.assembler.figures.blocks_lost)


@settings(max_examples=25)
@given(st.integers(1, WHOLE), st.integers(0, 1 << 30))
def test_symbols_of_several_passes_add_up(length: int, seed: int) -> None:
    """What one pass did not complete is spilled, wanted back with the next datagram, and completed by any k of all."""
    rng, content = random.Random(seed), content_of(length)
    caller = knowing(length)
    passes = 0
    while key() not in caller.completed:
        one = sent(FULL, DATA, content)
        caller.feed(one[sorted(rng.sample(range(len(one)), max(1, len(one) // 3)))])
        caller.assembler.spill(BUNDLE)
        caller.answer()
        assert 0 == caller.assembler.used_bytes
        passes += 1
        assert passes < 100
    assert content == caller.completed[key()]
    assert len(caller.wanted) == caller.assembler.figures.slabs_spilled
    assert passes == 1 + len(caller.wanted)


def test_a_wrong_symbol_does_not_outlast_its_pass() -> None:
    """One that was spilled gives way to what comes later, so that the slab can be collected again and be right."""
    content = content_of(WHOLE)
    caller, true = knowing(WHOLE), sent(FULL, DATA, content)
    lie = true[:5].copy()
    lie[:, 48:-16] ^= 0xFF
    caller.feed(lie)
    caller.assembler.spill(BUNDLE)
    caller.answer()
    caller.feed(true)
    assert content == caller.completed[key()]


def test_a_slab_that_was_not_what_was_signed_is_collected_again() -> None:
    """Its caller says so after it has looked at its digest."""
    content = content_of(WHOLE)
    caller, true = knowing(WHOLE), sent(FULL, DATA, content)
    caller.feed(true)
    assert {Drop.REDUNDANT: 4} == caller.feed(true[:4])
    caller.assembler.redo(key())
    caller.completed.clear()
    caller.feed(true)
    assert content == caller.completed[key()]


def test_slabs_that_are_done_are_not_collected_again() -> None:
    """As the ledger says after a restart; what it has spilled of others is wanted back."""
    content = content_of(2 * WHOLE)
    caller = Caller(BUDGET)
    first, second = (sent(FULL, DATA, content, number) for number in (0, 1))
    have = np.zeros(FULL.columns * 255, np.bool_)  # rows that some pass sends
    have[:20] = True
    symbols = np.zeros((len(have), S), np.uint8)
    symbols[:20] = second[:20, 48:-16]
    caller.spilled[key(1)] = symbols, have
    caller.assembler.know(BUNDLE, FULL, {(Kind.DATA, 0): 2 * WHOLE, **TABLES}, [0], [key(1)])
    assert {Drop.REDUNDANT: len(first)} == caller.feed(first)
    caller.feed(second[20:24])
    assert ([key(1)], {key(1): content[WHOLE:]}) == (caller.wanted, caller.completed)


# what is refused

LENGTH = WHOLE + 2 * S - 10  # a whole slab, and one row of two columns


@pytest.mark.parametrize(
    ("number", "field", "value", "drop"),
    [
        (0, "columns", 5, Drop.SIGNED_GEOMETRY),
        (0, "k", 5, Drop.SIGNED_GEOMETRY),
        (1, "k", 6, Drop.SIGNED_GEOMETRY),
        (0, "slab", 2, Drop.SIGNED_GEOMETRY),
        (0, "slab", 1, Drop.SIGNED_GEOMETRY),
        (0, "symbol", 4 * 255, Drop.SIGNED_GEOMETRY),  # beyond the last row that any pass sends
        (0, "kind", int(Kind.OBJECT), Drop.REDUNDANT),  # a manifest, which is known
    ],
)
def test_what_contradicts_the_manifest_is_refused(number: int, field: str, value: int, drop: Drop) -> None:
    """Whoever holds the link key may claim any shape: it is dropped and counted, and takes no memory for long."""
    caller = knowing(LENGTH)
    lie = sent(FULL, DATA, content_of(LENGTH), number)[:1].copy()
    headers_of(lie)[field] = value
    assert {drop: 1} == caller.feed(lie)
    caller.assembler.spill(BUNDLE)
    caller.answer()
    assert 0 == caller.assembler.used_bytes


def test_symbols_of_the_zero_tail_are_refused() -> None:
    """They are zero by definition and never sent: a claimed one must not replace them."""
    length = WHOLE - 2 * S
    caller, content = knowing(length), content_of(length)
    true = sent(FULL, DATA, content)
    lie = true[:1].copy()
    headers_of(lie)["symbol"] = 23
    assert {Drop.SIGNED_GEOMETRY: 1} == caller.feed(lie)
    caller.feed(true)
    assert content == caller.completed[key()]


def test_datagrams_of_another_size_than_signed_are_refused() -> None:
    """Of a known bundle the size of a symbol is signed."""
    caller = knowing(LENGTH)
    other = Geometry(512, 4, 6, 3)
    assert {Drop.SIGNED_GEOMETRY: 3} == caller.feed(sent(other, DATA, content_of(LENGTH))[:3])


@pytest.mark.parametrize("reason", [Drop.REFUSED, Drop.REDUNDANT, None])
def test_a_finished_bundle_is_dropped_as_its_end_says(reason: Drop | None) -> None:
    """Without a reason it may begin anew, as after it expired."""
    caller, datagrams = knowing(LENGTH), sent(FULL, DATA, content_of(LENGTH))
    caller.feed(datagrams[:3])
    caller.assembler.finish(BUNDLE, reason)
    assert 0 == caller.assembler.used_bytes
    assert ({reason: 5} if reason else {}) == caller.feed(datagrams[:5])


@pytest.mark.parametrize(("changed", "drop"), [(0, Drop.DUPLICATE), (1, Drop.CONFLICT)])
def test_a_symbol_that_comes_again_is_told_from_one_that_differs(changed: int, drop: Drop) -> None:
    """The first of a pass wins, and a second with other bytes says that somebody lies."""
    content = content_of(WHOLE)
    caller, true = knowing(WHOLE), sent(FULL, DATA, content)
    again = true[:2].copy()
    again[:, 60] ^= changed
    caller.feed(true[:2])
    assert {drop: 2} == caller.feed(again)
    caller.feed(true[2:])
    assert content == caller.completed[key()]


def test_filler_takes_no_memory() -> None:
    """It is counted, and nothing else."""
    caller, padding = Caller(BUDGET), sent(FULL, DATA, content_of(WHOLE))
    headers_of(padding)["bundle"] = PADDING_BUNDLE
    caller.feed(padding)
    assert (len(padding), 0) == (caller.assembler.figures.padding, caller.assembler.used_bytes)


# memory


@settings(max_examples=20)
@given(st.integers(0, 1 << 30), st.booleans())
def test_no_stranger_takes_more_than_half_the_budget(seed: int, is_known_beside: bool) -> None:
    """Slabs of bundles that nobody signed: the oldest goes first, and a bundle that is known is completed beside."""
    rng, content = random.Random(seed), content_of(WHOLE)
    caller = knowing(WHOLE) if is_known_beside else Caller(BUDGET)
    true = sent(FULL, DATA, content)
    caller.feed(true[:10])
    early = sent(FULL, Part(7, Kind.DATA), content)[:1]
    for _ in range(200):
        headers = headers_of(early)
        headers["bundle"], headers["slab"] = rng.randint(1, 9), rng.randint(0, 1 << 20)
        headers["columns"], headers["k"] = rng.randint(1, 64), rng.randint(1, 255)
        caller.feed(early)
        assert caller.assembler._early.used_bytes <= BUDGET // 2 or len(caller.assembler._early) == 1
        assert caller.assembler.used_bytes <= BUDGET
    if not is_known_beside:
        know(caller, WHOLE)
    caller.feed(true)
    assert content == caller.completed[key()]


def test_early_slabs_are_bounded_in_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """However small they are."""
    monkeypatch.setattr(early_slabs, "MAX_EARLY_SLABS", 3)
    caller, content = Caller(BUDGET), content_of(10)
    for bundle in range(1, 8):
        caller.feed(sent(FULL, Part(bundle, Kind.OBJECT, ObjectType.FILES), content)[:1])
    assert [5, 6, 7] == [one.bundle for one in caller.assembler._early]
    assert 4 == caller.assembler.figures.slabs_given_up


@pytest.mark.parametrize(
    ("part", "claim"),
    [
        (DATA, {"columns": 65}),  # no sender interleaves deeper
        (MANIFEST, {"k": 65}),  # objects have 64 rows of source at most
        (MANIFEST, {"slab": 1}),  # a manifest is one slab
    ],
)
def test_claims_that_no_sender_makes_take_no_memory(part: Part, claim: dict[str, int]) -> None:
    """Of a bundle that nobody signed as well."""
    caller, lie = Caller(BUDGET), sent(FULL, part, content_of(WHOLE))[:1]
    for field, value in claim.items():
        headers_of(lie)[field] = value
    assert {Drop.SIGNED_GEOMETRY: 1} == caller.feed(lie)
    assert 0 == caller.assembler.used_bytes


def test_slabs_that_fall_behind_are_parked() -> None:
    """Slabs come one after another: of what is open when two more have begun, nothing is under way."""
    content = content_of(5 * WHOLE)
    caller = knowing(len(content))
    for number in range(5):
        caller.feed(sent(FULL, DATA, content, number)[:10])
    assert {key(0), key(1), key(2)} == caller.spilled.keys()
    assert [key(number) for number in range(5)] == caller.begun


def test_short_memory_parks_what_was_touched_longest_ago() -> None:
    """A budget for one slab assembles a stream of many all the same, in several passes."""
    content = content_of(4 * WHOLE)
    room = -(-FULL.columns * 255 * S // 4096) * 4096  # fresh repair is sent up to the last row
    caller = knowing(len(content), room)
    for _ in range(2):
        for number in range(4):
            caller.feed(sent(FULL, DATA, content, number)[:: 2 if number % 2 else 1])
            assert caller.assembler.used_bytes <= room
    for number in (1, 3):
        caller.feed(sent(FULL, DATA, content, number))
    assert content == b"".join(caller.completed[key(number)] for number in range(4))


# lies about what is not known yet


def test_a_wrong_shape_does_not_outlast_who_claims_it() -> None:
    """One datagram that lies about a manifest's shape must not keep the true ones out for good."""
    caller, content = Caller(64 << 20), bytes(range(256)) * 7
    true = sent(FULL, MANIFEST, content)
    lie = true[:1].copy()
    headers_of(lie)["k"] = 9
    caller.feed(lie)
    caller.feed(true)
    assert content.ljust(4 * S, b"\0") == caller.completed[key(0, MANIFEST)].ljust(4 * S, b"\0")
    assert (1, 0) == (caller.assembler.figures.slabs_given_up, caller.drops[Drop.SIGNED_GEOMETRY])


def test_a_manifest_that_is_known_is_not_collected_again() -> None:
    """The disk failed after its bundle was said to be known: that it shall come again ends nobody."""
    caller = Caller(8 << 20)
    caller.assembler.know(BUNDLE, object_geometry(S), {(Kind.DATA, 0): 10, **TABLES}, [0])
    caller.assembler.redo(key(0, MANIFEST))
    caller.assembler.redo(key(7))
    datagrams = sent(object_geometry(S), DATA, content_of(10))
    assert {Drop.REDUNDANT: len(datagrams)} == caller.feed(datagrams)


@given(st.integers(1, WHOLE), st.integers(0, 1 << 32), st.sampled_from([1, 3 * S]), st.booleans())
def test_a_beginning_that_was_told_is_final(length: int, seed: int, step: int, is_early: bool) -> None:
    """Whatever arrives later, in whatever order: wrong symbols, doubles, or all of it before the manifest."""
    rng, content = random.Random(seed), content_of(length, seed)
    datagrams = lossy(sent(FULL, DATA, content), rng, FULL.r)
    wrong = datagrams[rng.sample(range(len(datagrams)), len(datagrams) // 4)].copy()
    wrong[:, 60] ^= 1
    datagrams = np.concatenate([datagrams, wrong])[np.array(rng.sample(range(n := len(datagrams) + len(wrong)), n))]
    caller, told = knowing(length) if not is_early else Caller(BUDGET), list[tuple[int, bytes]]()
    for number, piece in enumerate(np.array_split(datagrams, 7)):
        if number == 3 and is_early:
            know(caller, length)
        caller.feed(piece)
        caller.assembler.note_growth(step)
        queue = caller.assembler.handed_over
        told += [
            (one.length, caller.arena[one.offset :][: one.length].tobytes()) for one in queue if isinstance(one, Grown)
        ]
        caller.answer()
        if key() in caller.completed:
            break
    assert all(before + step <= after or after == length for (before, _), (after, _) in itertools.pairwise(told))
    assert all(beginning == caller.completed[key()][:size] for size, beginning in told if key() in caller.completed)


def test_a_slab_that_arrives_in_order_is_told_as_it_grows() -> None:
    """Step by step, as far as its source symbols go."""
    caller = knowing(WHOLE)
    sizes = []
    for datagram in sent(FULL, DATA, content_of(WHOLE)):
        caller.feed(datagram[None])
        caller.assembler.note_growth(5 * S)
        sizes += [one.length for one in caller.assembler.handed_over if isinstance(one, Grown)]
        caller.answer()
    assert [5 * S, 10 * S, 15 * S, 20 * S] == sizes
