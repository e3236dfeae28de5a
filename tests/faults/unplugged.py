"""Drill: the link is dead for a while inside a transfer of two passes, which is delivered without an operator.

``python -m tests.faults.unplugged [--outage 30]``; one line, and 1 when the bundle is not there, byte for byte.
"""

import argparse
import asyncio
import contextlib
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.e2e.pair import SMALL_MTU, SMALL_SLAB, differences, pair

OUTAGES_PER_PASS = 1.5  # the first pass outlasts the outage, and loses most of itself
OUTAGE_S = 30.0
MARGIN_S = 60.0  # for everything that is not sending


async def drill(folder: Path, outage_s: float) -> tuple[bool, int, int]:
    """(whether it arrived as it was, bytes, how often a resend was asked for)."""
    rate = int(1.4 * SMALL_SLAB)  # bytes a second on the line: with repair, headers and tags, a slab
    size = int(OUTAGES_PER_PASS * outage_s * SMALL_SLAB)
    sent = folder / "model.bin"
    sent.write_bytes(random.Random(5).randbytes(size))
    async with pair(folder / "pair", mtu=SMALL_MTU, rate=rate) as link:
        receiver = await link.receiver()  # with --bundles it would give up after 10 s of silence
        line = await link.diode()
        passes = ("--passes", "2", "--pass-delay", "1", "--version", "1")
        sender = await link.sender("send", "--json", *passes, str(sent))
        await receiver.said(f'"bytes_done": {SMALL_SLAB}')
        line.signal(signal.SIGKILL)
        await line.ended()
        await asyncio.sleep(outage_s)
        await link.diode()
        patience_s = 3 * size / SMALL_SLAB + MARGIN_S
        codes = [await sender.ended(patience_s)]
        with contextlib.suppress(TimeoutError):
            await receiver.said('"outcome": "published"')
        receiver.signal(signal.SIGTERM)
        codes.append(await receiver.ended())
        arrived = link.inbox / "default" / "model.bin" / "1" / "data" / "model.bin"
        good = codes == [0, 0] and not differences(sent, arrived)
        return good, size, len([line for line in receiver.log if "resend_needed" in line])


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.unplugged", description="A link that is unplugged.")
    parser.add_argument("--outage", type=float, default=OUTAGE_S, help="seconds (%(default)s)")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="diode-unplugged-") as folder:
        good, size, asked = asyncio.run(drill(Path(folder), options.outage))
    what = "delivered without an operator" if good and not asked else "NOT delivered"
    print(f"unplugged for {options.outage:g} s: {size:,} bytes {what}, {time.monotonic() - began:.0f} s")
    return int(not good or asked > 0)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
