"""Orders of people, applied by the real store: what they do, what refuses them, and that it is told."""

import os
from pathlib import Path
from unittest import mock

import pytest
from securesystemslib.signer import CryptoSigner

from diode.trust.keys import read_signer
from receiver.ledger.pointers import Recall
from receiver.messages.pipeline import DecisionRefused
from receiver.messages.use import NotLinked, Ordered, PointerMoved
from receiver.promotion.orders import FOLDER
from tests.enclave import Enclave, public_pem
from tests.receiver.promotion.promoting import (
    CHANNEL,
    NAME,
    current,
    enclave_with,
    logged,
    order,
    outcome,
    pointer,
    publish,
    shown,
    waiting,
    write,
)

CAROL, DAVE, MALLORY = (CryptoSigner.generate_ed25519() for _ in range(3))
BY_HAND = '[channels.test]\npromote = "by-hand"\n'
TWO = "[channels.test]\npromote_people = 2\n"
HOOK = '[channels.test]\nhealth = ["/bin/true"]\n'
NOW = "2026-06-01T00:00:00Z"


def with_releasers(folder: Path, config: str, versions: int = 3) -> Enclave:
    """Carol and Dave may order."""
    enclave = enclave_with(folder, config, versions)
    keys = folder / "keys" / "releasers"
    keys.mkdir()
    for name, signer in (("carol", CAROL), ("dave", DAVE)):
        (keys / f"{name}.pub").write_text(public_pem(signer))
    enclave.restart()
    return enclave


def recall(enclave: Enclave, bundle: str) -> None:
    """As an order of staging has it, once it is applied."""
    ledger = enclave.store.records.ledger
    with ledger.pointers.deciding():
        ledger.recalls.put(Recall(bundle, CHANNEL, NAME, "", NOW, "staging", "it is bad"))


def test_the_newest_is_in_use_while_nobody_has_decided(tmp_path: Path) -> None:
    """Each publication is written down before it moves the pointer, and was in use."""
    enclave = enclave_with(tmp_path)
    assert ("v3", ["v1", "v2", "v3"]) == (current(enclave), [e.version for e in logged(enclave, "current")])
    assert [True] * 3 == [one.was_current and one.is_offered for one in shown(enclave)]


def test_what_arrives_late_moves_nothing_back(tmp_path: Path) -> None:
    """A lower number is no newer version."""
    enclave = enclave_with(tmp_path, versions=0)
    for sequence in (1, 3):
        publish(enclave, sequence)
    assert "v3" == current(enclave)


def test_a_promotion_and_the_way_back(tmp_path: Path) -> None:
    """People move it; then nothing that is published does. A rollback leads to what was deployed, not to a number."""
    enclave = enclave_with(tmp_path)
    assert "applied" == outcome(enclave, order(enclave, "promote", "v1")).outcome
    assert ("v1", []) == (current(enclave), waiting(enclave))
    publish(enclave, 4)
    assert "v1" == current(enclave)
    rolled = order(enclave, "rollback", "v3")
    assert ("applied", "v3") == (outcome(enclave, rolled).outcome, current(enclave))
    (entry,) = logged(enclave, "rolled_back")
    assert ("v3", "v1 was in use: why", True) == (entry.version, entry.detail, entry.who.startswith("user "))
    assert [Ordered(rolled.id)] == enclave.said(Ordered)[-1:]
    offered = {one.version: one.is_offered for one in shown(enclave)}
    assert {"v1": True, "v2": True, "v3": True, "v4": False} == offered


def test_a_version_that_was_left_stays_reachable(tmp_path: Path) -> None:
    """It was in use, and no list shows it after a rollback."""
    enclave = enclave_with(tmp_path, versions=2)
    order(enclave, "rollback")
    left = next(one for one in shown(enclave) if one.version == "v2")
    assert (False, False, True) == (left.is_current, left.is_offered, left.was_current)


def test_the_newest_follows_again(tmp_path: Path) -> None:
    """Order ``follow`` gives the pointer back to whatever is published."""
    enclave = enclave_with(tmp_path)
    order(enclave, "promote", "v1")
    order(enclave, "follow")
    assert "v3" == current(enclave)
    publish(enclave, 4)
    assert "v4" == current(enclave)


def test_a_channel_that_is_moved_by_hand(tmp_path: Path) -> None:
    """Nothing is in use before a person says so, and the newest does not follow by itself."""
    enclave = enclave_with(tmp_path, BY_HAND)
    assert {(False, False)} == {(one.is_current, one.was_current) for one in shown(enclave)}
    order(enclave, "follow")
    assert "v3" == current(enclave)
    publish(enclave, 4)
    assert "v3" == current(enclave)


@pytest.mark.parametrize(
    ("what", "version", "reason"),
    [
        ("promote", "v9", "has no version v9"),
        ("rollback", "v1", "would lead to v2"),
        ("unpin", "v1", "is not pinned"),
        ("pin", "v9", "has no version"),
        ("recall", "", "is about one bundle"),
        ("healthy", "", "may not order this"),
    ],
)
def test_what_is_refused_changes_nothing(tmp_path: Path, what: str, version: str, reason: str) -> None:
    """It is told, written down, and its file goes."""
    enclave = enclave_with(tmp_path)
    before = pointer(enclave)
    refused = outcome(enclave, order(enclave, what, version))
    assert ("refused", True) == (refused.outcome, reason in refused.detail)
    assert (before, [], 1) == (pointer(enclave), waiting(enclave), len(logged(enclave, "order_refused")))


def test_nothing_to_go_back_to(tmp_path: Path) -> None:
    """One version alone was in use."""
    enclave = enclave_with(tmp_path, versions=1)
    refused = outcome(enclave, order(enclave, "rollback"))
    assert ("refused", True, "v1") == (refused.outcome, "nothing to go back to" in refused.detail, current(enclave))


def test_two_that_race(tmp_path: Path) -> None:
    """One wins, the other is told so."""
    enclave = enclave_with(tmp_path)
    number = pointer(enclave).number
    pair = [write(enclave, "promote", version, expects=number) for version in ("v1", "v2")]
    enclave.tick()
    said = {outcome(enclave, one).version: outcome(enclave, one) for one in pair}
    assert {"applied", "refused"} == {one.outcome for one in said.values()}
    assert "applied" == said[current(enclave)].outcome
    loser = next(one for one in said.values() if one.outcome == "refused")
    assert "was moved meanwhile" in loser.detail


@pytest.mark.parametrize(("at", "reason"), [("2199-01-01T00:00:00Z", "clocks"), ("2020-01-01T00:00:00Z", "7 days")])
def test_a_clock_that_is_wrong(tmp_path: Path, at: str, reason: str) -> None:
    """Neither what is dated ahead counts, nor what is too old."""
    enclave = enclave_with(tmp_path)
    refused = outcome(enclave, order(enclave, "promote", "v1", at=at))
    assert ("refused", True, "v3") == (refused.outcome, reason in refused.detail, current(enclave))


def test_an_order_counts_once(tmp_path: Path) -> None:
    """Whoever copies its file gives no second one."""
    enclave = enclave_with(tmp_path)
    given = write(enclave, "promote", "v1")
    path = enclave.config.state / FOLDER / f"{given.id}.dsse.json"
    copied = path.read_bytes()
    enclave.tick()
    order(enclave, "promote", "v2")
    path.write_bytes(copied)
    enclave.tick()
    assert ("v2", [], 2) == (current(enclave), waiting(enclave), len(logged(enclave, "promoted")))


def test_a_file_under_another_name_is_no_order(tmp_path: Path) -> None:
    """Else one order could be given twice at a time."""
    enclave = enclave_with(tmp_path)
    given = write(enclave, "promote", "v1")
    path = enclave.config.state / FOLDER / f"{given.id}.dsse.json"
    os.rename(path, path.with_name("0" * 16 + ".dsse.json"))
    enclave.tick()
    assert ("v3", []) == (current(enclave), waiting(enclave))
    assert 1 == len(enclave.said(DecisionRefused))


def test_two_people_say_the_same(tmp_path: Path) -> None:
    """A person counts once, and another version is another order."""
    enclave = with_releasers(tmp_path, TWO)
    first = order(enclave, "promote", "v1", CAROL)
    assert ("waits", "1 of 2 people have said so") == outcome(enclave, first)[-2:]
    again = order(enclave, "promote", "v1", CAROL)
    other = order(enclave, "promote", "v2", DAVE)
    assert ["waits"] * 3 == [outcome(enclave, one).outcome for one in (first, again, other)]
    assert "v3" == current(enclave)
    last = order(enclave, "promote", "v1", DAVE)
    assert ["applied"] * 3 == [outcome(enclave, one).outcome for one in (first, again, last)]
    assert ("v1", "carol, dave") == (current(enclave), logged(enclave, "promoted")[0].who)


def test_one_of_two_survives_a_restart(tmp_path: Path) -> None:
    """What waits is read again."""
    enclave = with_releasers(tmp_path, TWO)
    order(enclave, "promote", "v1", CAROL)
    enclave.restart()
    order(enclave, "promote", "v1", DAVE)
    assert "v1" == current(enclave)


@pytest.mark.parametrize("signers", [[MALLORY], [], [CAROL, DAVE]])
def test_strangers_move_nothing(tmp_path: Path, signers: list[CryptoSigner]) -> None:
    """Where people have keys nobody orders without one, and each signs alone; the command is told."""
    enclave = with_releasers(tmp_path, "")
    refused = outcome(enclave, order(enclave, "promote", "v1", *signers))
    assert ("refused", "", "v3") == (refused.outcome, refused.who, current(enclave))
    assert ([], 1) == (waiting(enclave), len(enclave.said(DecisionRefused)))


def test_what_is_held_quarantined_or_gone_is_not_promoted(tmp_path: Path) -> None:
    """Each says which it is."""
    enclave = enclave_with(tmp_path, '[channels.test]\nhold = 1\npromote = "by-hand"\n', versions=1)
    held = outcome(enclave, order(enclave, "promote", "v1"))
    assert ("refused", True) == (held.outcome, "is held" in held.detail)


def test_a_recalled_version_is_not_promoted(tmp_path: Path) -> None:
    """Nor does a rollback lead to it; and no snapshot says that it may be served."""
    enclave = enclave_with(tmp_path)
    recalled = next(one for one in shown(enclave) if one.version == "v2")
    recall(enclave, recalled.id)
    refused = outcome(enclave, order(enclave, "promote", "v2"))
    assert ("refused", True) == (refused.outcome, "it is bad" in refused.detail)
    order(enclave, "rollback")
    assert "v1" == current(enclave)
    (seen,) = (one for one in shown(enclave) if one.id == recalled.id)
    assert ("recalled", "it is bad", False) == (seen.state, seen.reason, seen.is_offered)


def test_files_that_a_reader_took_away_are_not_promoted(tmp_path: Path) -> None:
    """There would be nothing to serve."""
    enclave = enclave_with(tmp_path)
    (enclave.config.inbox.path / CHANNEL / NAME / "v1").rename(tmp_path / "away")
    refused = outcome(enclave, order(enclave, "promote", "v1"))
    assert ("refused", True) == (refused.outcome, "took them away" in refused.detail)


def test_what_lies_in_the_place_of_the_link_is_left_alone(tmp_path: Path) -> None:
    """The pointer moves all the same, and it is told."""
    enclave = enclave_with(tmp_path)
    link = enclave.config.inbox.path / CHANNEL / NAME / "current"
    link.unlink()
    link.write_text("a person's")
    order(enclave, "promote", "v1")
    used = pointer(enclave).current
    assert used is not None
    assert ("v1", "a person's", 1) == (used.version, link.read_text(), len(enclave.said(NotLinked)))


def test_a_hook_that_accepts(tmp_path: Path) -> None:
    """The pointer is moved already while it waits; the order is told of when the hook has answered."""
    enclave = enclave_with(tmp_path, HOOK)
    own = read_signer(enclave.config.service_key)
    given = order(enclave, "promote", "v1")
    assert ("waits", "v1") == (outcome(enclave, given).outcome, current(enclave))
    enclave.restart()
    (asked,) = enclave.said(PointerMoved)
    assert (pointer(enclave).number, "trial") == (asked.number, asked.why)
    order(enclave, "healthy", "", own, expects=asked.number)
    assert ("applied", "v1", False) == (outcome(enclave, given).outcome, current(enclave), pointer(enclave).on_trial)


def test_a_hook_that_refuses(tmp_path: Path) -> None:
    """Back to what was in use before; a person is told why, and the newest does not come back by itself."""
    enclave = enclave_with(tmp_path, HOOK)
    own = read_signer(enclave.config.service_key)
    order(enclave, "healthy", "", own, expects=pointer(enclave).number)
    given = order(enclave, "promote", "v1")
    order(enclave, "unhealthy", "", own, expects=pointer(enclave).number, reason="it answers 500")
    refused = outcome(enclave, given)
    assert ("refused", True, "v3") == (refused.outcome, "it answers 500" in refused.detail, current(enclave))
    enclave.restart()
    assert ("v3", 1) == (current(enclave), len(logged(enclave, "flipped_back")))


def test_an_answer_that_comes_too_late(tmp_path: Path) -> None:
    """It is about another version than the one in use."""
    enclave = enclave_with(tmp_path, HOOK)
    own = read_signer(enclave.config.service_key)
    first = order(enclave, "promote", "v1")
    late = pointer(enclave).number
    order(enclave, "promote", "v2")
    assert "replaced before" in outcome(enclave, first).detail
    refused = outcome(enclave, order(enclave, "unhealthy", "", own, expects=late))
    assert ("refused", "v2") == (refused.outcome, current(enclave))


def test_unhealthy_with_nothing_before(tmp_path: Path) -> None:
    """It stays in use, and that is said."""
    enclave = enclave_with(tmp_path, HOOK, versions=1)
    own = read_signer(enclave.config.service_key)
    said = outcome(enclave, order(enclave, "unhealthy", "", own, expects=pointer(enclave).number, reason="no"))
    assert ("refused", True, "v1") == (said.outcome, "stays in use" in said.detail, current(enclave))


def test_a_pin_and_its_end(tmp_path: Path) -> None:
    """It is no use of the version."""
    enclave = enclave_with(tmp_path, BY_HAND)
    order(enclave, "pin", "v1")
    assert ("v1",) == pointer(enclave).pinned
    assert not any(one.was_current for one in shown(enclave))
    order(enclave, "unpin", "v1")
    assert ((), 1, 1) == (pointer(enclave).pinned, len(logged(enclave, "pinned")), len(logged(enclave, "unpinned")))


def test_orders_of_one_moment_are_all_read(tmp_path: Path) -> None:
    """Where none of them says what it expects."""
    enclave = enclave_with(tmp_path)
    given = [write(enclave, "pin", "v1"), write(enclave, "pin", "v2"), write(enclave, "pin", "v3")]
    enclave.tick()
    assert {"applied"} == {outcome(enclave, one).outcome for one in given}
    assert {"v1", "v2", "v3"} == set(pointer(enclave).pinned)


def test_thousands_of_files_that_are_no_orders_are_refused_at_once(tmp_path: Path) -> None:
    """Each costs no transaction of its own: bundles are being received meanwhile."""
    enclave = enclave_with(tmp_path)
    folder = enclave.config.state / "orders"
    folder.mkdir(exist_ok=True)
    for number in range(300):
        (folder / f"{number:016x}.dsse.json").write_bytes(b"junk")
    records = enclave.store.records.ledger.pointers
    with mock.patch.object(records, "deciding", wraps=records.deciding) as deciding:
        given = order(enclave, "promote", "v1")
    assert ("applied", [], True) == (outcome(enclave, given).outcome, waiting(enclave), deciding.call_count < 10)
