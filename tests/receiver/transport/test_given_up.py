"""A bundle that is given up while a thread finishes it: what lies in its place by then is not published for it."""

import os
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner

from receiver.messages.pipeline import Dropped
from receiver.spool.finishing import Finishing
from receiver.store.unrecorded import MOST
from tests.enclave import Enclave
from tests.link import Bundle, make_bundle

ALICE = CryptoSigner.generate_ed25519()


@pytest.fixture
def enclave(tmp_path: Path) -> Enclave:
    """It believes one person."""
    return Enclave(tmp_path, {"alice.pub": ALICE})


def trust(sequence: int) -> Bundle:
    """A bundle of channel trust that brings no document."""
    return make_bundle({"a": os.urandom(4000)}, signer=ALICE, channel="trust", sequence=sequence)


class Slow(Executor):
    """Has begun, and ends when it is told to."""

    def submit(self, work: Any, /, *arguments: Any, **options: Any) -> "Future[Any]":
        return Future()


def test_what_was_given_up_while_it_was_finished_is_not_published(enclave: Enclave) -> None:
    """A bundle that is pushed out, and begun again in the same place, is not there because the first one was whole."""
    enclave.store.bundles.finishing = Finishing(Slow())
    first = trust(1)
    enclave.take(first)
    ((_, future),) = [(key, done) for key, (_, done) in enclave.store.bundles.finishing._under_way.items()]
    for n in range(MOST):
        other = trust(100 + n)
        enclave.take_manifest(other, other.number)
    assert [f"{first.number:016x}"] == [message.bundle for message in enclave.said(Dropped)]
    enclave.take_manifest(first, first.number)  # begun again: nothing but its manifest is there
    spool = enclave.config.inbox.path / ".diode" / "spool" / f"{first.number:016x}"
    (spool / "tree").mkdir()
    (spool / "tree" / "receipt.json").write_text("{}")  # as the thread writes it into whatever lies there
    future.set_result(None)
    enclave.tick()
    assert not enclave.published(first)
