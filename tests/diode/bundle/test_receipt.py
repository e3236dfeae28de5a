"""A published bundle's receipt: signed by the receiver, the same in both files, and of the manifest beside it."""

import json
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner
from typer.testing import CliRunner

from diode.bundle.manifest import bundle_id
from diode.bundle.receipt import sign_receipt
from diode.cli.main import app
from diode.errors import DiodeError, IntegrityError, SignatureError, UsageError
from diode.formats.canonical import canonical
from diode.formats.dsse import load_public_key, load_signer
from diode.trust.keys import new_signing_key
from diode.trust.receipts import verify_receipt
from tests.link import make_bundle


@pytest.fixture
def folder(signer: CryptoSigner, tmp_path: Path) -> Path:
    """A published folder, as far as a receipt is concerned."""
    bundle = make_bundle({"a": b"content"}, signer=signer)
    write(tmp_path, bundle.manifest.model_dump(), canonical(bundle.manifest.model_dump()), signer)
    return tmp_path


def write(folder: Path, manifest: dict[str, object], payload: bytes, signer: CryptoSigner) -> None:
    """As ``store`` does."""
    names = ("channel", "name", "version", "sequence")
    sizes = {"files": 1, "bytes": 7, "slabs": 1, "content": manifest["files"]["blake3"]}  # type: ignore[index]
    receipt = {name: manifest[name] for name in names} | sizes
    receipt |= {
        "bundle": f"{bundle_id(payload):016x}",
        "signer": "a",
        "published": "2026-01-01T00:00:00Z",
        "verify": "slabs",
    }
    text = json.dumps(receipt, indent=1).encode() + b"\n"
    (folder / "manifest.json").write_bytes(payload)
    (folder / "receipt.json").write_bytes(text)
    (folder / "receipt.dsse.json").write_bytes(sign_receipt(text, signer))


def test_a_receipt_that_holds(folder: Path, signer: CryptoSigner, signing_key: tuple[bytes, bytes]) -> None:
    """By function and by command."""
    assert verify_receipt(folder, signer.public_key).published == "2026-01-01T00:00:00Z"
    (folder / "service.pub").write_bytes(signing_key[1])
    done = CliRunner().invoke(app, ["audit", "verify-receipt", str(folder), "--key", str(folder / "service.pub")])
    assert (0, True) == (done.exit_code, "published 2026-01-01T00:00:00Z" in done.stdout)


def test_a_receipt_that_does_not(folder: Path, signer: CryptoSigner) -> None:
    """Another key, a changed file, another manifest, a missing file: each with its own error."""
    key = signer.public_key
    with pytest.raises(SignatureError):
        verify_receipt(folder, load_public_key(new_signing_key()[1]))
    other = make_bundle({"b": b"others"}, signer=signer)
    good = {path.name: path.read_bytes() for path in folder.iterdir()}
    broken: dict[str, tuple[str, bytes, type[DiodeError]]] = {
        "changed": ("receipt.json", good["receipt.json"].replace(b'"files": 1', b'"files": 2'), IntegrityError),
        "another manifest": ("manifest.json", canonical(other.manifest.model_dump()), IntegrityError),
        "no manifest": ("manifest.json", b"{}", IntegrityError),
        "no envelope": ("receipt.dsse.json", b"junk", IntegrityError),
        "large": ("receipt.dsse.json", b"a" * 200_000, UsageError),
    }
    for name, data, kind in broken.values():
        (folder / name).write_bytes(data)
        with pytest.raises(kind):
            verify_receipt(folder, key)
        (folder / name).write_bytes(good[name])
    assert verify_receipt(folder, key).label
    (folder / "receipt.dsse.json").unlink()
    with pytest.raises(UsageError, match="cannot be read"):
        verify_receipt(folder, key)


@pytest.mark.parametrize("field", ["channel", "name", "version", "sequence", "files", "bytes", "slabs", "content"])
def test_a_signed_receipt_of_something_else(field: str, folder: Path, signer: CryptoSigner) -> None:
    """Every fact is the manifest's."""
    receipt = json.loads((folder / "receipt.json").read_bytes())
    value = receipt[field]
    receipt[field] = value + 1 if isinstance(value, int) else "0" * 64 if field == "content" else "other"
    text = json.dumps(receipt).encode()
    (folder / "receipt.json").write_bytes(text)
    (folder / "receipt.dsse.json").write_bytes(sign_receipt(text, load_signer(new_signing_key()[0])))
    with pytest.raises(SignatureError):
        verify_receipt(folder, signer.public_key)
    (folder / "receipt.dsse.json").write_bytes(sign_receipt(text, signer))
    with pytest.raises(IntegrityError, match=f"says {field}"):
        verify_receipt(folder, signer.public_key)
