"""Recalls in the enclave: whose count, that they come first or last, and that nothing moves by them."""

from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner

from diode.audit.chain import ALARMS, What
from diode.bundle.recall import MAX_RECALL_BYTES, RECALL_FILE, RECALL_TYPE, RecallStatement, write_recall
from diode.formats.dsse import seal
from receiver.ledger.pointers import Recall
from receiver.release.decisions import write_decision
from receiver.release.held import decide
from tests.enclave import Enclave, public_pem
from tests.link import Bundle, make_bundle
from tests.receiver.promotion.promoting import (
    ALICE,
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
)

BOB = CryptoSigner.generate_ed25519()
AT = "2026-11-28T12:00:00Z"
OF_TWO = f'[channels.{CHANNEL}]\nsigners = ["alice"]\n[channels.other]\nsigners = ["bob"]\n'


def statement(bundle: str, version: str = "v3", **changes: Any) -> RecallStatement:
    """What staging says."""
    usual = {"bundle": bundle, "channel": CHANNEL, "name": NAME, "version": version, "reason": "bad", "at": AT}
    return RecallStatement.model_validate(usual | changes)


def carrier(said: RecallStatement, *signers: CryptoSigner, sequence: int = 1, by: CryptoSigner = ALICE) -> Bundle:
    """The bundle that carries a statement; ``by`` signs the bundle, ``signers`` the statement."""
    sealed = seal(write_recall(said), RECALL_TYPE, signers or (ALICE,), MAX_RECALL_BYTES)
    return carrying({RECALL_FILE: sealed}, said.bundle, sequence, by)


def carrying(files: dict[str, bytes], bundle: str, sequence: int = 1, by: CryptoSigner = ALICE) -> Bundle:
    """A bundle of channel ``recall`` with these files."""
    place: dict[str, Any] = {"channel": "recall", "name": bundle, "version": f"2026-{sequence}"}
    return make_bundle(files, sequence=sequence, signer=by, **place)


def enclave_of(folder: Path, config: str = "", versions: int = 3) -> tuple[Enclave, list[str]]:
    """A receiver, and the ids of the versions that it has published."""
    enclave = enclave_with(folder, config, 0)
    enclave.stop()
    (folder / "keys" / "signers" / "bob.pub").write_text(public_pem(BOB))
    enclave.start()
    return enclave, [publish(enclave, sequence) for sequence in range(1, versions + 1)]


def recalls(enclave: Enclave) -> list[Recall]:
    """All that the ledger has."""
    return enclave.store.records.ledger.pointers.recalls()


def states(enclave: Enclave) -> dict[str, str]:
    """What the gateway is shown of each version."""
    return {one.version: one.state for one in shown(enclave)}


def test_a_recall_from_staging_takes_effect(tmp_path: Path) -> None:
    """It is in the log first, as an alarm; nothing moves; the gateway is shown the reason."""
    enclave, ids = enclave_of(tmp_path / "r")
    enclave.take(carrier(statement(ids[2])))
    (recall,) = recalls(enclave)
    assert (ids[2], "bad", "") == (recall.bundle, recall.reason, recall.undone)
    assert recall.who.startswith("staging: ")
    (entry,) = logged(enclave, "recalled")
    assert (ids[2], CHANNEL, "v3", True) == (entry.bundle, entry.channel, entry.version, What.RECALLED in ALARMS)
    assert ALICE.public_key.keyid == entry.key
    assert "v3" == current(enclave)
    assert {"v1": "published", "v2": "published", "v3": "recalled"} == states(enclave)
    assert "bad" == next(one.reason for one in shown(enclave) if one.version == "v3")
    assert (enclave.config.inbox.path / "recall" / ids[2] / "2026-1" / "data" / RECALL_FILE).exists()


def test_a_recall_that_comes_first_is_remembered(tmp_path: Path) -> None:
    """What arrives then is published, and is recalled from the first moment: it never comes into use by itself."""
    enclave, _ = enclave_of(tmp_path / "r", versions=2)
    place: dict[str, Any] = {"channel": CHANNEL, "name": NAME, "version": "v3"}
    late = make_bundle({"a": b"content 3", "b": b"same"}, sequence=3, signer=ALICE, **place)
    enclave.take(carrier(statement(f"{late.number:016x}")))
    assert "not arrived" in str(logged(enclave, "recalled")[0].detail)
    enclave.restart()
    enclave.take(late)
    assert ("v2", "recalled") == (current(enclave), states(enclave)["v3"])
    assert not next(one for one in shown(enclave) if one.version == "v3").was_current
    enclave.restart()
    assert "v2" == current(enclave)


def test_what_is_not_recalled_any_more_comes_into_use(tmp_path: Path) -> None:
    """As if it had been published just now, since nobody has decided otherwise; at once, not at the next start."""
    enclave, _ = enclave_of(tmp_path / "r", versions=2)
    place: dict[str, Any] = {"channel": CHANNEL, "name": NAME, "version": "v3"}
    late = make_bundle({"a": b"content 3", "b": b"same"}, sequence=3, signer=ALICE, **place)
    enclave.take(carrier(statement(f"{late.number:016x}")))
    enclave.take(late)
    given = order(enclave, "undo-recall", "v3", bundles=[f"{late.number:016x}"])
    assert ("applied", "v3", "published") == (outcome(enclave, given).outcome, current(enclave), states(enclave)["v3"])
    assert 1 == len(logged(enclave, "recall_undone"))


def test_another_channels_people_recall_nothing(tmp_path: Path) -> None:
    """They may sign the bundle that carries it; the statement itself needs the recalled channel's people."""
    enclave, ids = enclave_of(tmp_path / "r", OF_TWO)
    bundle = carrier(statement(ids[2]), BOB, by=BOB)
    enclave.take(bundle)
    assert ([], "published") == (recalls(enclave), states(enclave)["v3"])
    assert "refused" == enclave.store.records.ledger.bundles.get(f"{bundle.number:016x}").state  # type: ignore[union-attr]
    assert "may not sign for channel test" in str(logged(enclave, "refused")[0].detail)
    enclave.take(carrier(statement(ids[2]), ALICE, sequence=2, by=BOB))
    assert "recalled" == states(enclave)["v3"]


def test_as_many_people_must_sign_as_sign_bundles(tmp_path: Path) -> None:
    """One of two is not enough, and the same two are."""
    enclave, ids = enclave_of(tmp_path / "r", versions=1)
    enclave.stop()
    with (tmp_path / "r" / "receiver.toml").open("a") as file:
        file.write(f"[channels.{CHANNEL}]\nsignatures = 2\n")
    enclave.start()
    enclave.take(carrier(statement(ids[0], "v1"), ALICE))
    assert [] == recalls(enclave)
    enclave.take(carrier(statement(ids[0], "v1"), ALICE, BOB, sequence=2))
    assert 1 == len(recalls(enclave))


@pytest.mark.parametrize(
    "changes", [{"name": "another"}, {"version": "v1"}, {"channel": "other"}], ids=["name", "version", "channel"]
)
def test_a_statement_that_contradicts_the_ledger_is_refused(tmp_path: Path, changes: dict[str, str]) -> None:
    """It names one bundle by its id and another by its place."""
    enclave, ids = enclave_of(tmp_path / "r")
    enclave.take(carrier(statement(ids[2], **changes)))
    assert ([], "published") == (recalls(enclave), states(enclave)["v3"])
    assert "and that bundle is test/thing/v3 here" in str(logged(enclave, "refused")[0].detail)


def test_nobody_takes_back_in_advance_what_is_not_theirs(tmp_path: Path) -> None:
    """A statement about an id of another channel is dropped when that bundle arrives; the lawful one stays."""
    enclave, _ = enclave_of(tmp_path / "r", OF_TWO, versions=2)
    place: dict[str, Any] = {"channel": CHANNEL, "name": NAME, "version": "v3"}
    late = make_bundle({"a": b"content 3"}, sequence=3, signer=ALICE, **place)
    forged = statement(f"{late.number:016x}", channel="other")
    enclave.take(carrier(forged, BOB, by=BOB))
    assert 1 == len(recalls(enclave))
    enclave.take(late)
    assert ([], "published", "v3") == (recalls(enclave), states(enclave)["v3"], current(enclave))
    assert "it named other/thing/v3" in str(logged(enclave, "recall_undone")[0].detail)
    after = make_bundle({"a": b"content 4"}, sequence=4, signer=ALICE, **place | {"version": "v4"})
    enclave.take(carrier(statement(f"{after.number:016x}", "v4", reason="lawful"), ALICE, sequence=2))
    enclave.take(carrier(statement(f"{after.number:016x}", "v4", channel="other"), BOB, sequence=3, by=BOB))
    enclave.take(after)
    assert ["lawful"] == [one.reason for one in recalls(enclave)]
    assert ("recalled", "v3") == (states(enclave)["v4"], current(enclave))


@pytest.mark.parametrize(
    "files",
    [
        {"other": b"x"},
        {RECALL_FILE: b"x"},
        {RECALL_FILE: b"{}" * MAX_RECALL_BYTES},
        {RECALL_FILE: seal(b"{}", RECALL_TYPE, [ALICE], MAX_RECALL_BYTES)},
        {RECALL_FILE: seal(b"{}", RECALL_TYPE, [CryptoSigner.generate_ed25519()], MAX_RECALL_BYTES)},
        {RECALL_FILE: seal(b"{}", RECALL_TYPE, [], MAX_RECALL_BYTES)},
        {f"{RECALL_FILE}/x": b"x"},
    ],
    ids=["no file", "no envelope", "too long", "no statement", "a stranger's", "unsigned", "a folder"],
)
def test_what_is_no_recall_is_refused(tmp_path: Path, files: dict[str, bytes]) -> None:
    """As any bundle that breaks the rules, and nothing is recalled."""
    enclave, ids = enclave_of(tmp_path / "r", versions=1)
    bundle = carrying(files, ids[0])
    enclave.take(bundle)
    row = enclave.store.records.ledger.bundles.get(f"{bundle.number:016x}")
    assert (True, "refused", []) == (row is not None, row.state if row else "", recalls(enclave))
    assert 1 == len(logged(enclave, "refused"))


def test_a_statement_takes_effect_once(tmp_path: Path) -> None:
    """Taken back, it does not come back in another bundle. A new one does."""
    enclave, ids = enclave_of(tmp_path / "r")
    enclave.take(carrier(statement(ids[2])))
    given = order(enclave, "undo-recall", "v3", bundles=[ids[2]])
    assert "applied" == outcome(enclave, given).outcome
    enclave.take(carrier(statement(ids[2]), sequence=2))
    assert "published" == states(enclave)["v3"]
    enclave.take(carrier(statement(ids[2], at="2026-11-28T13:00:00Z"), sequence=3))
    assert "recalled" == states(enclave)["v3"]


def test_people_of_the_enclave_recall_and_take_it_back(tmp_path: Path) -> None:
    """By orders; current stays where it is, and the rest is said why not."""
    enclave, ids = enclave_of(tmp_path / "r")
    given = order(enclave, "recall", "v3", bundles=[ids[2]])
    assert ("applied", "recalled", "v3") == (outcome(enclave, given).outcome, states(enclave)["v3"], current(enclave))
    assert logged(enclave, "recalled")[0].who.startswith("user ")
    for what, fields, why in (
        ("recall", {"bundles": [ids[2]]}, "recalled already"),
        ("recall", {"bundles": [ids[1]]}, "not what the order says"),
        ("recall", {"bundles": ["00000000000000aa"]}, "one bundle that arrived"),
        ("recall", {"bundles": []}, "one bundle that arrived"),
        ("recall", {"bundles": [ids[1]], "version": "v2", "reason": ""}, "1 to 300"),
        ("undo-recall", {"bundles": [ids[1]], "version": "v2"}, "is not recalled"),
    ):
        version = str(fields.pop("version", "v3"))
        refused = outcome(enclave, order(enclave, what, version, **fields))
        assert ("refused", True) == (refused.outcome, why in refused.detail), refused.detail
    refused = outcome(enclave, order(enclave, "promote", "v3"))
    assert "is recalled" in refused.detail
    given = order(enclave, "undo-recall", "v3", bundles=[ids[2]])
    assert ("applied", "published") == (outcome(enclave, given).outcome, states(enclave)["v3"])
    assert 3 == pointer(enclave).number


def test_a_recalled_bundle_that_is_held_stays_held(tmp_path: Path) -> None:
    """Nobody releases it, until people take the recall back; then what they said counts again."""
    enclave, _ = enclave_of(tmp_path / "r", f"[channels.{CHANNEL}]\nhold = 1\n", versions=0)
    bundle = publish(enclave, 1)
    row = enclave.store.records.ledger.bundles.get(bundle)
    assert row is not None
    assert "held" == row.state
    enclave.take(carrier(statement(bundle, "v1")))
    write_decision(enclave.config.state, decide(bundle, row.content, "accept", "fine", AT), [])
    enclave.tick()
    enclave.tick()
    state = enclave.store.records.ledger.bundles.get(bundle)
    assert "held" == (state.state if state else "")
    order(enclave, "undo-recall", "v1", bundles=[bundle])
    enclave.tick()
    enclave.tick()
    assert {"v1": "published"} == states(enclave)
