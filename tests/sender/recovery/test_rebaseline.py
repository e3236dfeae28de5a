"""A sender's ledger that went back in time sends nothing, and goes on after the last numbers that were issued."""

import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from diode.config.init import init_sender
from diode.config.load import load
from diode.config.sender import SenderConfig
from diode.errors import LockedError, ReplayError, UsageError
from diode.storage.locking import locked
from diode.trust.keys import new_link_key
from sender.ledger import Ledger, Row, State
from sender.outbox.folder import OutboxFolder
from sender.recovery.rebaseline import guard_of, open_ledger, parse_after, rebaseline


@pytest.fixture
def config(tmp_path: Path) -> SenderConfig:
    """A sender that never ran."""
    options: dict[str, Any] = {"mtu": 1500, "rate": 0, "profile": "standard", "auth": "gmac"}
    init_sender(tmp_path, to="127.0.0.1:9", link_key=new_link_key(), **options)
    return load(SenderConfig, tmp_path / "sender.toml")


def issue(ledger: Ledger, channel: str, count: int) -> None:
    """Pack so many bundles."""
    for _ in range(count):
        n, _ = ledger.next_sequence(channel)
        facts = (channel, f"n{n}", "1", n, "00", 5, 1, 1, 30.0, State.QUEUED, "", "2026-01-01T00:00:00Z", "")
        ledger.add(Row(f"{channel}{n}", *facts))


@pytest.fixture
def old(config: SenderConfig, tmp_path: Path) -> Path:
    """A ledger that issued models 1, kept in ``old``, of a sender that has issued models 3 and fixes 1."""
    with closing(open_ledger(config)) as ledger:
        ledger.next_epoch()
        issue(ledger, "models", 1)
    shutil.copytree(config.state, tmp_path / "old")
    with closing(open_ledger(config)) as ledger:
        issue(ledger, "models", 2)
        shutil.copytree(config.state, tmp_path / "less-old")
        issue(ledger, "fixes", 1)
    return tmp_path / "old"


def go_back(config: SenderConfig, old: Path) -> None:
    """Restore an older state folder."""
    shutil.rmtree(config.state)
    shutil.copytree(old, config.state)


def last(config: SenderConfig) -> dict[str, int]:
    """Last numbers by channel, as a daemon finds them."""
    with closing(open_ledger(config)) as ledger:
        return ledger.sequences()


def test_each_number_and_epoch_is_anchored(config: SenderConfig) -> None:
    """Before anything can be sent under it."""
    with closing(open_ledger(config)) as ledger:
        decisions = [ledger.identity().decisions]
        for decide in (ledger.next_epoch, ledger.next_epoch, lambda: issue(ledger, "models", 1)):
            decide()
            assert guard_of(config).read() == ledger.checkpoint()
            decisions.append(ledger.identity().decisions)
    assert [1, 2, 3, 4] == decisions


def test_a_channel_beyond_what_a_heartbeat_holds_is_anchored(config: SenderConfig) -> None:
    """All of them are."""
    with closing(open_ledger(config)) as ledger:
        for n in range(70):
            issue(ledger, f"c{n}", 1)
    guard = guard_of(config).read()
    assert guard is not None
    assert 70 == len(guard.channels)


def test_the_outbox_does_not_see_the_anchor(config: SenderConfig, old: Path) -> None:
    """It lies in ``sent``, which may lie in the outbox itself."""
    outbox = config.outbox.model_copy(update={"sent": config.outbox.path / ".sent"})
    config = config.model_copy(update={"outbox": outbox})
    folder = OutboxFolder(outbox)
    open_ledger(config.model_copy(update={"state": config.state / "another"})).close()
    assert config.guard_file.exists()
    assert ([], []) == (list(folder.entries()), folder.strays())


def test_an_older_ledger_is_refused_and_goes_on_after_a_rebaseline(config: SenderConfig, old: Path) -> None:
    """No number is issued twice."""
    epoch = guard_of(config).read()
    assert epoch is not None
    go_back(config, old)
    with pytest.raises(ReplayError, match="older than it was") as refused:
        open_ledger(config)
    assert 15 == refused.value.exit_code
    done = rebaseline(config, {})
    assert (True, {"models": 3, "fixes": 1}, False, "") == done
    with closing(open_ledger(config)) as ledger:
        assert (4, None) == ledger.next_sequence("models")
        assert (2, None) == ledger.next_sequence("fixes")
        assert ledger.next_epoch() > epoch.epoch


@pytest.mark.parametrize("backup", ["old", "less-old"])
def test_an_older_backup_is_refused_after_a_rebaseline(config: SenderConfig, old: Path, backup: str) -> None:
    """The decisions of all of its pasts are outdone."""
    go_back(config, old)
    rebaseline(config, {})
    go_back(config, old.parent / backup)
    with pytest.raises(ReplayError, match="older than it was"):
        open_ledger(config)


def test_a_lost_ledger_goes_on_after_a_rebaseline(config: SenderConfig, old: Path) -> None:
    """Nothing but the numbers is known."""
    shutil.rmtree(config.state)
    with pytest.raises(ReplayError, match="missing"):
        open_ledger(config)
    rebaseline(config, {})
    assert {"models": 3, "fixes": 1} == last(config)


@pytest.mark.parametrize("harm", ["gone", "damaged"])
def test_what_no_anchor_tells_is_given_by_hand(config: SenderConfig, old: Path, harm: str) -> None:
    """A person reads it off the receiver's status."""
    go_back(config, old)
    if harm == "gone":
        config.guard_file.unlink()
    else:
        config.guard_file.write_bytes(b"{")
    done = rebaseline(config, parse_after(["models=3", "fixes=1"]))
    assert (True, {"models": 3, "fixes": 1}, harm == "damaged", "") == done
    assert {"models": 3, "fixes": 1} == last(config)


def test_numbers_never_go_back(config: SenderConfig, old: Path) -> None:
    """What is given by hand only ever raises them; the last bundle of a channel that stays is still known."""
    assert (True, {"fixes": 9}, False, "") == rebaseline(config, {"models": 2, "fixes": 9})
    with closing(open_ledger(config)) as ledger:
        assert (4, "models3") == ledger.next_sequence("models")
        assert (10, None) == ledger.next_sequence("fixes")


def test_an_anchor_in_the_state_folder_is_none(config: SenderConfig) -> None:
    """It would be put back along with the ledger."""
    with pytest.raises(UsageError, match="state folder"):
        open_ledger(config.model_copy(update={"anchor": config.state / "anchor.json"}))


def test_a_ledger_that_is_not_older_is_left_alone(config: SenderConfig, old: Path) -> None:
    """Nothing is changed."""
    before = guard_of(config).read()
    assert (False, {}, False, "") == rebaseline(config, {})
    assert guard_of(config).read() == before


@pytest.mark.parametrize("text", ["models", "models=", "models=-1", "=3", "Models=3", f"models={1 << 53}", "a=1=2"])
def test_what_is_no_number_of_a_channel_is_refused(text: str) -> None:
    """With an example."""
    with pytest.raises(UsageError, match="nothing was changed"):
        parse_after([text])


def test_nothing_is_changed_under_a_daemon(config: SenderConfig, old: Path) -> None:
    """Exit code 11."""
    with locked(config.state), pytest.raises(LockedError):
        rebaseline(config, {})
