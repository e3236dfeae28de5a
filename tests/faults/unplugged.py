"""Drill: the cable is out for a while during the first pass. A later one completes what is missing.

``python -m tests.faults.unplugged [--pass-time 45] [--pass-delay 35] [--outage 30]`` (seconds)

Nobody does anything: no code is carried, no daemon is started again. The cable is the emulated diode's process, which
is killed and started anew.
"""

import asyncio
import random
import signal
from dataclasses import dataclass
from pathlib import Path

from diode.protocol.geometry import PROFILES, stream_geometry
from diode.protocol.sizes import datagram_bytes, symbol_bytes_for
from tests.e2e.pair import SMALL_MTU, SMALL_SLAB, differences, pair
from tests.faults.drill import arguments, carry_out

SLABS = 10
_SHAPE = stream_geometry(symbol_bytes_for(SMALL_MTU), PROFILES["standard"])
_SLAB_BYTES = _SHAPE.rows * _SHAPE.columns * datagram_bytes(_SHAPE.symbol_bytes)  # as UDP payload


@dataclass(frozen=True)
class Outcome:
    """What became of the bundle."""

    published: bool
    identical: bool
    lost_datagrams: int
    datagrams: int

    @property
    def is_good(self) -> bool:
        """Whether it arrived as it was, although something was lost."""
        return self.published and self.identical and self.lost_datagrams > 0

    def __str__(self) -> str:
        return (
            f"{int(self.published)} of 1 bundles delivered, {int(self.published and not self.identical)} different; "
            f"{self.lost_datagrams} of {self.datagrams} datagrams lost"
        )


async def drill(
    folder: Path,
    seed: int,
    pass_s: float,
    pass_delay_s: float,
    outage_s: float,
    limit_s: float,
    *,
    slabs: int = SLABS,
    passes: int = 2,
) -> Outcome:
    """Send one bundle in passes of ``pass_s``; from a sixth of the first one on, the cable is out for ``outage_s``.

    Over when the bundle is published, or given up after the last pass.
    """
    async with pair(folder, mtu=SMALL_MTU, rate=int(slabs * _SLAB_BYTES / pass_s)) as link:
        sent = folder / "model.bin"
        sent.write_bytes(random.Random(seed).randbytes(slabs * SMALL_SLAB))
        receiver = await link.receiver()
        cable = await link.diode()
        repeat = ("--passes", str(passes), "--pass-delay", str(pass_delay_s))
        sender = await link.sender("send", "--json", "--channel", "models", "--version", "1", *repeat, str(sent))
        await receiver.said("bundle_accepted")
        await asyncio.sleep(pass_s / 6)
        cable.signal(signal.SIGKILL)
        await cable.ended()
        await asyncio.sleep(outage_s)
        await link.diode()
        await receiver.said('"outcome": ', limit_s)  # published, or incomplete
        for daemon in (sender, receiver):
            if daemon.process.returncode is None:
                daemon.signal(signal.SIGTERM)
            await daemon.ended()
        arrived = link.inbox / "models" / "model.bin" / "1" / "data" / "model.bin"
        summary = receiver.last("summary")
        return Outcome(
            published=summary["published"] == 1,
            identical=arrived.exists() and not differences(sent, arrived),
            lost_datagrams=summary["lost_before_fec"],
            datagrams=summary["datagrams"] + summary["lost_before_fec"],
        )


def main() -> None:
    """Run the drill; the exit code is 0 when the bundle arrived."""
    parser = arguments(__doc__, limit_s=300.0)
    parser.add_argument("--pass-time", type=float, default=45.0, help="seconds that a pass lasts")
    parser.add_argument("--pass-delay", type=float, default=35.0, help="seconds between the passes")
    parser.add_argument("--outage", type=float, default=30.0, help="seconds without a cable")
    given = parser.parse_args()
    times = (given.pass_time, given.pass_delay, given.outage, given.limit)
    carry_out("unplugged", given, lambda folder: drill(folder, given.seed, *times))


if __name__ == "__main__":
    main()
