"""What an emulated line does to a stream of datagrams: it loses, corrupts, duplicates and delays.

Without sockets, seeded.

A stream is a matrix with one datagram in each row. What happens to a datagram depends on the seed and on its place in
the stream, and not on how the stream is divided into calls. Each effect has a random generator of its own, which draws
either once for each datagram or once for each event.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

MAX_DELAY_DATAGRAMS: Final = 64  # a reordered datagram is overtaken by at most so many

Datagrams = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Places = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Impairments:
    """What to do to a stream. Shares are from 0 to 1, lengths in datagrams. The default does nothing.

    ``burst_loss`` is the share of datagrams that are lost in random bursts of ``burst_mean`` on average (Gilbert 1960,
    Elliott 1963). ``burst`` is the length of regular bursts; between two of them pass ``burst_gap`` to twice as many
    datagrams. All kinds of loss may be used at once.
    """

    loss: float = 0.0
    burst_loss: float = 0.0
    burst_mean: float = 100.0
    burst: int = 0
    burst_gap: int = 30_000
    reorder: float = 0.0
    duplicate: float = 0.0
    corrupt: float = 0.0

    def __post_init__(self) -> None:
        for name in ("loss", "burst_loss", "reorder", "duplicate", "corrupt"):
            share = getattr(self, name)
            if not 0 <= share <= 1:
                raise ValueError(f"{name} must be a share from 0 to 1 (0 % to 100 %), not {share}")
        if not 1 <= self.burst_mean < float("inf"):
            raise ValueError(f"burst_mean must be a length of at least 1 datagram, not {self.burst_mean}")
        most = self.burst_mean / (self.burst_mean + 1)
        if self.burst_loss > most:
            raise ValueError(f"burst_loss can be {most:.3f} at most with bursts of {self.burst_mean}: they need gaps")
        if self.burst < 0:
            raise ValueError(f"burst must be a length of 0 or more datagrams, not {self.burst}")
        if self.burst_gap < 1:
            raise ValueError(f"burst_gap must be a length of at least 1 datagram, not {self.burst_gap}")


@dataclass
class Tally:
    """Counts of what was done to the traffic, in datagrams unless a name says otherwise."""

    received: int = 0
    forwarded: int = 0  # handed on, copies included; less than `received` by what is lost or still held back
    lost_random: int = 0
    lost_burst: int = 0  # a datagram that both would have lost counts here
    bursts: int = 0
    longest_burst: int = 0
    reordered: int = 0
    duplicated: int = 0
    corrupted: int = 0
    bytes: int = 0  # of `forwarded`, UDP payload
    overflowed: int = 0  # dropped by the kernel on the low side, its buffer being full; it may count a train as one
    refused: int = 0  # of `forwarded`, not taken by the kernel on the high side


class Impairer:
    """Applies :class:`Impairments` to a stream of datagrams, and counts. The same ``seed`` gives the same result."""

    def __init__(self, impairments: Impairments, seed: int) -> None:
        self.tally = Tally()
        lose, random_bursts, fixed_bursts, corrupt, flip, duplicate, reorder, delay = (
            np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(8)
        )
        self._loss = _Chance(impairments.loss, lose)
        self._bursts = _burst_schedules(impairments, random_bursts, fixed_bursts)
        self._corrupt = _Chance(impairments.corrupt, corrupt)
        self._flip = flip
        self._duplicate = _Chance(impairments.duplicate, duplicate)
        self._reorder = _Chance(impairments.reorder, reorder)
        self._delay = delay
        self._held = np.empty((0, 0), np.uint8)
        self._held_due = np.empty(0, np.int64)

    def apply(self, datagrams: Datagrams) -> Datagrams:
        """Take the (n, size) matrix ``datagrams`` that arrives; returns the (m, size) matrix that leaves.

        The input is never written to. If nothing happened to it, it is returned itself; otherwise the result is a new
        matrix. While datagrams are held back all calls need the same ``size``: call :meth:`flush` before another one.
        """
        count, size = datagrams.shape
        if self._held.shape[1] != size:
            if len(self._held):
                raise ValueError(f"datagrams of {self._held.shape[1]} bytes are held back: flush first")
            self._held = np.empty((0, size), np.uint8)
        start = self.tally.received
        self.tally.received += count
        survives = self._survivors(count)
        corrupt, twice, late = (_both(c.mask(count), survives) for c in (self._corrupt, self._duplicate, self._reorder))
        if survives is None and corrupt is None and twice is None and late is None and not len(self._held):
            return self._forward(datagrams)
        places = np.arange(count) if survives is None else np.flatnonzero(survives)
        due = self._due(start, count, late)
        if twice is not None:
            self.tally.duplicated += int(np.count_nonzero(twice))
            places = np.repeat(places, 1 + twice[places])
        leaving = datagrams[places]
        if corrupt is not None:
            self._flip_bits(leaving, places, np.flatnonzero(corrupt))
        if late is None and not len(self._held):
            return self._forward(leaving)
        return self._forward(self._in_order(leaving, due[places], 2 * (start + count)))

    def flush(self) -> Datagrams:
        """All datagrams that are held back, in the order in which they were due. Nothing is held back afterwards."""
        held = self._held[np.argsort(self._held_due, kind="stable")]
        self._held, self._held_due = held[:0], self._held_due[:0]
        return self._forward(held)

    def _survivors(self, count: int) -> Mask | None:
        """Which of the next ``count`` datagrams are not lost; None for all."""
        lost = self._loss.mask(count)
        burst: Mask | None = None
        for schedule in self._bursts:
            burst = _either(burst, schedule.mask(count, self.tally))
        if burst is not None:
            self.tally.lost_burst += int(np.count_nonzero(burst))
            self.tally.lost_random += 0 if lost is None else int(np.count_nonzero(lost & ~burst))
        elif lost is not None:
            self.tally.lost_random += int(np.count_nonzero(lost))
        lost = _either(lost, burst)
        return None if lost is None else ~lost

    def _due(self, start: int, count: int, late: Mask | None) -> Places:
        """When each datagram leaves: in half places of the received stream, so that a late one follows a punctual."""
        due = 2 * np.arange(start, start + count)
        if late is not None:
            number = int(np.count_nonzero(late))
            self.tally.reordered += number
            due[late] += 2 * (1 + _below(self._delay, MAX_DELAY_DATAGRAMS, number)) + 1
        return due

    def _flip_bits(self, leaving: Datagrams, places: Places, hit: Places) -> None:
        """Flip one bit in each row of ``leaving`` that came from a place in ``hit``; copies share their damage."""
        self.tally.corrupted += len(hit)
        for place, bit in zip(hit, _below(self._flip, 8 * leaving.shape[1], len(hit)), strict=True):
            leaving[places == place, bit >> 3] ^= np.uint8(1 << (bit & 7))

    def _in_order(self, leaving: Datagrams, due: Places, now: int) -> Datagrams:
        """Merge ``leaving`` with what is held back, and hold back what is not due before ``now``."""
        if len(self._held):
            leaving = np.concatenate([self._held, leaving])
            due = np.concatenate([self._held_due, due])
        waits = due >= now
        self._held, self._held_due = leaving[waits], due[waits]
        goes = np.flatnonzero(~waits)
        return leaving[goes[np.argsort(due[goes], kind="stable")]]

    def _forward(self, leaving: Datagrams) -> Datagrams:
        self.tally.forwarded += len(leaving)
        self.tally.bytes += leaving.size
        return leaving


class _Chance:
    """Hits each datagram of a stream independently with probability ``share``."""

    def __init__(self, share: float, generator: np.random.Generator) -> None:
        self._share = share
        self._generator = generator

    def mask(self, count: int) -> Mask | None:
        """Which of the next ``count`` datagrams are hit; None for none of them."""
        if not self._share:
            return None
        hit: Mask = self._generator.random(count) < self._share
        return hit if hit.any() else None


@dataclass
class _Schedule:
    """Bursts one after another: ``gap()`` datagrams are spared, then ``length()`` are hit."""

    gap: Callable[[], int]
    length: Callable[[], int]
    spare: int  # datagrams left until the next burst
    hit: int = field(default=0, init=False)  # datagrams left of the current burst
    run: int = field(default=0, init=False)  # datagrams of the current burst so far

    def mask(self, count: int, tally: Tally) -> Mask | None:
        """Which of the next ``count`` datagrams are in a burst, entered into ``tally``; None for none of them."""
        if self.spare >= count:
            self.spare -= count
            return None
        mask = np.zeros(count, np.bool_)
        place = 0
        while place < count:
            if self.spare:
                step = min(self.spare, count - place)
                self.spare -= step
            else:
                if not self.hit:
                    self.hit, self.run = self.length(), 0
                    tally.bursts += 1
                step = min(self.hit, count - place)
                mask[place : place + step] = True
                self.hit -= step
                self.run += step
                tally.longest_burst = max(tally.longest_burst, self.run)
                if not self.hit:
                    self.spare = self.gap()
            place += step
        return mask


def _burst_schedules(
    impairments: Impairments, random_bursts: np.random.Generator, fixed_bursts: np.random.Generator
) -> list[_Schedule]:
    schedules = []
    if impairments.burst_loss:
        # Two states, left with a constant probability each, so that their lengths are geometric; the share of the bad
        # one is into / (into + out_of).
        out_of = 1 / impairments.burst_mean
        into = out_of * impairments.burst_loss / (1 - impairments.burst_loss)

        def spared() -> int:
            return int(random_bursts.geometric(min(1.0, into)))

        schedules.append(_Schedule(spared, lambda: int(random_bursts.geometric(out_of)), spared()))
    if impairments.burst:
        gap = impairments.burst_gap
        first = int(fixed_bursts.integers(2 * gap))
        schedules.append(_Schedule(lambda: int(fixed_bursts.integers(gap, 2 * gap)), lambda: impairments.burst, first))
    return schedules


def _below(generator: np.random.Generator, limit: int, count: int) -> Places:
    """``count`` numbers below ``limit``. Not ``integers()``: what that draws depends on how calls are cut."""
    return (generator.random(count) * limit).astype(np.int64)


def _both(one: Mask | None, other: Mask | None) -> Mask | None:
    """Places in ``one``, which may be None for nowhere, and in ``other``, which may be None for everywhere."""
    if one is None or other is None:
        return one
    both = one & other
    return both if both.any() else None


def _either(one: Mask | None, other: Mask | None) -> Mask | None:
    """Places in one of two masks, each of which may be None for nowhere."""
    if one is None or other is None:
        return one if other is None else other
    return one | other
