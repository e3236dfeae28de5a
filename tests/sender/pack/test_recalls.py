"""Recalls on the sending side: who may sign one, how many must, and how it comes into the outbox once."""

import json
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner

from diode.audit.log import AuditLog
from diode.bundle.recall import MAX_RECALL_BYTES, RECALL_TYPE, read_recall
from diode.config.init import init_pair
from diode.config.load import load
from diode.config.sender import SenderConfig
from diode.errors import SourceError, TrustError, UsageError
from diode.formats.dsse import load_signer, read_envelope, valid_keys
from diode.trust.keys import new_signing_key, read_signer
from sender.ledger import Ledger, Row, State
from sender.pack.recalls import FOLDER, Recalls, find_recallable

AT = "2026-11-28T12:00:00Z"


def row(bundle: str = "00000000000000aa", state: State = State.SENT, channel: str = "models") -> Row:
    """A bundle of the ledger."""
    rest = {"content": "c" * 64, "size": 1, "files": 1, "passes": 1, "pass_delay_s": 0.0, "detail": "", "created": AT}
    number = int(bundle[-8:], 16)
    return Row(bundle, channel, "item", bundle, number, state=state, origin="", **rest)  # type: ignore[arg-type]


def config_of(folder: Path, approvals: int = 0) -> SenderConfig:
    """The settings of a sender."""
    init_pair(folder, to="127.0.0.1:7001", listen="127.0.0.1:7002", mtu=1500, rate=10**6, profile="clean", auth="gmac")
    toml = folder / "sender/sender.toml"
    toml.write_text(toml.read_text() + f"[channels.models]\napprovals = {approvals}\n")
    return load(SenderConfig, toml)


def people(config: SenderConfig, *names: str) -> list[CryptoSigner]:
    """Approvers, by their keys."""
    config.send.approvers.mkdir(parents=True, exist_ok=True)
    signers = []
    for name in names:
        private, public = new_signing_key()
        (config.send.approvers / f"{name}.pub").write_bytes(public)
        signers.append(load_signer(private))
    return signers


def recalls_of(config: SenderConfig) -> Recalls:
    """Those of a sender."""
    return Recalls(config, AuditLog(config.audit_folder, "sender", None))


def items(config: SenderConfig) -> list[str]:
    """What lies in the outbox, channel ``recall``."""
    return sorted(path.name for path in (config.outbox.path / "recall").glob("*"))


def said(config: SenderConfig) -> list[str]:
    """What the audit log says of signatures, without the reason."""
    lines = [json.loads(line) for path in config.audit_folder.glob("*.jsonl") for line in path.open()]
    return [line["detail"].partition(":")[0] for line in lines if line["what"] == "recall_signed"]


def test_the_daemons_key_is_enough_where_it_signs(tmp_path: Path) -> None:
    """One command, and the recall lies in the outbox under a name that says what it is about."""
    config, bundle = config_of(tmp_path), row()
    recalls = recalls_of(config)
    signed = recalls.sign(bundle, recalls.propose(bundle, "stolen key", AT).statement, None)
    assert signed.is_enough
    assert ["00000000000000aa@20261128T120000Z"] == items(config)
    sealed = (config.outbox.path / "recall" / items(config)[0] / "recall.dsse.json").read_bytes()
    envelope = read_envelope(sealed, RECALL_TYPE, MAX_RECALL_BYTES)
    assert list(valid_keys(envelope, [read_signer(config.send.key).public_key]))
    statement = read_recall(envelope.payload)
    assert (bundle.id, "models", "item", bundle.version) == statement.place
    assert "stolen key" == statement.reason
    assert ["signed by the daemon (1 of 1)"] == said(config)
    assert recalls.pending(bundle) is None


def test_two_people_sign_one_statement(tmp_path: Path) -> None:
    """The second gives no reason, and the same person twice is one person."""
    config, bundle = config_of(tmp_path, approvals=2), row()
    alice, bob = people(config, "alice", "bob")
    recalls = recalls_of(config)
    first = recalls.sign(bundle, recalls.propose(bundle, "stolen key", AT).statement, alice)
    assert (False, ("alice",), []) == (first.is_enough, first.persons, items(config))
    again = recalls.sign(bundle, recalls.propose(bundle, None, "2026-11-28T13:00:00Z").statement, alice)
    assert (False, ("alice",)) == (again.is_enough, again.persons)
    second = recalls.sign(bundle, recalls.propose(bundle, None, "2026-11-28T13:00:00Z").statement, bob)
    assert (True, ("alice", "bob"), AT) == (second.is_enough, second.persons, second.statement.at)
    assert 1 == len(items(config))
    assert ["signed by alice (1 of 2)", "signed by nobody new (1 of 2)", "signed by bob (2 of 2)"] == said(config)


def test_only_approvers_recall_what_people_sign(tmp_path: Path) -> None:
    """No stranger's key, and not the daemon's; and nothing waits afterwards."""
    config, bundle = config_of(tmp_path, approvals=1), row()
    people(config, "alice")
    recalls = recalls_of(config)
    statement = recalls.propose(bundle, "why", AT).statement
    with pytest.raises(TrustError, match="is no approver's"):
        recalls.sign(bundle, statement, load_signer(new_signing_key()[0]))
    with pytest.raises(UsageError, match="give --key"):
        recalls.sign(bundle, statement, None)
    assert (None, []) == (recalls.pending(bundle), items(config))


def test_a_persons_key_is_not_asked_for_where_the_daemon_signs(tmp_path: Path) -> None:
    """The enclave may not know it for that channel."""
    config, bundle = config_of(tmp_path), row()
    recalls = recalls_of(config)
    with pytest.raises(UsageError, match="leave --key out"):
        recalls.sign(bundle, recalls.propose(bundle, "why", AT).statement, load_signer(new_signing_key()[0]))


def test_two_reasons_are_not_mixed(tmp_path: Path) -> None:
    """Who signs with another reason is told which one waits; a new one without a reason is none."""
    config, bundle = config_of(tmp_path, approvals=2), row()
    (alice,) = people(config, "alice")
    recalls = recalls_of(config)
    with pytest.raises(UsageError, match="say why"):
        recalls.propose(bundle, None, AT)
    with pytest.raises(UsageError, match="printable"):
        recalls.propose(bundle, "a\nb", AT)
    recalls.sign(bundle, recalls.propose(bundle, "first", AT).statement, alice)
    with pytest.raises(UsageError, match="with the reason 'first'"):
        recalls.propose(bundle, "second", AT)


def test_a_recall_that_was_put_in_another_place_is_not_signed(tmp_path: Path) -> None:
    """Whoever can write into the state folder cannot have one bundle's recall signed as another's."""
    config = config_of(tmp_path, approvals=2)
    (alice,) = people(config, "alice")
    recalls, one, other = recalls_of(config), row(), row("00000000000000bb")
    recalls.sign(one, recalls.propose(one, "why", AT).statement, alice)
    (path,) = (config.state / FOLDER).iterdir()
    path.rename(path.with_name(path.name.replace(one.id, other.id)))
    with pytest.raises(SourceError, match="about another bundle"):
        recalls.propose(other, None, AT)


def test_an_outbox_that_cannot_be_written_loses_no_signature(tmp_path: Path) -> None:
    """The last signature is kept, and the same command sends the recall later."""
    config, bundle = config_of(tmp_path, approvals=1), row()
    (alice,) = people(config, "alice")
    recalls = recalls_of(config)
    config.outbox.path.mkdir(exist_ok=True)
    (config.outbox.path / "recall").write_text("in the way")
    statement = recalls.propose(bundle, "why", AT).statement
    with pytest.raises(UsageError, match="the signature is kept"):
        recalls.sign(bundle, statement, alice)
    (config.outbox.path / "recall").unlink()
    assert recalls.sign(bundle, recalls.propose(bundle, None, AT).statement, alice).is_enough
    assert 1 == len(items(config))


def test_a_bundle_is_found_by_the_beginning_of_its_id(tmp_path: Path) -> None:
    """Exactly one, which left or may have left; neither a recall nor a trust document."""
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.add(row("aa00000000000001"))
    ledger.add(row("aa00000000000002", State.UNAPPROVED))
    ledger.add(row("bb00000000000001", channel="recall"))
    assert "aa00000000000001" == find_recallable(ledger, "AA00000000000001").id
    for text, match in {"aa": "several", "aa00000000000002": "never sent", "bb": "cannot", "": "none was"}.items():
        with pytest.raises(UsageError, match=match):
            find_recallable(ledger, text)
    ledger.close()
