"""The very first start: whatever of it a power loss takes, the second start is not told that its ledger is too old."""

import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from diode.config.init import init_pair
from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.config.sender import SenderConfig
from receiver.inbox.folder import Inbox
from receiver.recovery import rebaseline as enclave
from sender.recovery import rebaseline as staging
from tests.faults.disk import Disk, KilledError, watched


@pytest.mark.parametrize("kill_at", [None, *range(1, 12)])
@pytest.mark.parametrize("seed", range(4))
def test_power_is_lost_after_the_first_start(tmp_path: Path, seed: int, kill_at: int | None) -> None:
    """Or in the middle of it: a rollback guard never outlives the ledger that it follows."""
    there = "127.0.0.1:9"
    init_pair(tmp_path, to=there, listen=there, mtu=1500, rate=0, profile="standard", auth="gmac")
    receiver = load(ReceiverConfig, tmp_path / "receiver" / "receiver.toml")
    sender = load(SenderConfig, tmp_path / "sender" / "sender.toml")
    Inbox(receiver.inbox.path).prepare()
    starts: dict[str, Callable[[], None]] = {
        "receiver": lambda: enclave.open_ledger(receiver).close(),
        "sender": lambda: staging.open_ledger(sender).close(),
    }
    for side, start in starts.items():
        disk = Disk(tmp_path / side, random.Random(seed))
        disk.sync()
        disk.kill_at = kill_at
        with watched([disk]):
            with suppress(KilledError):
                start()
            disk.is_ours = True
            disk.lose_power()
            start()
