"""What is published beside a bundle's data: the manifest as signed, SHA256SUMS, and the receipt (signed, too)."""

import json
import os
from collections.abc import Iterable
from typing import Any

from securesystemslib.signer import Signer

from diode.attestation import FILE
from diode.clock import now_utc
from diode.manifest import Manifest
from diode.receipt import RECEIPT_FILE, SIGNED_FILE, sign_receipt
from diode.storage.folder import Folder
from diode.sums import B3SUMS, SHA256SUMS, sum_lines
from receiver.spool import SpoolBundle


def facts(manifest: Manifest, signer: str) -> dict[str, Any]:
    """What identifies a bundle, for a receipt or a reason."""
    names = ("channel", "name", "version", "sequence", "created")
    return {name: getattr(manifest, name) for name in names} | {"signer": signer}


def write_papers(bundle: SpoolBundle, verify: str, signer: Signer | None) -> None:
    """Write them into the bundle's tree, in the place of those of an earlier attempt; ``verify``: slabs or at-rest.

    Without ``signer`` the receipt is not signed.
    """
    receipt = {
        **facts(bundle.manifest, bundle.signer),
        "bundle": bundle.hex_id,
        "files": bundle.manifest.files.entries,
        "bytes": bundle.manifest.stream_bytes,
        "slabs": bundle.manifest.slabs.entries,
        "content": bundle.manifest.files.blake3,
        "signed_by": [{"person": s.person, "key": s.key_id} for s in bundle.opened.signatures],
        "labels": bundle.manifest.labels.model_dump() if bundle.manifest.labels else None,
        "supersedes": bundle.manifest.supersedes,
        "verify": verify,
        "verified": f"{bundle.manifest.files.entries} files, BLAKE3 slabs"
        + (" and BLAKE3 + SHA-256 at rest" if verify == "at-rest" else "")
        + f", signature key {bundle.signer}",
        "published": now_utc(),
    }
    text = (json.dumps(receipt, indent=1, ensure_ascii=False) + "\n").encode()
    with bundle.open_tree() as tree:
        _write(tree, "manifest.json", [bundle.payload])
        _write(tree, "manifest.dsse.json", [bundle.sealed])
        _write(tree, SHA256SUMS, sum_lines(bundle.entries(), "sha256"))
        _write(tree, B3SUMS, sum_lines(bundle.entries(), "blake3"))
        if bundle.manifest.attestation is not None:
            folder, _, name = FILE.partition("/")
            with tree.folder(folder, create=True, mode=0o777) as attestations:
                _write(attestations, name, [bundle.manifest.attestation.encode() + b"\n"])
        _write(tree, RECEIPT_FILE, [text])
        if signer is not None:
            _write(tree, SIGNED_FILE, [sign_receipt(text, signer)])


def _write(folder: Folder, name: str, lines: Iterable[bytes]) -> None:
    folder.remove(name)
    with os.fdopen(folder.create(name, 0o666), "wb") as file:
        file.writelines(lines)
