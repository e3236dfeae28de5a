"""A disk that fills up under a transfer: the receiver goes on, says so, and a later pass brings what was lost."""

import contextlib
import json
import random
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.pair import SMALL_MTU, SMALL_SLAB, differences, pair

pytestmark = pytest.mark.needs("root")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m,mode=755", "tmpfs", str(place)], check=False).returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(hog: Path) -> None:
    """Take all the room that is left, whatever the receiver still writes meanwhile."""
    with hog.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass


@pytest.mark.long
@pytest.mark.parametrize("what", ["inbox", "state"])
async def test_a_disk_that_fills_up_costs_a_pass(tmp_path: Path, small_disk: Path, what: str) -> None:
    """Somebody else takes the room in mid-transfer, and gives it back before a later pass."""
    sent = tmp_path / "model.bin"
    sent.write_bytes(random.Random(5).randbytes(3 * SMALL_SLAB))
    async with pair(tmp_path / "pair", mtu=SMALL_MTU, rate=6_000_000) as link:
        await link.diode()
        place = {"inbox": "DIODE_INBOX__PATH", "state": "DIODE_STATE"}[what]
        inbox = small_disk / "inbox" if what == "inbox" else link.inbox
        env = {place: str(small_disk / what), "DIODE_LIMITS__RESERVE": "0"}
        receiver = await link.receiver(**env)
        passes = ("--passes", "16", "--pass-delay", "3", "--version", "1")  # the last ones are never needed
        with link.slowly("default"):
            sender = await link.sender("send", "--json", *passes, str(sent))
            await receiver.counted("bytes_done", SMALL_SLAB)
        sender.signal(signal.SIGTERM)
        assert 0 == await sender.ended()
        fill(small_disk / "hog")
        sender = await link.sender("run", "--json", "--until-idle")
        failing = json.loads(await receiver.said("disk_failing"))["detail"]
        named = failing.removesuffix("; the ledger is kept")  # so it ends about the guard, which lies in the inbox
        assert (what == "state") == ("ledger" in named or "/state/" in named), failing
        (small_disk / "hog").unlink()
        await receiver.publishes()
        sender.signal(signal.SIGTERM)
        assert 0 == await sender.ended()
        assert [] == differences(sent, inbox / "default" / "model.bin" / "1" / "data" / "model.bin")
