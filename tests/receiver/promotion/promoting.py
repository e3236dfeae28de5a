"""A receiver with published versions of one name, to which orders are given as the commands give them."""

import json
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner, Signer

from diode.audit.chain import Entry
from diode.audit.verify import entries_of
from diode.formats.timestamps import now_utc
from receiver.catalogue.pointer import Pointer
from receiver.catalogue.snapshot import Listed, Snapshot
from receiver.ledger.pointers import Outcome
from receiver.promotion.orders import Order, new_id, write_order
from tests.enclave import Enclave
from tests.link import make_bundle

ALICE = CryptoSigner.generate_ed25519()
CHANNEL, NAME = "test", "thing"


def enclave_with(folder: Path, config: str = "", versions: int = 3) -> Enclave:
    """A receiver that has published versions 1, 2, ... of one name."""
    enclave = Enclave(folder, {"alice.pub": ALICE}, config)
    for sequence in range(1, versions + 1):
        publish(enclave, sequence)
    return enclave


def publish(enclave: Enclave, sequence: int, **fields: Any) -> str:
    """Publish the version of this number; its id."""
    place: dict[str, Any] = {"channel": CHANNEL, "name": NAME, "version": f"v{sequence}"} | fields
    bundle = make_bundle({"a": f"content {sequence}".encode(), "b": b"same"}, sequence=sequence, signer=ALICE, **place)
    enclave.take(bundle)
    return f"{bundle.number:016x}"


def order(enclave: Enclave, what: str, version: str = "", *signers: Signer, **fields: Any) -> Order:
    """Give an order, and let the receiver read it."""
    given = write(enclave, what, version, *signers, **fields)
    enclave.tick()
    return given


def write(enclave: Enclave, what: str, version: str = "", *signers: Signer, **fields: Any) -> Order:
    """Give an order that nobody has read yet."""
    values = {"channel": CHANNEL, "name": NAME, "version": version, "reason": "why", "at": now_utc()} | fields
    given = Order.model_validate({"id": new_id(), "what": what} | values)
    write_order(enclave.config.state, given, list(signers))
    return given


def outcome(enclave: Enclave, given: Order) -> Outcome:
    """What became of an order."""
    found = enclave.store.records.ledger.pointers.outcome(given.id)
    assert found is not None
    return found


def pointer(enclave: Enclave) -> Pointer:
    """Where the name's pointer is, by the ledger."""
    found = enclave.store.records.ledger.pointers.get(CHANNEL, NAME)
    assert found is not None
    return found


def current(enclave: Enclave) -> str:
    """The version in use, which ledger, file, link and snapshot agree about."""
    used = pointer(enclave).current
    assert used is not None
    inbox = enclave.config.inbox.path
    file = json.loads((inbox / ".diode" / "pointers" / CHANNEL / NAME / "pointer.json").read_text())
    assert used.version == file["deployed"][-1]["version"]
    assert used.version == str((inbox / CHANNEL / NAME / "current").readlink())
    assert [used.version] == [one.version for one in shown(enclave) if one.is_current]
    return used.version


def shown(enclave: Enclave) -> list[Listed]:
    """The bundles of the snapshot."""
    with Snapshot(enclave.config.gateway.index) as snapshot:
        return list(snapshot.bundles())


def logged(enclave: Enclave, *words: str) -> list[Entry]:
    """Entries of the audit log with these words."""
    return [entry for entry in entries_of(enclave.config.audit_folder) if entry.what in words]


def waiting(enclave: Enclave) -> list[str]:
    """Orders that nobody has removed."""
    return sorted(path.name for path in (enclave.config.state / "orders").iterdir())
