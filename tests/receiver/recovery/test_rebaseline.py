"""A receiver's ledger that went back in time is noticed, and set right by what the inbox and the rollback guard say."""

import errno
import json
import os
import shutil
from collections import Counter
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from diode.audit.verify import entries_of
from diode.config.init import init_receiver
from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.errors import FullError, LockedError, NumberError, ReplayError, StorageError
from diode.protocol.auth import DatagramViews, Session
from diode.protocol.gate import Gate
from diode.protocol.heartbeat import Heartbeat, HeartbeatSealer
from diode.protocol.link_order import LinkOrder
from diode.storage.locking import locked
from diode.trust.keys import new_link_key, read_link_key
from receiver.ledger.ledgers import StoreLedger
from receiver.ledger.states import State
from receiver.recovery.rebaseline import guard_of, open_ledger, open_supervisor_ledger, rebaseline, reset_order
from tests.link import Bundle, make_bundle

FAR = (1 << 63) - 1
BUNDLES = {n: make_bundle({"a": b"x" * n}, sequence=n) for n in range(1, 6)}


@pytest.fixture
def config(tmp_path: Path) -> ReceiverConfig:
    """A receiver that never ran."""
    init_receiver(tmp_path, listen="127.0.0.1:9", auth="gmac", link_key=new_link_key(), public=None)
    (tmp_path / "inbox" / ".diode").mkdir()
    return load(ReceiverConfig, tmp_path / "receiver.toml")


@pytest.fixture
def old(config: ReceiverConfig, tmp_path: Path) -> Path:
    """A ledger that knows bundle 1, kept in ``old``, and 2, in ``less-old``, of a receiver that has published 4 too."""
    with closing(open_ledger(config)) as ledger:
        publish(config, ledger, 1)
    shutil.copytree(config.state, tmp_path / "old")
    with closing(open_ledger(config)) as ledger:
        hear(config, "a" * 64, LinkOrder(100, 7))
        publish(config, ledger, 2)
    shutil.copytree(config.state, tmp_path / "less-old")
    with closing(open_ledger(config)) as ledger:
        publish(config, ledger, 4)
    return tmp_path / "old"


def hex_id(n: int) -> str:
    """A bundle's id."""
    return f"{BUNDLES[n].number:016x}"


def publish(config: ReceiverConfig, ledger: StoreLedger, n: int) -> None:
    """As ``store`` does."""
    bundle: Bundle = BUNDLES[n]
    ledger.bundles.accept(hex_id(n), bundle.manifest, "signer")
    ledger.bundles.set_state(hex_id(n), State.PUBLISHING)
    folder = config.inbox.path / "test" / "bundle" / str(n)
    folder.mkdir(parents=True)
    facts = {"channel": "test", "name": "bundle", "version": str(n), "sequence": n, "signer": "signer"}
    sizes = {"files": 1, "bytes": n, "slabs": 1, "content": bundle.manifest.files.blake3}
    more = {"verify": "slabs", "published": "2026-01-01T00:00:00Z"}
    (folder / "receipt.json").write_text(json.dumps(facts | sizes | more | {"bundle": hex_id(n)}))
    ledger.bundles.set_state(hex_id(n), State.PUBLISHED)


def hear(config: ReceiverConfig, key: str, order: LinkOrder) -> None:
    """As the supervisor does."""
    with closing(open_supervisor_ledger(config)) as ledger:
        ledger.peer.note_order(key, order)


def full(*_: object) -> None:
    """A disk that takes nothing."""
    raise OSError(errno.ENOSPC, "full", "audit")


def go_back(config: ReceiverConfig, old: Path) -> None:
    """Restore an older state folder."""
    shutil.rmtree(config.state)
    shutil.copytree(old, config.state)


def states(config: ReceiverConfig) -> dict[int, str]:
    """What the ledger knows, by sequence number."""
    with closing(StoreLedger(config.state / "ledger.db", read_only=True)) as ledger:
        return {row.sequence: row.state for row in ledger.bundles.recent(99)}


def test_it_is_written_down(config: ReceiverConfig, old: Path) -> None:
    """In the audit log, before the ledger changes; an entry that cannot be written leaves it as it is."""
    go_back(config, old)
    before = states(config)
    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(os, "pwrite", full)
        with pytest.raises(FullError):
            rebaseline(config)
    assert before == states(config)
    rebaseline(config)
    [entry] = entries_of(config.audit_folder)
    assert ("rebaselined", True) == (entry.what, "2 bundles taken from receipts" in (entry.detail or ""))


def test_the_very_first_start_is_silent(config: ReceiverConfig, capsys: pytest.CaptureFixture[str]) -> None:
    """Ledger and rollback guard are made."""
    with closing(open_ledger(config)) as ledger:
        assert guard_of(config).read() == ledger.checkpoint()
    assert "" == capsys.readouterr().out


def test_a_ledger_that_kept_up_goes_on(config: ReceiverConfig, old: Path) -> None:
    """Restarted, and also when its rollback guard did not hear of the last step."""
    open_ledger(config).close()
    with closing(StoreLedger(config.state / "ledger.db")) as ledger:
        ledger.bundles.accept(hex_id(5), BUNDLES[5].manifest, "signer")
        ledger.bundles.set_state(hex_id(5), State.PUBLISHING)
    open_ledger(config).close()


def test_an_anchor_that_was_lost_is_written_anew(
    config: ReceiverConfig, old: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a warning."""
    config.guard_file.unlink()
    with closing(open_ledger(config)) as ledger:
        assert guard_of(config).read() == ledger.checkpoint()
    assert "rollback_guard_missing" in capsys.readouterr().out


def test_an_older_ledger_is_refused(config: ReceiverConfig, old: Path) -> None:
    """By its rollback guard, with exit code 15; trying again changes nothing."""
    go_back(config, old)
    for _ in range(2):
        with pytest.raises(ReplayError, match="older than it was") as refused:
            open_ledger(config)
    assert 15 == refused.value.exit_code


def test_a_lost_ledger_is_refused_and_none_is_made(config: ReceiverConfig, old: Path) -> None:
    """Whoever starts it again is told the same."""
    shutil.rmtree(config.state)
    with pytest.raises(ReplayError, match="the ledger is missing"):
        open_ledger(config)
    assert not config.state.exists()


def test_another_ledger_is_refused(config: ReceiverConfig, old: Path) -> None:
    """One that was made since, with however many decisions."""
    shutil.rmtree(config.state)
    with closing(StoreLedger(config.state / "ledger.db")) as ledger:
        ledger._outdo(1000)
    with pytest.raises(ReplayError, match="another ledger"):
        open_ledger(config)


def test_receipts_tell_when_the_anchor_went_back_as_well(config: ReceiverConfig, old: Path) -> None:
    """Whoever restores a whole machine, and not the inbox."""
    go_back(config, old)
    config.guard_file.unlink()
    with pytest.raises(ReplayError, match=r"does not know 2 bundles.*test/bundle/2.*rebaseline"):
        open_ledger(config)
    with pytest.raises(ReplayError, match="does not know 2 bundles"):
        open_ledger(config)


@pytest.mark.parametrize("guard", ["whole", "gone", "damaged"])
def test_rebaseline_takes_what_lies_in_the_inbox(config: ReceiverConfig, old: Path, guard: str) -> None:
    """As published, with its content for confirm codes; what was never published is named."""
    with closing(StoreLedger(config.state / "ledger.db", read_only=True)) as ledger:
        was = ledger.bundles.get(hex_id(4))
    go_back(config, old)
    if guard == "gone":
        config.guard_file.unlink()
    elif guard == "damaged":
        config.guard_file.write_bytes(b"{")
    done = rebaseline(config)
    assert (True, ["test/bundle/2", "test/bundle/4"], {"test": 4}, {"test": [(3, 3)]}, []) == done[:5]
    assert (guard == "damaged") == done.is_blind
    assert {1: "published", 2: "published", 4: "published"} == states(config)
    with closing(open_ledger(config)) as ledger:
        now = ledger.bundles.get(hex_id(4))
        assert was is not None
        assert now is not None
        assert (was.content, was.size, was.signer) == (now.content, now.size, now.signer)
        assert {} == ledger.peer.link_orders()
        ledger.bundles.accept(hex_id(5), BUNDLES[5].manifest, "signer")
    assert not rebaseline(config).changed


def test_what_was_taken_away_is_not_published_again(config: ReceiverConfig, old: Path) -> None:
    """The rollback guard says how far the numbers had come; whatever is not known up to there is spent."""
    shutil.rmtree(config.inbox.path / "test")
    go_back(config, old)
    done = rebaseline(config)
    assert ([], {"test": 4}, {"test": [(2, 4)]}) == (done.taken, done.spent, done.unknown)
    with closing(open_ledger(config)) as ledger:
        with closing(open_supervisor_ledger(config)) as supervisors:
            supervisors.peer.note_high_watermarks({"test": 5})
        assert [("test", 5, "")] == ledger.gaps.told((), 9, 9)
        for n in (2, 3, 4):
            with pytest.raises(ReplayError, match="rebaselined at 4"):
                ledger.bundles.accept(hex_id(n), BUNDLES[n].manifest, "signer")
        ledger.bundles.accept(hex_id(5), BUNDLES[5].manifest, "signer")


def test_numbers_may_not_jump_from_where_all_was_lost(config: ReceiverConfig, old: Path) -> None:
    """The floor is where a channel goes on."""
    shutil.rmtree(config.state)
    shutil.rmtree(config.inbox.path / "test")
    assert {"test": 4} == rebaseline(config).spent
    far = make_bundle({"a": b"far"}, sequence=10_005)
    with closing(open_ledger(config)) as ledger, pytest.raises(NumberError, match="more than 10000 ahead"):
        ledger.bundles.accept("f" * 16, far.manifest, "signer")


def test_a_bundle_that_was_being_received_is_published_now(config: ReceiverConfig, old: Path) -> None:
    """The older ledger's slabs of it are forgotten."""
    with closing(StoreLedger(old / "ledger.db")) as ledger:
        ledger.bundles.accept(hex_id(2), BUNDLES[2].manifest, "signer")
        ledger.slabs.stored(hex_id(2), 0)
    go_back(config, old)
    rebaseline(config)
    assert "published" == states(config)[2]
    with closing(open_ledger(config)) as ledger:
        assert 0 == ledger.slabs.count(hex_id(2))


def test_a_receipt_whose_number_is_taken_counts_as_refused(config: ReceiverConfig, old: Path) -> None:
    """Neither row is lost, and the daemon starts."""
    path = config.inbox.path / "test" / "bundle" / "2" / "receipt.json"
    other = json.loads(path.read_text()) | {"bundle": "0" * 15 + "1", "version": "other"}
    copy = config.inbox.path / "test" / "bundle" / "other"
    copy.mkdir()
    (copy / "receipt.json").write_text(json.dumps(other))
    assert ["test/bundle/other"] == rebaseline(config).taken
    with closing(open_ledger(config)) as ledger:
        rows = {row.version: row for row in ledger.bundles.recent(99)}
        assert ("published", "refused") == (rows["2"].state, rows["other"].state)
        assert "another bundle has its number" in rows["other"].detail


def test_a_ledger_that_is_not_older_is_left_alone(config: ReceiverConfig, old: Path) -> None:
    """Nothing is spent, nothing is taken."""
    with closing(open_ledger(config)) as ledger:
        before = ledger.checkpoint()
    assert not rebaseline(config).changed
    with closing(open_ledger(config)) as ledger:
        assert ledger.checkpoint() == before
        ledger.bundles.accept(hex_id(3), BUNDLES[3].manifest, "signer")


@pytest.mark.parametrize("backup", ["old", "less-old"])
def test_an_older_backup_is_refused_after_a_rebaseline(config: ReceiverConfig, old: Path, backup: str) -> None:
    """The decisions of all of its pasts are outdone, also where there was little to take up."""
    shutil.rmtree(config.inbox.path / "test")
    go_back(config, old)
    rebaseline(config)
    go_back(config, old.parent / backup)
    with pytest.raises(ReplayError, match="older than it was"):
        open_ledger(config)


def test_slabs_that_a_copy_has_are_hashed_again(config: ReceiverConfig, tmp_path: Path) -> None:
    """The spool may hold something else by the time it is used."""
    with closing(open_ledger(config)) as ledger:
        ledger.slabs.stored(hex_id(1), 0)
        ledger.copy_to(tmp_path / "copy.db")
        assert ([0], []) == ledger.slabs.kept(hex_id(1))
    with closing(StoreLedger(tmp_path / "copy.db", read_only=True)) as copy:
        assert ([], [0]) == copy.slabs.kept(hex_id(1))


def test_nothing_is_changed_under_a_daemon(config: ReceiverConfig, old: Path) -> None:
    """Exit code 11."""
    with locked(config.state), pytest.raises(LockedError):
        rebaseline(config)


def test_what_is_decided_is_anchored_before_anybody_can_see_it(config: ReceiverConfig) -> None:
    """Publishing and refusing; without a rollback guard there is no decision."""
    with closing(open_ledger(config)) as ledger:
        ledger.bundles.accept(hex_id(1), BUNDLES[1].manifest, "signer")
        ledger.bundles.set_state(hex_id(1), State.PUBLISHING)
        assert guard_of(config).read() == ledger.checkpoint()
        ledger.bundles.refuse(hex_id(2), BUNDLES[2].manifest, "signer", "why")
        assert guard_of(config).read() == ledger.checkpoint()
        assert {"test": 1} == ledger.checkpoint().channels
        shutil.rmtree(config.guard_file.parent)
        ledger.bundles.accept(hex_id(3), BUNDLES[3].manifest, "signer")
        with pytest.raises(StorageError, match="the ledger is kept"):
            ledger.bundles.set_state(hex_id(3), State.PUBLISHING)


def test_a_person_sets_the_order_of_heartbeats_back(config: ReceiverConfig) -> None:
    """Of the keys that are held, written down; what was spent and published stays as it is."""
    key = read_link_key(config.link.key).fingerprint
    with closing(open_ledger(config)) as ledger:
        publish(config, ledger, 2)
        for other in (key, "f" * 64):
            hear(config, other, LinkOrder(FAR, FAR, has_mac=True, has_spoken=True))
    with locked(config.state), pytest.raises(LockedError):
        reset_order(config, 5)
    assert [f"{read_link_key(config.link.key).key_id:04x}"] == reset_order(config, 5)
    with closing(open_ledger(config)) as ledger:
        orders = ledger.peer.link_orders()
        assert LinkOrder(5, -1, has_mac=False, has_spoken=True) == orders[key]
        assert FAR == orders["f" * 64].epoch
        with pytest.raises(ReplayError):
            ledger.bundles.accept(hex_id(3), make_bundle({"b": b"other"}, sequence=2).manifest, "signer")
    last = [entry for entry in entries_of(config.audit_folder) if entry.what == "rebaselined"]
    assert "heartbeats of epoch 5 and later" in str(last[-1].detail)
    gate = Gate([read_link_key(config.link.key)], "gmac", Counter(), orders)
    sender = HeartbeatSealer(read_link_key(config.link.key), Session(read_link_key(config.link.key), 1, "gmac"), 448)
    for epoch, number, heard in ((4, 1, 0), (5, 2, 1)):
        beat = Heartbeat(epoch=epoch, number=number, clock=0, sessions={}, channels={}, bundles=[])
        matrix = np.frombuffer(bytearray(sender.seal_mac(beat)), np.uint8).reshape(1, -1)
        gate.admit(matrix, DatagramViews(memoryview(matrix.reshape(-1)), matrix.shape[1], 1), 1.0)
        assert heard == gate.heartbeats


def test_an_epoch_in_an_anchor_deafens_nobody(config: ReceiverConfig, old: Path) -> None:
    """Earlier versions wrote there what they had heard, which nobody had signed."""
    poisoned = guard_of(config).read()
    assert poisoned is not None
    assert 0 == poisoned.epoch
    guard_of(config).write(poisoned.model_copy(update={"epoch": FAR}))
    with closing(open_ledger(config)) as ledger:
        assert {} == {key: order for key, order in ledger.peer.link_orders().items() if order.epoch == FAR}
    go_back(config, old)
    assert rebaseline(config).changed
    with closing(open_ledger(config)) as ledger:
        assert {} == ledger.peer.link_orders()
        assert 0 == ledger.checkpoint().epoch
