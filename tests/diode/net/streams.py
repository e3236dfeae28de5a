"""Streams of numbered datagrams, and what leaves an impairer of them."""

import numpy as np

from diode.net.impairments import Datagrams, Impairer


def numbered(count: int, size: int = 32) -> Datagrams:
    """``count`` datagrams that begin with their number."""
    datagrams = np.zeros((count, size), np.uint8)
    datagrams[:, :8] = np.arange(count, dtype="<u8").view(np.uint8).reshape(-1, 8)
    return datagrams


def numbers(datagrams: Datagrams) -> list[int]:
    """What the datagrams of :func:`numbered` begin with."""
    return [int(number) for number in np.ascontiguousarray(datagrams[:, :8]).view("<u8")[:, 0]]


def through(impairer: Impairer, stream: Datagrams, cuts: list[int] | None = None) -> Datagrams:
    """All that leaves when ``stream`` arrives in calls of the lengths ``cuts`` (repeated to the end) and is flushed."""
    out: list[Datagrams] = []
    start, turn = 0, 0
    while start < len(stream):
        length = max(1, cuts[turn % len(cuts)]) if cuts else len(stream)
        out.append(impairer.apply(stream[start : start + length]))
        start, turn = start + length, turn + 1
    return np.concatenate([*out, impairer.flush()])
