"""What tests of both sides need: keys, and a signed manifest made from a few facts."""

from pathlib import Path
from typing import Any, Protocol

import pytest
from securesystemslib.signer import CryptoSigner

from diode.digest import digest
from diode.geometry import PROFILES, slab_count, stream_geometry
from diode.keys import new_signing_key
from diode.manifest import Manifest, Shape, Table, load_signer

SYMBOL_BYTES = 448  # the smallest, so that slabs are small


class MakeManifest(Protocol):
    """How the fixture is called: any field of the manifest may be given."""

    def __call__(self, **fields: Any) -> Manifest: ...


@pytest.fixture(scope="session")
def signing_key() -> tuple[bytes, bytes]:
    """(private, public) halves in PEM."""
    return new_signing_key()


@pytest.fixture(scope="session")
def signer(signing_key: tuple[bytes, bytes]) -> CryptoSigner:
    """Who signs."""
    return load_signer(signing_key[0])


@pytest.fixture
def signers(tmp_path: Path, signing_key: tuple[bytes, bytes]) -> Path:
    """A folder of trusted keys that holds the signer's."""
    folder = tmp_path / "signers"
    folder.mkdir()
    (folder / "sender.pub").write_bytes(signing_key[1])
    return folder


@pytest.fixture(scope="session")
def make_manifest() -> MakeManifest:
    """A valid manifest of an empty bundle, but for the fields that are given."""

    def make(**fields: Any) -> Manifest:
        full = stream_geometry(SYMBOL_BYTES, PROFILES["standard"])
        stream_bytes = fields.get("stream_bytes", 0)
        slabs = slab_count(full, stream_bytes)
        nothing = digest(b"").hex()
        defaults: dict[str, Any] = {
            "format": "diode-bundle-1",
            "channel": "cve",
            "name": "feed",
            "version": "1",
            "sequence": 1,
            "previous": None,
            "created": "2026-01-02T03:04:05Z",
            "shape": Shape(profile="standard", symbol_bytes=SYMBOL_BYTES, columns=full.columns, k=full.k, r=full.r),
            "stream_bytes": 0,
            "files": Table(entries=0, size=0, blake3=nothing),
            "slabs": Table(entries=slabs, size=slabs * 32, blake3=nothing),
        }
        return Manifest(**(defaults | fields))

    return make
