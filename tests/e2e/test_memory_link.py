"""Whole transfers over an in-memory line with losses, in virtual time: what the profiles promise."""

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diode.errors import Drop
from diode.net.impairments import Impairments
from diode.protocol.auth import DatagramViews, Session
from diode.protocol.fec import choose_engine
from diode.protocol.link_key import LinkKey
from diode.protocol.sizes import Kind
from diode.protocol.wire import headers_of, pack_headers
from diode.protocol.zfec_code import Zfec
from tests.link import Bundle, Enclave, ProfileName, Staging, make_bundle, transfer

# MTU, profile, passes, impairments: each must deliver with every seed.
CASES: dict[str, tuple[int, ProfileName, int, dict[str, Any]]] = {
    "clean line": (1500, "standard", 1, {}),
    "0.1 %": (1500, "standard", 1, {"loss": 0.001}),
    "1 %": (1500, "standard", 1, {"loss": 0.01}),
    "bursts of 1000": (1500, "standard", 1, {"burst": 1000, "burst_gap": 30_000}),
    "1 % and bursts of 500": (1500, "standard", 1, {"loss": 0.01, "burst": 500, "burst_gap": 30_000}),
    "9000: bursts of 500": (9000, "standard", 1, {"burst": 500, "burst_gap": 15_000}),
    "9000: 1 % and bursts of 250": (9000, "standard", 1, {"loss": 0.01, "burst": 250, "burst_gap": 15_000}),
    "5 % with lossy": (1500, "lossy", 1, {"loss": 0.05}),
    "30 % with extreme, 2 passes": (1500, "extreme", 2, {"loss": 0.3}),
}


LONG = pytest.mark.long
QUICK = ("1 % and bursts", "5 %")


def content(size: int, seed: int = 1) -> dict[str, bytes]:
    """Two files of ``size`` bytes together."""
    data = random.Random(seed).randbytes(size)
    return {"a": data[: size // 3], "dir/b": data[size // 3 :]}


def stream_of(bundle: Bundle) -> bytes:
    """The bytes that must arrive."""
    return bundle.parts[Kind.DATA, 0]


@pytest.mark.parametrize("case", [pytest.param(case, marks=() if case.startswith(QUICK) else LONG) for case in CASES])
@pytest.mark.parametrize(
    "seed", [1, pytest.param(2, marks=LONG), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 21))]
)
def test_profiles_keep_their_promise(case: str, seed: int) -> None:
    """One pass over a line this bad delivers every byte."""
    mtu, profile, passes, impairments = CASES[case]
    bundle = make_bundle(content(40_000_000 if mtu == 1500 else 140_000_000), mtu=mtu, profile=profile)
    enclave = transfer(
        [bundle], Impairments(**impairments), seed, passes=passes, warm_up=random.Random(seed).randrange(60_000)
    )
    assert {bundle.number} == enclave.published.keys()
    assert stream_of(bundle) == enclave.published[bundle.number]


# At 20 % loss a pass has 176 of the 200 symbols that a block needs, and two passes have 224 distinct ones.
STITCHED = {
    "slabs left behind, then a rest": (1, 160 << 20),
    "memory for two slabs, six of them under way": (3, 60 << 20),
}


@pytest.mark.long
@pytest.mark.parametrize("case", STITCHED)
def test_passes_stitch_together_symbol_by_symbol(case: str) -> None:
    """What no pass brings whole is completed from spilled symbols and fresh repair."""
    count, arena_bytes = STITCHED[case]
    bundles = [make_bundle(content(40_000_000, number), sequence=number) for number in range(1, count + 1)]
    assert not transfer(bundles, Impairments(loss=0.2), 5).published
    enclave = transfer(bundles, Impairments(loss=0.2), 5, passes=2, arena_bytes=arena_bytes)
    assert {bundle.number: stream_of(bundle) for bundle in bundles} == enclave.published
    assert enclave.assembler.figures.slabs_spilled >= 2 * count
    assert not enclave.assembler.figures.slabs_given_up


@pytest.mark.long
@pytest.mark.parametrize(
    "size", [0, 1409, *(pytest.param(n, marks=LONG) for n in (1, 1408, 100_000, 20 * 64 * 1408 + 1))]
)
def test_a_small_bundle_survives_a_burst_at_any_place(size: int) -> None:
    """1,000 consecutive datagrams may vanish anywhere: copies are too far apart to die together."""
    bundle = make_bundle(content(size))
    for shift in range(0, 12_000, 1499):
        impairments = Impairments(burst=1000, burst_gap=30_000)
        assert bundle.number in transfer([bundle], impairments, 4, warm_up=30_000 + shift).published


@pytest.mark.parametrize("mode", ["aead", "none"])
def test_other_modes_deliver(mode: str) -> None:
    """Encrypted or without tags, the bytes are the same."""
    bundle = make_bundle(content(1_000_000))
    enclave = transfer([bundle], Impairments(loss=0.01), 5, mode=mode)  # type: ignore[arg-type]  # a Mode
    assert stream_of(bundle) == enclave.published[bundle.number]


def test_zfec_alone_delivers() -> None:
    """Without ISA-L the same transfer passes."""
    bundle = make_bundle(content(1_000_000))
    enclave = transfer([bundle], Impairments(loss=0.02), 5, engine=Zfec())
    assert stream_of(bundle) == enclave.published[bundle.number]


def test_reordering_and_duplicates_do_no_harm() -> None:
    """Overtaking and repeated datagrams end in the same bytes, and are counted."""
    bundle = make_bundle(content(3_000_000))
    impairments = Impairments(reorder=0.05, duplicate=0.05, corrupt=0.001, loss=0.005)
    enclave = transfer([bundle], impairments, 6)
    assert stream_of(bundle) == enclave.published[bundle.number]
    assert 0 < enclave.drops[Drop.TAG] + enclave.drops[Drop.MAGIC]
    assert 0 == enclave.drops[Drop.CONFLICT]


def test_many_bundles_share_the_line() -> None:
    """Bundles in flight together all arrive; the gaps of one are filled by the others."""
    bundles = [make_bundle(content(5000 * n, n), sequence=n) for n in range(1, 30)]
    enclave = transfer(bundles, Impairments(loss=0.01), 7)
    assert {bundle.number for bundle in bundles} == enclave.published.keys()


def test_losses_are_counted_exactly() -> None:
    """Distinct datagrams received and those known to be sent tell the loss, repeats or not."""
    bundle = make_bundle(content(2_000_000))
    impairments = Impairments(loss=0.01, duplicate=0.02)
    enclave = transfer([bundle], impairments, 8)
    lost = enclave.gate.expected - enclave.gate.received
    assert 0.005 < lost / enclave.gate.expected < 0.02


KEY = LinkKey.of(bytes(range(32)))
SMALL = make_bundle(content(60_000))


def sealed(rows: list[dict[str, int]], fill: int = 0) -> np.ndarray:
    """Authentic datagrams with any headers."""
    size = 1408 + 64
    matrix = np.full((len(rows), size), fill, np.uint8)
    session = Session(KEY, 1, "gmac")
    for i, row in enumerate(rows):
        fields = {"kind": 1, "flags": 0, "bundle": SMALL.number, "slab": 0, "symbol": 0, "columns": 43, "k": 1, **row}
        symbol = np.array([fields.pop("symbol")], dtype=np.uint16)
        pack_headers(
            headers_of(matrix[i : i + 1]),
            key_id=KEY.key_id,
            session=1,
            counter=1000 + i,
            symbols=symbol,
            symbol_bytes=1408,
            **fields,  # type: ignore[arg-type]  # a kind as a number
        )
    views = DatagramViews(memoryview(matrix.reshape(-1)), size, len(matrix))
    session.seal(matrix, views, 0, len(matrix))
    return matrix


def honest() -> list[np.ndarray]:
    """Every datagram of a small transfer, one matrix each."""
    staging = Staging([SMALL], 1, "gmac", KEY, choose_engine(), 1e8)
    matrices: list[np.ndarray] = []
    while (step := staging.next()) is not None:
        if len(step[1]) < 4000:
            matrices.extend(step[1][i : i + 50].copy() for i in range(0, len(step[1]), 50))
    return matrices


HONEST = honest()
hostile_row = st.fixed_dictionaries(
    {
        "kind": st.sampled_from([1, 1, 2, 3]),
        "flags": st.integers(0, 3),
        "bundle": st.sampled_from([SMALL.number, SMALL.number, 0, 1, 2**64 - 1]),
        "slab": st.sampled_from([0, 0, 1, 2**26 - 1, 2**26, 2**32 - 1]),
        "symbol": st.integers(0, 65535) | st.integers(0, 100),
        "columns": st.sampled_from([0, 1, 3, 43, 64, 65, 255]),
        "k": st.sampled_from([0, 1, 2, 64, 65, 200, 255]),
    }
)
attack = st.one_of(
    st.tuples(st.just("honest"), st.integers(0, len(HONEST) - 1)),
    st.tuples(st.just("sealed"), st.lists(hostile_row, min_size=1, max_size=8), st.integers(0, 255)),
    st.tuples(st.just("noise"), st.binary(min_size=1472, max_size=1472)),
    st.tuples(st.just("flipped"), st.integers(0, len(HONEST) - 1), st.integers(0, 1472 * 8 - 1)),
)


@pytest.mark.long
@given(st.lists(attack, max_size=25), st.booleans())
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
def test_no_sequence_of_datagrams_does_harm(attacks: list[tuple[Any, ...]], then_honest: bool) -> None:
    """Nothing on the wire, authentic or not, makes the receiver raise, or publish what was not signed."""
    enclave = Enclave([KEY], "gmac", choose_engine(), [SMALL.signer], arena_bytes=48 << 20)
    enclave.receive(HONEST[0], 0.0)
    for kind, *arguments in attacks:
        if kind == "honest":
            enclave.receive(HONEST[arguments[0]], 0.0)
        elif kind == "sealed":
            enclave.receive(sealed(arguments[0], arguments[1]), 0.0)
        elif kind == "noise":
            enclave.receive(np.frombuffer(arguments[0], np.uint8).reshape(1, -1), 0.0)
        else:
            damaged = HONEST[arguments[0]].copy()
            damaged.reshape(-1)[arguments[1] // 8] ^= 1 << arguments[1] % 8
            enclave.receive(damaged, 0.0)
    for matrix in HONEST if then_honest else ():
        enclave.receive(matrix, 0.0)
    assert all(stream_of(SMALL) == stream for stream in enclave.published.values())
    assert enclave.assembler.used_bytes <= len(enclave.arena)


@pytest.mark.long
@pytest.mark.parametrize("count", [20_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_authentic_strangers_take_no_memory(count: int) -> None:
    """Random bundle ids under a valid key stay within the arena's early share, however many there are."""
    import resource

    enclave = Enclave([KEY], "gmac", choose_engine(), [SMALL.signer], arena_bytes=48 << 20)
    enclave.receive(HONEST[0], 0.0)
    rng = random.Random(3)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(count // 500):
        enclave.receive(sealed([{"bundle": rng.getrandbits(64) | 1, "columns": 64, "k": 200} for _ in range(500)]), 0.0)
    grown_bytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert enclave.assembler.used_bytes <= len(enclave.arena) // 2
    assert grown_bytes < 64 << 20
