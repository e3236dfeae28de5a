"""Cuts received runs into datagrams, and decides which to keep by their lengths and two fields of the header.

A *run* is what the kernel hands over in one call: datagrams of one size, of which the last may be shorter. ``listen``
uses this module before anything else looks at a run, so it loads no numpy. Its few constants are those of
docs/wire-format.md, and a test compares them with ``diode.protocol.wire``.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from diode.errors import Drop

MARK: Final = b"DIO\x01"  # magic and version
SIZE_FIELD: Final = slice(38, 40)
OVERHEAD_BYTES: Final = 64
SMALLEST_BYTES: Final = 512  # of datagrams
LARGEST_BYTES: Final = 8960
STEP_BYTES: Final = 64
ODD_EVERY_S: Final = 0.01  # runs of another size than the link's: a hundred a second, so that a change of MTU is heard
MOST_ODD_RUNS: Final = 64  # taken from a region where sizes alternate


@dataclass(frozen=True, slots=True)
class Run:
    """``count`` datagrams of ``size`` bytes that lie one after another from ``offset`` of a region."""

    offset: int
    size: int
    count: int


def is_datagram_size(size_bytes: int) -> bool:
    """Whether the datagrams of a link may have this size."""
    return SMALLEST_BYTES <= size_bytes <= LARGEST_BYTES and size_bytes % STEP_BYTES == 0


def claimed_bytes(region: memoryview, offset: int, length: int) -> int:
    """The datagram size that the header at ``offset`` claims; 0 when it is not allowed, or ``length`` is too short."""
    if length < OVERHEAD_BYTES:
        return 0
    size = int.from_bytes(region[offset + SIZE_FIELD.start : offset + SIZE_FIELD.stop], "big") + OVERHEAD_BYTES
    return size if is_datagram_size(size) else 0


def is_led_astray(region: memoryview, offset: int, length: int, usual_bytes: int) -> bool:
    """Whether a run whose first datagram claims another size goes on with datagrams of the usual size."""
    return any(
        bytes(region[at : at + 4]) == MARK and claimed_bytes(region, at, usual_bytes) == usual_bytes
        for at in range(offset + usual_bytes, offset + length - OVERHEAD_BYTES + 1, usual_bytes)
    )


def slice_runs(region: memoryview, lengths: Sequence[int], drops: "Counter[Drop]", usual_bytes: int = 0) -> list[Run]:
    """Cut a region into runs by the size that each received run's first header claims.

    ``lengths`` are the byte counts of the runs as received, one after another. A rest that is not a whole datagram is
    counted as a drop. Neighbouring runs of one size become one run. ``usual_bytes`` is the size of the link's
    datagrams, or 0 when it is not known. A run that begins with another size, but seems to go on with the usual size,
    is cut by the usual size: the kernel may put a stranger's datagram before those of the sender, if he copies the
    sender's address.
    """
    runs: list[Run] = []
    offset = 0
    for length in lengths:
        size = claimed_bytes(region, offset, length)
        if size != usual_bytes and usual_bytes and is_led_astray(region, offset, length, usual_bytes):
            size = usual_bytes
        count = length // size if size else 0
        if not count or length % size:
            drops[Drop.LENGTH] += 1
        if count:
            last = runs[-1] if runs else None
            if last and last.size == size and last.offset + last.count * size == offset:
                runs[-1] = Run(last.offset, size, last.count + count)
            else:
                runs.append(Run(offset, size, count))
        offset += length
    return runs


def gather(region: memoryview, runs: Sequence[Run]) -> Iterator[Run]:
    """Yield the runs of a region as few runs, because each run costs as much as a hundred datagrams.

    If there are more than MOST_ODD_RUNS, the runs of the size with most bytes are moved together to the start of the
    region, and come last, as one run. Before them come at most MOST_ODD_RUNS runs of other sizes. Each run is valid
    until the next one is asked for.
    """
    if len(runs) <= MOST_ODD_RUNS:
        yield from runs
        return
    sizes: Counter[int] = Counter()
    for run in runs:
        sizes[run.size] += run.size * run.count
    ((main, _),) = sizes.most_common(1)
    yield from [run for run in runs if run.size != main][:MOST_ODD_RUNS]
    end = 0
    for run in runs:
        if run.size == main:
            length = main * run.count
            region[end : end + length] = region[run.offset : run.offset + length]
            end += length
    yield Run(0, main, end // main)


class Doorkeeper:
    """Lets runs of the link's own size in, and few of others, because a change of size costs more than its bytes.

    ``usual_bytes`` is that size. While it is 0 (not known) everything is let in. The owner sets it.
    """

    def __init__(self, usual_bytes: int = 0) -> None:
        self.usual_bytes = usual_bytes
        self._odd_at = 0.0

    def admit(self, region: memoryview, offset: int, length: int, now: float) -> int:
        """How many bytes of the run at ``offset`` are kept, from its start. Each cut or dropped run counts as one drop.

        A run of the usual size loses a shorter last datagram, which may be a stranger's: the kernel ends a run with it.
        A run that begins with another size is kept if datagrams of the usual size follow; otherwise a hundred a second
        are kept.
        """
        usual = self.usual_bytes
        if not usual:
            return length
        claimed = claimed_bytes(region, offset, length)
        if claimed == usual or is_led_astray(region, offset, length, usual):
            return length - length % usual
        if not claimed or now < self._odd_at:
            return 0
        self._odd_at = now + ODD_EVERY_S
        return length
