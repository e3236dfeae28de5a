"""What is published beside a bundle's data: the manifest as signed, SHA256SUMS, and the receipt (signed, too)."""

from collections.abc import Iterable
from pathlib import Path

from blake3 import blake3
from securesystemslib.signer import Signer

from diode.attestation import FILE
from diode.clock import now_utc
from diode.manifest import Manifest
from diode.receipt import RECEIPT_FILE, SIGNED_FILE, sign_receipt, write_receipt
from diode.sums import B3SUMS, SHA256SUMS, sum_lines
from diode.workers import Message
from receiver.spool import MANIFEST_FILE, SpoolBundle


def facts(manifest: Manifest, signer: str) -> Message:
    """What identifies a bundle, for a receipt or a reason."""
    names = ("channel", "name", "version", "sequence", "created")
    return {name: getattr(manifest, name) for name in names} | {"signer": signer}


def write_papers(bundle: SpoolBundle, verify: str, signer: Signer | None) -> None:
    """Write them into the bundle's tree; ``verify``: slabs or at-rest. Without ``signer`` the receipt is not signed."""
    (bundle.tree / "manifest.json").write_bytes(bundle.payload)  # named by the bundle's id, so not by the receipt
    papers = {
        MANIFEST_FILE: _write(bundle.tree / MANIFEST_FILE, [bundle.sealed]),
        SHA256SUMS: _write(bundle.tree / SHA256SUMS, sum_lines(bundle.entries(), "sha256")),
        B3SUMS: _write(bundle.tree / B3SUMS, sum_lines(bundle.entries(), "blake3")),
    }
    if bundle.manifest.attestation is not None:
        (bundle.tree / FILE).parent.mkdir(exist_ok=True)
        papers[FILE] = _write(bundle.tree / FILE, [bundle.manifest.attestation.encode() + b"\n"])
    receipt = write_receipt(bundle.opened, verify, now_utc(), papers)
    (bundle.tree / RECEIPT_FILE).write_bytes(receipt)
    if signer is not None:
        (bundle.tree / SIGNED_FILE).write_bytes(sign_receipt(receipt, signer))


def _write(path: Path, lines: Iterable[bytes]) -> str:
    """Write a paper; its BLAKE3, for the receipt."""
    hasher = blake3()
    with path.open("wb") as file:
        for line in lines:
            hasher.update(line)
            file.write(line)
    return hasher.hexdigest()
