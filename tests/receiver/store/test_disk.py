"""A step that the disk did not take, any of them: the same bundle comes in by a later pass, or is named with a code."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner

from diode.audit.log import AuditLog
from diode.errors import FullError, StorageError
from diode.storage.connection import Connection
from diode.storage.folder import Folder
from diode.storage.rollback_guard import RollbackGuard
from tests.enclave import Enclave
from tests.link import Bundle, make_bundle

ALICE = CryptoSigner.generate_ed25519()
FILES = {"a": b"content", "b/c": b"more"}


class Fault:
    """The disk fails at its n-th change, and at those that follow for a while."""

    def __init__(self, at: int, length: int = 1) -> None:
        self.at, self.length, self.count = at, length, 0

    def strike(self, error: Exception) -> None:
        """One change."""
        self.count += 1
        if self.at <= self.count < self.at + self.length:
            raise error

    @property
    def was_reached(self) -> bool:
        """Whether there were as many."""
        return self.count >= self.at


Seam = tuple[Any, str, Callable[..., Any]]  # owner, name, what stands in its place


def _before(owner: Any, name: str, strike: Callable[..., None]) -> Seam:
    real = getattr(owner, name)

    def call(*arguments: Any, **options: Any) -> Any:
        strike(*arguments)
        return real(*arguments, **options)

    return owner, name, call


def _after(owner: Any, name: str, strike: Callable[..., None]) -> Seam:
    """It happens, and an error is reported all the same."""
    real = getattr(owner, name)

    def call(*arguments: Any, **options: Any) -> Any:
        result = real(*arguments, **options)
        strike(*arguments)
        return result

    return owner, name, call


def _statement(fault: Fault) -> Callable[..., None]:
    def strike(_: Connection, statement: str, *__: object) -> None:
        if not statement.lstrip().startswith(("SELECT", "PRAGMA", "ROLLBACK")):
            fault.strike(FullError("the ledger's disk is full"))

    return strike


@contextmanager
def failing(what: str, fault: Fault) -> Iterator[None]:
    """One kind of change fails."""
    full = OSError(errno.ENOSPC, "No space left on device", "x")
    where: dict[str, Callable[[], Seam]] = {
        "statement": lambda: _before(Connection, "execute", _statement(fault)),
        "statement done": lambda: _after(Connection, "execute", _statement(fault)),
        "anchor": lambda: _before(RollbackGuard, "write", lambda *_: fault.strike(StorageError("anchor"))),
        "audit": lambda: _before(AuditLog, "append", lambda *_: fault.strike(StorageError("audit"))),
        "rename": lambda: _before(Folder, "move", lambda *_: fault.strike(full)),
        "mkdir": lambda: _before(os, "mkdir", lambda *_: fault.strike(full)),
        "write": lambda: _before(Folder, "write_new", lambda *_: fault.strike(full)),
        "pwrite": lambda: _before(os, "pwrite", lambda *_: fault.strike(full)),
    }
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(*where[what]())
        yield


KINDS = ("statement", "statement done", "anchor", "audit", "rename", "mkdir", "write", "pwrite")
CASES = [
    *((what, 1, False) for what in KINDS),
    *((what, *how) for what in ("statement", "anchor", "audit") for how in ((1, True), (4, False))),
]
MOST_STEPS = 60


def steps(folder: Path, what: str, length: int, run: Callable[[Enclave], None]) -> Iterator[Enclave]:
    """The same run with the fault at each of its steps, healthy afterwards."""
    for at in range(1, MOST_STEPS):
        place = folder / f"{at}"
        place.mkdir()
        enclave = Enclave(place, {"alice.pub": ALICE})
        fault = Fault(at, length)
        with failing(what, fault):
            run(enclave)
        yield enclave
        enclave.stop()
        if not fault.was_reached:
            return
    raise AssertionError("more steps than were looked for")


@pytest.mark.long
@pytest.mark.parametrize(("what", "length", "restarted"), CASES)
def test_a_bundle_is_delivered_by_a_later_pass(tmp_path: Path, what: str, length: int, restarted: bool) -> None:
    """Never is it 'already used' by itself."""
    bundle = make_bundle(FILES, signer=ALICE)
    for enclave in steps(tmp_path, what, length, lambda enclave: enclave.take(bundle)):
        if restarted:
            enclave.restart()
        for _ in range(2):
            enclave.take(bundle)
        assert (True, []) == (enclave.published(bundle), enclave.refusals)
        row = enclave.store.records.ledger.bundles.get(f"{bundle.number:016x}")
        assert row is not None
        assert "published" == row.state


@pytest.mark.long
@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("what", ["statement", "statement done", "anchor", "audit"])
@pytest.mark.parametrize("wrong", ["expired", "tables"])
def test_a_refusal_is_named(tmp_path: Path, what: str, wrong: str, restarted: bool) -> None:
    """Once the disk works: with its code in the log, the ledger and quarantine."""
    bundle = _wrong(wrong)
    said: list[tuple[str, int]] = []

    def run(enclave: Enclave) -> None:
        enclave.take(bundle)
        said[:] = enclave.refusals

    for enclave in steps(tmp_path, what, 1, run):
        if restarted:
            enclave.restart()
        for _ in range(2):
            enclave.take(bundle)
        row = enclave.store.records.ledger.bundles.get(f"{bundle.number:016x}")
        reason = enclave.config.inbox.path / ".diode" / "quarantine" / f"{bundle.number:016x}" / "reason.json"
        assert (False, True) == (enclave.published(bundle), reason.exists())
        assert row is not None
        assert "refused" == row.state
        assert [*said, *enclave.refusals]


def _wrong(wrong: str) -> Bundle:
    if wrong == "expired":
        return make_bundle(FILES, signer=ALICE, expires="2026-01-02T00:00:00Z")
    return make_bundle(FILES, signer=ALICE, table=b"no table\n")


def test_a_commit_that_fails_leaves_no_transaction_open(tmp_path: Path) -> None:
    """What comes next is recorded."""
    enclave = Enclave(tmp_path, {"alice.pub": ALICE})
    ledger = enclave.store.records.ledger
    for _ in range(3):
        with failing("statement", Fault(2)), suppress(FullError), ledger._connection.transaction():
            pass
    assert not ledger._connection._db.in_transaction
    bundle = make_bundle(FILES, signer=ALICE)
    enclave.take(bundle)
    assert enclave.published(bundle)
