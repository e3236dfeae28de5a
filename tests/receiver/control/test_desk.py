"""What a person asks of the running receiver, and what is in the audit log before it is done."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner

from diode.audit.facts import unix_user
from diode.audit.log import AuditLog
from diode.audit.segments import segments
from diode.errors import MessageError, StorageError, UsageError
from diode.process.peer import Peer
from receiver.control.desk import Desk
from receiver.control.picture import Picture
from receiver.control.retrying import Retrying
from receiver.control.words import Retry, Status
from receiver.ledger.ledgers import LedgerView, SupervisorLedger
from receiver.peer.dismissing import Dismissing
from tests.enclave import Enclave
from tests.link import Bundle, make_bundle

ALICE = CryptoSigner.generate_ed25519()
PEER = Peer(1, 0)


class Scanner:
    """Scans of held bundles."""

    def __init__(self) -> None:
        self.failed: set[str] = set()
        self.asked: list[str] = []

    def has_failed(self, bundle: str) -> bool:
        return bundle in self.failed

    def again(self, bundle: str) -> None:
        self.asked.append(bundle)


class Bench:
    """An enclave, and the desk of its supervisor."""

    def __init__(self, folder: Path) -> None:
        config = '[channels.scanned]\nscan = ["/bin/true"]\n[channels.people]\nhold = 1\n'
        self.enclave = Enclave(folder, {"alice.pub": ALICE}, config)
        self.ledger = LedgerView(self.enclave.config.state / "ledger.db")
        self.scanner = Scanner()
        self.audit = AuditLog(folder / "desk", "receiver", None)
        picture = Picture("host:1", dict, list)
        dismissing = Dismissing(
            SupervisorLedger(self.enclave.config.state / "ledger.db"),
            self.audit,
            self.enclave.config.state,
            lambda _: None,
        )
        self.desk = Desk(self.audit, picture, Retrying(self.enclave.config, self.ledger, self.scanner), dismissing)

    def problem(self, bundle: str) -> str:
        """Why a bundle's content could not be looked into."""
        entry = self.ledger.catalogue.entry(bundle)
        assert entry is not None
        return entry.problem

    def take(self, channel: str, **fields: Any) -> str:
        """Have a bundle arrive; its id."""
        bundle: Bundle = make_bundle({"a": os.urandom(8)}, signer=ALICE, channel=channel, **fields)
        self.enclave.take(bundle)
        return f"{bundle.number:016x}"

    @property
    def audited(self) -> str:
        """The audit log of the desk."""
        return "".join(path.read_text() for path in segments(self.audit.folder))


async def test_a_scanner_that_gave_no_answer_is_asked_again(tmp_path: Path) -> None:
    """The person is in the audit log first; a scanner that is at work, or has answered, is left alone."""
    bench = Bench(tmp_path)
    held = bench.take("scanned")
    with pytest.raises(UsageError, match="is at work, or has answered"):
        await bench.desk.answer(Retry(held), PEER)
    assert ("", []) == (bench.audited, bench.scanner.asked)
    bench.scanner.failed.add(held)
    said = await bench.desk.answer(Retry(held), PEER)
    assert ([held], "the scan") == (bench.scanner.asked, said["what"])
    assert '"what":"retried"' in bench.audited
    assert f'"who":"{unix_user(0)}"' in bench.audited
    bench.enclave.stop()


async def test_what_cannot_be_tried_again_says_what_to_type(tmp_path: Path) -> None:
    """And nothing is done, nor in the log."""
    bench = Bench(tmp_path)
    cases = {
        bench.take("people"): "diode-receiver accept",
        bench.take("test"): "is published; nothing of it failed",
        "0" * 16: "on the sender: diode-sender resend",
    }
    for bundle, text in cases.items():
        with pytest.raises(UsageError, match=text):
            await bench.desk.answer(Retry(bundle), PEER)
    assert "" == bench.audited
    bench.enclave.stop()


async def test_content_that_was_not_looked_into_is_looked_into_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an order of the receiver's own key, which nobody else may give."""
    broken = partial(raising, StorageError("the disk was away"))
    monkeypatch.setattr("receiver.describe.describing.describe", broken)
    bench = Bench(tmp_path)
    published = bench.take("test")
    assert "the disk was away" == bench.problem(published)
    monkeypatch.undo()
    said = await bench.desk.answer(Retry(published), PEER)
    assert ("the look into its content", "the disk was away") == (said["what"], bench.problem(published))
    bench.enclave.tick()
    assert "" == bench.problem(published)
    with pytest.raises(UsageError, match="nothing of it failed"):
        await bench.desk.answer(Retry(published), PEER)
    assert 1 == bench.audited.count('"what":"retried"')
    bench.enclave.stop()


async def test_what_is_not_in_use_says_what_puts_it_to_use(tmp_path: Path) -> None:
    """As where a health hook refused it; and what was refused says how it is sent again."""
    bench = Bench(tmp_path)
    first, second = bench.take("test", sequence=1, version="v1"), bench.take("test", sequence=2, version="v2")
    with pytest.raises(UsageError, match=r"v2 is in use: 'diode-receiver promote test/.* v1' puts"):
        await bench.desk.answer(Retry(first), PEER)
    twice = bench.take("test", sequence=2, version="v2")
    assert second != twice
    with pytest.raises(UsageError, match=r"used.*'diode-sender put PATH --channel test --name .*@VERSION'"):
        await bench.desk.answer(Retry(twice), PEER)
    bench.enclave.stop()


def raising(error: Exception, *_: object) -> None:
    """Fails."""
    raise error


async def test_nobody_answers_what_nobody_knows(tmp_path: Path) -> None:
    """A request without a case is a mistake of ours."""
    bench = Bench(tmp_path)
    assert 0 == (await bench.desk.answer(Status(5), PEER))["coming"]
    with pytest.raises(MessageError, match="nobody answers this"):
        await bench.desk.answer(PEER, PEER)
    bench.enclave.stop()
