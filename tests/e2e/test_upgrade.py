"""An installation of an older version is taken up by this one, in the middle of a transfer; and each end talks to both.

The older version comes out of the history of this repository: the last one before the ledger's schema 2.
"""

import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from tests.e2e.pair import SMALL_MTU, SMALL_SLAB, Pair, Process
from tests.test_architecture import ROOT

OLDER = "592d40e"
SCHEMA = "PRAGMA user_version"
PARTS = ("diode", "sender", "receiver")
SLABS = 4
RATE = 4_000_000  # bytes/s
INIT = """
import sys
from pathlib import Path
from diode.init import init_pair
ends = dict(to=sys.argv[2], listen=sys.argv[3])
init_pair(Path(sys.argv[1]), **ends, mtu={mtu}, rate={rate}, profile="standard", auth="gmac")
"""

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The older version's code."""
    folder = tmp_path_factory.mktemp("older")
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", OLDER, *PARTS], capture_output=True, check=False)
    if archive.returncode:
        pytest.skip("the history of this repository is not here")
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder


class Upgraded(Pair):
    """A pair whose configuration the older version wrote, and whose daemons are of either version."""

    def __init__(self, folder: Path, older: Path, rate: int) -> None:
        super().__init__(folder, mtu=SMALL_MTU, rate=rate)
        shutil.rmtree(folder)
        self._older = older
        program = INIT.format(mtu=SMALL_MTU, rate=rate)
        ends = (str(self.low), str(self.high))
        subprocess.run([*self._entered(), sys.executable, "-c", program, str(folder), *ends], check=True)

    def _entered(self) -> tuple[str, ...]:
        """A command before which the older version's code is what Python finds."""
        return ("env", "-C", str(self._older), f"PYTHONPATH={self._older}")

    async def daemon(self, side: str, *, is_older: bool) -> Process:
        """``run`` of one side."""
        config = str(self.folder / side / f"{side}.toml")
        enter = self._entered() if is_older else ()
        program = f"{side}.cli" if is_older else f"{side}.cli.main"
        process = await self._start(program, "-c", config, "run", "--json", "--no-progress", enter=enter)
        if side == "receiver":
            await process.said("udp_path_chosen")
        return process

    async def stop(self, process: Process) -> None:
        """As the service manager does."""
        process.signal(signal.SIGTERM)
        assert 0 == await process.ended(), process.log

    def drop(self, name: str, content: bytes) -> None:
        """An item of channel ``os``."""
        (self.outbox / "os").mkdir(exist_ok=True)
        (self.outbox / "os" / f"{name}@1").write_bytes(content)

    def arrived(self, name: str) -> bytes:
        """Its content in the inbox."""
        (path,) = (self.inbox / "os" / name / "1" / "data").iterdir()
        return path.read_bytes()

    def asked(self, query: str) -> int:
        """The one number that the receiver's ledger has for an answer."""
        with closing(sqlite3.connect(self.folder / "receiver" / "state" / "ledger.db")) as database:
            return int(database.execute(query).fetchone()[0])


@asynccontextmanager
async def upgraded(folder: Path, older: Path, rate: int) -> AsyncIterator[Upgraded]:
    """A pair whose processes end with the block."""
    made = Upgraded(folder, older, rate)
    try:
        yield made
    finally:
        await made.close()


async def test_an_installation_is_upgraded_in_the_middle_of_a_transfer(tmp_path: Path, older: Path) -> None:
    """Both sides go on with what the older version's ledgers, spool and packed bundles hold; nothing begins anew."""
    content = random.Random(5).randbytes(SLABS * SMALL_SLAB)
    async with upgraded(tmp_path / "pair", older, RATE) as link:
        await link.diode()
        receiver = await link.daemon("receiver", is_older=True)
        link.drop("model", content)
        with link.slowly("os"):
            sender = await link.daemon("sender", is_older=True)
            await receiver.counted("bytes_done", SMALL_SLAB)
        await link.stop(sender)
        await link.stop(receiver)
        stored = link.asked("SELECT count(*) FROM slab")
        assert (True, 1, []) == (1 <= stored < SLABS, link.asked(SCHEMA), list(link.inbox.glob("os/*")))
        receiver = await link.daemon("receiver", is_older=False)
        await receiver.said("bundle_resumed")
        assert (stored, 2) == (link.asked("SELECT count(*) FROM slab"), link.asked(SCHEMA))
        sender = await link.daemon("sender", is_older=False)
        await sender.said("bundle_goes_on")
        await receiver.said('"published"')
        await link.stop(sender)
        await link.stop(receiver)
        assert content == link.arrived("model")


@pytest.mark.parametrize("older_side", ["sender", "receiver"])
async def test_one_end_is_upgraded_before_the_other(tmp_path: Path, older: Path, older_side: str) -> None:
    """What one version sends the other one publishes."""
    content = random.Random(6).randbytes(SMALL_SLAB + 1)
    async with upgraded(tmp_path / "pair", older, 4 * RATE) as link:
        await link.diode()
        receiver = await link.daemon("receiver", is_older=older_side == "receiver")
        link.drop("model", content)
        sender = await link.daemon("sender", is_older=older_side == "sender")
        await receiver.said('"published"')
        await link.stop(sender)
        await link.stop(receiver)
        assert content == link.arrived("model")
