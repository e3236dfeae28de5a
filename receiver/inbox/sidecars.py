"""What is published beside a bundle's data: the manifest as signed, SHA256SUMS, and the receipt (signed, too)."""

import os
from collections.abc import Iterable

from blake3 import blake3

from diode.bundle.attestation import FILE
from diode.bundle.checksums import B3SUMS, SHA256SUMS, sum_lines
from diode.bundle.receipt import RECEIPT_FILE, SIGNED_FILE, sign_receipt, write_receipt
from diode.formats.signers import Signer
from diode.formats.timestamps import now_utc
from diode.storage.folder import Folder
from receiver.spool.bundle import MANIFEST_FILE, SpoolBundle


def write_sidecars(bundle: SpoolBundle, verify: str, signer: Signer | None) -> None:
    """Write them into the bundle's tree, in the place of those of an earlier attempt.

    ``verify`` is how the bundle was verified: ``slabs`` or ``at-rest``. Without ``signer`` the receipt is not signed.
    """
    with bundle.open_tree() as tree:
        _write(tree, "manifest.json", [bundle.opened.payload])  # named by the bundle's id, so not by the receipt
        sidecars = {
            MANIFEST_FILE: _write(tree, MANIFEST_FILE, [bundle.sealed]),
            SHA256SUMS: _write(tree, SHA256SUMS, sum_lines(bundle.tree.entries(), "sha256")),
            B3SUMS: _write(tree, B3SUMS, sum_lines(bundle.tree.entries(), "blake3")),
        }
        attestation = bundle.opened.manifest.attestation
        if attestation is not None:
            folder, _, name = FILE.partition("/")
            with tree.folder(folder, create=True, mode=0o777) as attestations:
                sidecars[FILE] = _write(attestations, name, [attestation.encode() + b"\n"])
        receipt = write_receipt(bundle.opened, verify, now_utc(), sidecars)
        _write(tree, RECEIPT_FILE, [receipt])
        if signer is not None:
            _write(tree, SIGNED_FILE, [sign_receipt(receipt, signer)])


def _write(folder: Folder, name: str, lines: Iterable[bytes]) -> str:
    """Write a sidecar in the place of what lies there. Returns its BLAKE3, for the receipt."""
    hasher = blake3()
    folder.remove(name)
    with os.fdopen(folder.create(name, 0o666), "wb") as file:
        for line in lines:
            hasher.update(line)
            file.write(line)
    return hasher.hexdigest()
