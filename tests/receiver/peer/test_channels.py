"""``channel begin`` beside a running daemon, and without one."""

import os
from contextlib import closing
from pathlib import Path

import pytest

from diode.config.init import init_receiver
from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.errors import UsageError
from diode.storage.locking import lock_folder
from diode.trust.keys import new_link_key
from receiver.ledger.ledgers import LedgerView
from receiver.ledger.numbers import MAX_JUMP
from receiver.ledger.schema import MIGRATIONS
from receiver.peer.channels import begin_channel
from tests.diode.storage.test_database import lay


@pytest.fixture
def config(tmp_path: Path) -> ReceiverConfig:
    """A receiver whose ledger is of the version before."""
    init_receiver(tmp_path, listen="127.0.0.1:0", auth="none", link_key=new_link_key(), public=None)
    made = load(ReceiverConfig, tmp_path / "receiver.toml")
    made.state.mkdir(exist_ok=True)
    lay("receiver-1", made.state / "ledger.db")
    return made


def version(config: ReceiverConfig) -> int:
    """Of the ledger's schema."""
    with closing(LedgerView(config.state / "ledger.db")) as ledger:
        return ledger.version


def test_an_older_daemon_keeps_the_tables_that_it_knows(config: ReceiverConfig) -> None:
    """A newer program that brought its ledger up to date would keep it from recording anything."""
    running = lock_folder(config.state)
    with pytest.raises(UsageError, match="restart it first"):
        begin_channel(config, "cve", 7)
    os.close(running)
    assert 1 == version(config)


def test_an_older_ledger_that_nobody_uses_is_brought_up_to_date(config: ReceiverConfig) -> None:
    """As the daemon would do it at its next start."""
    begin_channel(config, "cve", 7)
    assert len(MIGRATIONS) == version(config)


def test_beside_a_daemon_of_this_version(config: ReceiverConfig) -> None:
    """It need not be restarted."""
    begin_channel(config, "cve", 7)
    running = lock_folder(config.state)
    assert 7 + MAX_JUMP == begin_channel(config, "cve", 8).last
    os.close(running)
