"""What is published beside a bundle's data: the manifest as signed, SHA256SUMS, and the receipt (signed, too)."""

import json

from securesystemslib.signer import Signer

from diode.clock import now_utc
from diode.manifest import Manifest
from diode.receipt import RECEIPT_FILE, SIGNED_FILE, sign_receipt
from diode.workers import Message
from receiver.spool import SpoolBundle


def facts(manifest: Manifest, signer: str) -> Message:
    """What identifies a bundle, for a receipt or a reason."""
    names = ("channel", "name", "version", "sequence", "created")
    return {name: getattr(manifest, name) for name in names} | {"signer": signer}


def write_papers(bundle: SpoolBundle, verify: str, signer: Signer | None) -> None:
    """Write them into the bundle's tree; ``verify``: slabs or at-rest. Without ``signer`` the receipt is not signed."""
    (bundle.tree / "manifest.json").write_bytes(bundle.payload)
    (bundle.tree / "manifest.dsse.json").write_bytes(bundle.sealed)
    with (bundle.tree / "SHA256SUMS").open("wb") as file:
        file.writelines(bundle.sums())
    receipt = {
        **facts(bundle.manifest, bundle.signer),
        "bundle": bundle.hex_id,
        "files": bundle.manifest.files.entries,
        "bytes": bundle.manifest.stream_bytes,
        "slabs": bundle.manifest.slabs.entries,
        "content": bundle.manifest.files.blake3,
        "verify": verify,
        "verified": f"{bundle.manifest.files.entries} files, BLAKE3 slabs"
        + (" and BLAKE3 + SHA-256 at rest" if verify == "at-rest" else "")
        + f", signature key {bundle.signer}",
        "published": now_utc(),
    }
    text = (json.dumps(receipt, indent=1, ensure_ascii=False) + "\n").encode()
    (bundle.tree / RECEIPT_FILE).write_bytes(text)
    if signer is not None:
        (bundle.tree / SIGNED_FILE).write_bytes(sign_receipt(text, signer))
