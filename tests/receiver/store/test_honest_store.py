"""What an honest store says is not held against it: tests.enclave looks each message up, at once and a step later."""

import os
import time
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner

from diode.process.clock import ClockWatch, Reading
from diode.protocol.sizes import Kind
from receiver.ledger.states import State
from receiver.messages.pipeline import (
    BundleRefused,
    Dropped,
    Expired,
    ManifestRefused,
    NumberWaits,
    PredecessorDiffers,
    Proving,
    SlabMismatch,
    SpaceShort,
)
from receiver.policy.admission import Short
from receiver.store import begin, publish, refuse
from tests.enclave import Enclave
from tests.link import Bundle, make_bundle
from tests.receiver.store.test_lost_writes import failing

ALICE = CryptoSigner.generate_ed25519()
FILES = {"a": os.urandom(4000)}


def believed() -> ClockWatch:
    """A clock that has run beside a steady one for long enough."""
    seconds = count(0.0, 400.0)
    watch = ClockWatch(read=lambda: Reading(time.time() + (at := next(seconds)), at))
    for _ in range(20):
        watch.look()
    return watch


@pytest.fixture
def enclave(tmp_path: Path) -> Enclave:
    """It believes one person."""
    return Enclave(tmp_path, {"alice.pub": ALICE})


def trust(sequence: int = 1, **fields: Any) -> Bundle:
    """A bundle of channel trust that brings no document."""
    return make_bundle(FILES, signer=ALICE, channel="trust", sequence=sequence, **fields)


def test_wrong_symbols_of_an_unrecorded_bundle(enclave: Enclave) -> None:
    """Whoever has the link key can seal them for a bundle that no ledger knows yet."""
    bundle = trust()
    right, bundle.parts[Kind.DATA, 0] = bundle.parts[Kind.DATA, 0], bytes(len(FILES["a"]))
    enclave.take(bundle)
    assert (1, False) == (len(enclave.said(SlabMismatch)), enclave.published(bundle))
    bundle.parts[Kind.DATA, 0] = right
    enclave.take(bundle)
    assert enclave.published(bundle)


def test_writes_lost_while_an_unrecorded_bundle_comes(enclave: Enclave) -> None:
    """It begins again, and is still not one that an earlier run had recorded."""
    bundle = trust()
    with failing(0):
        enclave.take(bundle)
        enclave.tick()
    assert not enclave.published(bundle)
    assert 1 == enclave.said(Proving)[-1].missing
    enclave.take(bundle)
    assert enclave.published(bundle)


def test_a_trust_bundle_that_an_earlier_version_let_expire(enclave: Enclave) -> None:
    """It comes once more."""
    bundle = trust()
    ledger = enclave.store.records.ledger
    ledger.bundles.record(f"{bundle.number:016x}", bundle.manifest, "signer")
    ledger.bundles.set_state(f"{bundle.number:016x}", State.EXPIRED)
    enclave.take(bundle)
    assert enclave.published(bundle)


def test_two_bundles_of_one_number(enclave: Enclave) -> None:
    """Two senders number a channel: the second one waits for the first, and is said to."""
    first, second = make_bundle(FILES, signer=ALICE), make_bundle({"b": b"other"}, signer=ALICE)
    enclave.take_manifest(first, first.number)
    enclave.take_manifest(second, second.number)
    assert [f"{second.number:016x}"] == [message.bundle for message in enclave.said(NumberWaits)]
    enclave.take(first)
    assert enclave.published(first)


def test_no_room_for_what_expired(enclave: Enclave, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger still has its row when it comes again."""
    bundle = make_bundle(FILES, signer=ALICE)
    enclave.take_manifest(bundle, bundle.number)
    enclave.store.records.ledger._connection.execute("UPDATE bundle SET changed = '2020-01-01T00:00:00Z'")
    giving_up = enclave.store.refusing.giving_up
    giving_up._expire_at = 0.0
    enclave.tick()
    assert [] == enclave.said(Expired)  # one look at a clock is not enough to delete by
    giving_up._clock = believed()
    giving_up._expire_at = 0.0
    enclave.tick()
    assert [f"{bundle.number:016x}"] == [message.bundle for message in enclave.said(Expired)]
    monkeypatch.setattr(enclave.store.beginning._admission, "_short_of_space", lambda *_: Short(2, 1, "disk"))
    enclave.take_manifest(bundle, bundle.number)
    assert [f"{bundle.number:016x}"] == [message.bundle for message in enclave.said(SpaceShort)]


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("begun", [False, True])
def test_what_a_wrong_clock_refused_may_come_again(
    enclave: Enclave, monkeypatch: pytest.MonkeyPatch, *, begun: bool, restarted: bool
) -> None:
    """The refusal is immediate, and undone when the clock is right, also by a later run."""
    bundle = make_bundle(FILES, signer=ALICE, expires="2198-01-01T00:00:00Z")
    with monkeypatch.context() as ahead:
        for module in (publish,) if begun else (publish, begin):
            ahead.setattr(module, "now_utc", lambda: "2199-01-01T00:00:00Z")
        ahead.setattr(refuse, "now_utc", lambda: "2199-01-01T00:00:00Z")
        enclave.take(bundle)
        enclave.tick()
        assert [BundleRefused(f"{bundle.number:016x}", "expired")] == enclave.said(BundleRefused)
    if restarted:
        enclave.restart()
    enclave.store.refusing._take_back_at = 0.0
    enclave.tick()
    enclave.take(bundle)
    assert enclave.published(bundle)


def test_a_trust_bundle_without_a_place_forgets_itself(enclave: Enclave) -> None:
    """Its predecessor is spoken of, and then the ledger forgets it: whoever signs for the channel can do so often."""
    enclave.take(trust(1, name="n", version="1"))
    enclave.take(trust(2, name="n", version="1", previous="f" * 16))
    assert 1 == len(enclave.said(PredecessorDiffers))
    assert 1 == len(enclave.said(Dropped))


def test_a_rejected_copy_hides_no_refusal(enclave: Enclave) -> None:
    """A manifest came too early to be taken; when it is taken up and refused by the rules, that is said."""
    bundle = make_bundle(FILES, signer=ALICE)
    enclave.store.records.authority.awaited = (9, "0" * 64)
    enclave.take_manifest(bundle, bundle.number)
    assert 1 == len(enclave.said(ManifestRefused))
    enclave.store.records.authority.awaited = None
    enclave.store.beginning._admission._max_bytes = 1
    enclave.take_manifest(bundle, bundle.number)
    assert [f"{bundle.number:016x}"] == [message.bundle for message in enclave.said(BundleRefused)]
