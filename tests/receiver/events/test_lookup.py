"""What the supervisor makes of what ``store`` says: an id is looked up, and everything else comes from the ledger."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner

from diode.errors import MessageError
from receiver.events.happened import Coming, Ended, NowHeld
from receiver.events.lookup import Lookup
from receiver.ledger.states import State
from receiver.messages.pipeline import (
    STORE_SAYS,
    Accepted,
    AcceptedBy,
    BundleRefused,
    Dropped,
    Expired,
    Held,
    ManifestRefused,
    NumberWaits,
    PredecessorDiffers,
    Progress,
    Proving,
    Published,
    Resumed,
    SpaceShort,
    SymbolsLost,
    TrustChanged,
    TrustNotPublished,
)
from receiver.messages.use import NotLinked, PointerMoved
from receiver.peer.requests import Request, drop_request, keep_request
from tests.enclave import Enclave
from tests.link import make_bundle
from tests.vocabularies import simplest

ALICE = CryptoSigner.generate_ed25519()
BUNDLE = make_bundle({"a": b"content"}, signer=ALICE)
BUNDLE_ID = f"{BUNDLE.number:016x}"
FOREIGN = "f" * 16
OF_LEDGER = (Accepted, BundleRefused, Published, TrustChanged, TrustNotPublished)
FORGOTTEN = (  # where an honest ledger may have forgotten the bundle, or its place in a table, before it is asked
    *(AcceptedBy, Expired, Held, NumberWaits, PredecessorDiffers, Progress, Resumed, SpaceShort, SymbolsLost),
    *(NotLinked, PointerMoved),
)


@pytest.fixture
def enclave(tmp_path: Path) -> Enclave:
    """It has the manifest of the bundle, and a scanner for its channel."""
    made = Enclave(tmp_path, {"alice.pub": ALICE}, '[channels.test]\nscan = ["/bin/true"]\nhold = 2\n')
    made.take_manifest(BUNDLE, BUNDLE.number)
    return made


def lookup(enclave: Enclave, state: State | None = None) -> Lookup:
    """As the supervisor has it, with the bundle in this state."""
    if state:
        enclave.store.records.ledger.bundles.set_state(BUNDLE_ID, state, "because \x1b[2J of it")
    return Lookup(enclave.config, enclave.store.records.ledger)


@pytest.mark.parametrize("kind", OF_LEDGER)
def test_a_bundle_that_the_ledger_has_not(enclave: Enclave, kind: type) -> None:
    """Nobody makes one up."""
    message: Any = replace(simplest(STORE_SAYS, kind), bundle=FOREIGN)
    with pytest.raises(MessageError):
        lookup(enclave).event(message)


@pytest.mark.parametrize("kind", FORGOTTEN)
def test_a_message_that_comes_too_late(enclave: Enclave, kind: type) -> None:
    """Nothing is made of it, and nobody is ended for it."""
    message: Any = replace(simplest(STORE_SAYS, kind), bundle=FOREIGN)
    assert lookup(enclave).event(message) is None


def test_what_is_proven_by_now(tmp_path: Path) -> None:
    """The supervisor is slow: a bundle of channel trust that was coming is recorded when its message is looked up."""
    enclave = Enclave(tmp_path, {"alice.pub": ALICE})
    bundle = make_bundle({"a": b"1"}, signer=ALICE, channel="trust")
    enclave.take(bundle)
    (said,) = enclave.said(Published)
    event = lookup(enclave).event(replace(simplest(STORE_SAYS, Proving), bundle=said.bundle))
    assert isinstance(event, Coming)
    assert bundle.manifest.name == event.row.name


@pytest.mark.parametrize("kind", [Proving, Dropped])
def test_a_bundle_of_another_channel_is_not_proven(enclave: Enclave, kind: type) -> None:
    """Nor is it taken off what is coming by a word that is of channel trust alone."""
    message: Any = replace(simplest(STORE_SAYS, kind), bundle=BUNDLE_ID)
    with pytest.raises(MessageError):
        lookup(enclave).event(message)


@pytest.mark.parametrize("message", [Published(BUNDLE_ID), BundleRefused(BUNDLE_ID, "policy")])
def test_a_bundle_in_another_state(enclave: Enclave, message: object) -> None:
    """What the ledger does not say did not happen."""
    with pytest.raises(MessageError):
        lookup(enclave).event(message)


def test_what_is_held_is_scanned_where_it_lies(enclave: Enclave) -> None:
    """Its place, channel and size are ours to know."""
    event = lookup(enclave, State.HELD).event(Held(BUNDLE_ID, 2))
    assert isinstance(event, NowHeld)
    place = {"path": str(enclave.config.inbox.path / ".diode" / "held" / BUNDLE_ID), "channel": "test"}
    expected = place | {"bundle": BUNDLE_ID, "label": event.row.label, "bytes": 7, "files": 1}
    assert (expected, "2 people and the scanner", True) == (event.facts(), event.waits_for, event.is_scanned)


def test_what_is_not_held_any_more_is_not_scanned(enclave: Enclave) -> None:
    """A message may come late."""
    assert lookup(enclave, State.PUBLISHING).event(Held(BUNDLE_ID, 2)) is None


def test_a_refusal_is_told_in_the_ledgers_words(enclave: Enclave) -> None:
    """Escaped, with the exit code of its reason."""
    event = lookup(enclave, State.REFUSED).event(BundleRefused(BUNDLE_ID, "policy"))
    assert isinstance(event, Ended)
    assert ({"reason": "policy", "detail": "because \\x1b[2J of it"}, 14) == (event.fields, event.exit_code)


def test_an_unsigned_manifest_says_nothing_of_the_bundle(enclave: Enclave) -> None:
    """Whoever sends one under a bundle's id does not hide that it is on its way."""
    event = lookup(enclave).event(ManifestRefused(BUNDLE_ID, "trust", "nobody signed"))
    assert isinstance(event, Ended)
    assert (None, 12) == (event.row, event.exit_code)


def test_progress_is_bounded_by_what_is_signed(enclave: Enclave) -> None:
    """More than all cannot be stored, or missing."""
    event = lookup(enclave).event(Progress(BUNDLE_ID, 1 << 60, 1 << 26))
    assert isinstance(event, Coming)
    assert (7, 1) == (event.stored_bytes, event.missing)


@pytest.mark.parametrize(
    "name", ["../../secret", "a/b", "", "0" * 15, "0" * 17, "0" * 15 + "\n", "A" * 16, "\u0660" * 16]
)
def test_what_is_no_id_is_no_path(tmp_path: Path, name: str) -> None:
    """It is checked before a file is named after it."""
    with pytest.raises(ValueError, match="no bundle has the id"):
        keep_request(tmp_path, name, Request("all", "short", is_signed=True))
    with pytest.raises(ValueError, match="no bundle has the id"):
        drop_request(tmp_path, name)
