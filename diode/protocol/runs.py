"""Where received runs are cut into datagrams, and which of them are let in at all: lengths, and two fields of headers.

A *run* is what the kernel hands over in one call: datagrams of one size, of which the last may be shorter. ``listen``
judges runs by this file before anything else looks at them, so it loads no numpy: its few constants are those of
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
    """Size of the datagrams that the header at ``offset`` claims; 0 when it may not be, or ``length`` holds none."""
    if length < OVERHEAD_BYTES:
        return 0
    size = int.from_bytes(region[offset + SIZE_FIELD.start : offset + SIZE_FIELD.stop], "big") + OVERHEAD_BYTES
    return size if is_datagram_size(size) else 0


def is_led_astray(region: memoryview, offset: int, length: int, usual_bytes: int) -> bool:
    """Whether somewhere behind the first datagram of a run there is a header of the usual size."""
    return any(
        bytes(region[at : at + 4]) == MARK and claimed_bytes(region, at, usual_bytes) == usual_bytes
        for at in range(offset + usual_bytes, offset + length - OVERHEAD_BYTES + 1, usual_bytes)
    )


def slice_runs(region: memoryview, lengths: Sequence[int], drops: "Counter[Drop]", usual_bytes: int = 0) -> list[Run]:
    """Cut a region into runs by the size that each received run's first header claims.

    ``lengths`` are the byte counts of the runs as received, one after another. What does not divide is a counted drop;
    neighbours of one size become one run. ``usual_bytes`` is the size of the link's datagrams, 0 where it is not known:
    a run that begins with another claim is cut by it where datagrams of that size seem to follow, since the kernel may
    put a stranger's datagram before those of the sender whom he copies.
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
    """The runs of a region in few pieces, however sizes alternate: a piece costs as much as a hundred datagrams.

    Where there are more than MOST_ODD_RUNS, those of the size that most bytes have are moved together to the start of
    the region, and come last; of the others as many come. Each piece is good until the next one is asked for.
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
    """Lets runs of the link's own size in, and hardly any others: each size that changes costs more than its bytes.

    ``usual_bytes`` is that size, 0 where it is not known: then all is let in. It is set from outside.
    """

    def __init__(self, usual_bytes: int = 0) -> None:
        self.usual_bytes = usual_bytes
        self._odd_at = 0.0

    def admit(self, region: memoryview, offset: int, length: int, now: float) -> int:
        """How many bytes of the run at ``offset`` are kept, from its start; what is cut off or dropped is one drop.

        A run of the usual size loses its tail, which a stranger's shorter datagram may be: the kernel ends a run with
        it. A run that begins with another size is kept where datagrams of the usual size follow, or as one of a
        hundred a second.
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
