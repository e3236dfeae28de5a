"""The pacer keeps the rate, whatever the sender's clock and trains look like."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diode.protocol.pacing import Pacer

BURST_S = 0.002
QUANTUM_S = 0.0005


@given(st.lists(st.tuples(st.integers(1, 65507), st.floats(0, 0.01)), min_size=1, max_size=200), st.floats(1e5, 1e9))
@settings(max_examples=100)
def test_no_stretch_of_time_sees_more_than_the_rate(trains: list[tuple[int, float]], rate: float) -> None:
    """Between any two trains lie the bytes of the first and the rate's worth of time, the burst, and a wait put off."""
    pacer = Pacer(rate, burst_s=BURST_S, quantum_s=QUANTUM_S)
    now, sent = 1000.0, []
    for size, work_s in trains:
        now += pacer.delay(now, size)
        sent.append((now, size))
        now += work_s
    for i in range(len(sent)):
        total = 0
        for when, size in sent[i:]:
            assert total <= rate * (when - sent[i][0] + BURST_S + QUANTUM_S) * (1 + 1e-6) + 1
            total += size


@pytest.mark.parametrize("rate", [1e6, 125e6, 4e9])
def test_a_sender_that_keeps_up_gets_the_whole_rate(rate: float) -> None:
    """Trains that are offered without pause take as long as their bytes at the rate."""
    pacer, now, size = Pacer(rate), 5.0, 64_000
    start = now
    for _ in range(1000):
        now += pacer.delay(now, size)
    # The first train and the burst go out at once.
    assert 1000 * size / rate == pytest.approx(now - start + size / rate + BURST_S, rel=1e-6, abs=QUANTUM_S)


def test_lost_time_is_caught_up_for_the_burst_only() -> None:
    """After a stall at most ``burst_s`` of the rate goes out at once."""
    pacer = Pacer(1e6, burst_s=0.002)
    pacer.delay(0.0, 1000)
    waits = [pacer.delay(60.0, 1000) for _ in range(4)]
    assert [0.0, 0.0, 0.0, 0.001] == pytest.approx(waits)


@pytest.mark.parametrize("rate", [0.0, -1.0])
def test_no_rate_means_no_waiting(rate: float) -> None:
    """Rate 0 is as fast as the socket takes it."""
    pacer = Pacer(rate)
    assert [0.0] * 5 == [pacer.delay(0.0, 10**9) for _ in range(5)]


def test_the_rate_may_change_on_the_way() -> None:
    """A new rate holds from the next train on."""
    pacer = Pacer(1e6, burst_s=0.0)
    pacer.delay(1.0, 1_000_000)
    pacer.rate_bytes_per_s = 1e5
    assert 1.0 == pytest.approx(pacer.delay(1.0, 100_000))
    assert 2.0 == pytest.approx(pacer.delay(1.0, 1))
