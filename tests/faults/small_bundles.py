"""Drill: ten thousand small bundles across a link that loses a little. Each arrives once, byte for byte.

``python -m tests.faults.small_bundles [--count N] [--loss 0.1%] [--seed N]``
"""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.pair import Pair, Process, pair
from tests.faults.drill import arguments, carry_out

CHANNELS = ("cve", "mcp", "os", "pypi")
VERSION = "1"


@dataclass(frozen=True)
class Outcome:
    """What became of the bundles that were dropped into the outbox."""

    count: int
    delivered: int
    different: int
    twice: int
    surplus: int
    lost_datagrams: int
    datagrams: int

    @property
    def is_good(self) -> bool:
        """Whether all arrived, each as it was, each once, and nothing else."""
        return self.delivered == self.count and not (self.different or self.twice or self.surplus)

    def __str__(self) -> str:
        return (
            f"{self.delivered} of {self.count} bundles delivered, {self.different} different, {self.twice} twice, "
            f"{self.surplus} that nobody sent; {self.lost_datagrams} of {self.datagrams} datagrams lost"
        )


def contents(count: int, seed: int) -> Iterator[tuple[str, str, bytes]]:
    """(channel, name, bytes) of each bundle: one file of 200 bytes to 5 KB."""
    rng = random.Random(seed)
    for number in range(count):
        yield CHANNELS[number % len(CHANNELS)], f"item{number:05}", rng.randbytes(rng.randrange(200, 5000))


async def drill(folder: Path, count: int, seed: int, loss: str, limit_s: float, rate: int = 60_000_000) -> Outcome:
    """Drop ``count`` bundles into the outbox, and see what is in the inbox when both sides have ended.

    ``rate``: bytes a second, of the link.
    """
    async with pair(folder, rate=rate) as link:
        for channel in CHANNELS:
            (link.outbox / channel).mkdir()
        for channel, name, content in contents(count, seed):
            (link.outbox / channel / f"{name}@{VERSION}").write_bytes(content)
        receiver = await link.receiver("--bundles", str(count))
        await link.diode("--loss", loss, "--seed", str(seed))
        sender = await link.sender("run", "--json", "--until-idle", DIODE_OUTBOX__SETTLE_S="0")
        await sender.ended(limit_s)
        await receiver.ended(limit_s)
        return _compare(link, receiver, count, seed)


def _compare(link: Pair, receiver: Process, count: int, seed: int) -> Outcome:
    found = link.inbox.glob("*/*/*/receipt.json")
    places = {path.parent: path for path in found if not path.parent.is_symlink()}  # `current` leads to one of them
    delivered = different = 0
    for channel, name, content in contents(count, seed):
        place = link.inbox / channel / name / VERSION
        delivered += places.pop(place, None) is not None
        data = place / "data" / name
        different += data.exists() and data.read_bytes() != content
    published = Counter(m["id"] for m in receiver.messages if m.get("outcome") == "published")
    summary = receiver.last("summary")
    return Outcome(
        count=count,
        delivered=delivered,
        different=different,
        twice=sum(times > 1 for times in published.values()),
        surplus=len(places),
        lost_datagrams=summary["lost_before_fec"],
        datagrams=summary["datagrams"] + summary["lost_before_fec"],
    )


def main() -> None:
    """Run the drill; the exit code is 0 when everything arrived."""
    parser = arguments(__doc__, limit_s=360.0)
    parser.add_argument("--count", type=int, default=10_000, help="bundles")
    parser.add_argument("--loss", default="0.1%", help="share of datagrams that are lost")
    given = parser.parse_args()
    carry_out("small_bundles", given, lambda folder: drill(folder, given.count, given.seed, given.loss, given.limit))


if __name__ == "__main__":
    main()
