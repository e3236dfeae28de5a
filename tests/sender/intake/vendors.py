"""Vendors who sign: keys, and the papers that their tools write."""

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.dsse import Envelope

from diode.formats.digest import digest
from tests.needs import OMS_VECTORS, need

IN_TOTO = "application/vnd.in-toto+json"


def oms_vectors() -> Path:
    """The published test data of OpenSSF Model Signing; the test is skipped where it is not."""
    need("oms vectors")
    return OMS_VECTORS


def pem(key: Ed25519PrivateKey | EllipticCurvePrivateKey) -> bytes:
    """The public half."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class Minisigner:
    """Signs as minisign does."""

    def __init__(self, key_id: bytes = b"vendor 1") -> None:
        self.key = Ed25519PrivateKey.generate()
        self._id = key_id
        raw = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.public = b"untrusted comment: minisign public key\n" + base64.b64encode(b"Ed" + key_id + raw) + b"\n"

    def sign(self, content: bytes, *, legacy: bool = False, comment: bytes = b"timestamp:1 file:x") -> bytes:
        """The text of a signature file."""
        message = content if legacy else hashlib.blake2b(content).digest()
        made = self.key.sign(message)
        over_comment = self.key.sign(made + comment)
        lines = (
            b"untrusted comment: signature from minisign secret key",
            base64.b64encode((b"Ed" if legacy else b"ED") + self._id + made),
            b"trusted comment: " + comment,
            base64.b64encode(over_comment),
        )
        return b"\n".join(lines) + b"\n"


def sums(files: Mapping[str, bytes]) -> bytes:
    """As ``sha256sum`` writes it."""
    return "".join(f"{hashlib.sha256(content).hexdigest()}  {path}\n" for path, content in files.items()).encode()


def statement(files: Mapping[str, bytes], hash_type: str = "sha256", **serialization: Any) -> dict[str, Any]:
    """What model signing signs."""
    hashed = {
        path: (digest(content) if hash_type == "blake3" else hashlib.new(hash_type, content).digest())
        for path, content in sorted(files.items())
    }
    resources = [{"name": path, "algorithm": hash_type, "digest": value.hex()} for path, value in hashed.items()]
    how = {"method": "files", "hash_type": hash_type, "allow_symlinks": False, "ignore_paths": [".gitignore"]}
    everything = hashlib.sha256(b"".join(hashed.values())).hexdigest()
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "model", "digest": {"sha256": everything}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {"resources": resources, "serialization": how | serialization},
    }


class ModelSigner:
    """Signs as model signing does with a key."""

    def __init__(self) -> None:
        self.key = generate_private_key(SECP256R1())
        self.public = pem(self.key)

    def sign(self, stated: Mapping[str, Any] | bytes, payload_type: str = IN_TOTO) -> bytes:
        """The text of ``model.sig``."""
        payload = stated if isinstance(stated, bytes) else json.dumps(stated).encode()
        made = self.key.sign(Envelope(payload, payload_type, {}).pae(), ECDSA(SHA256()))
        bundle = {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "publicKey": {"hint": hashlib.sha256(self.public).hexdigest()},
                "tlogEntries": [],
            },
            "dsseEnvelope": {
                "payload": base64.b64encode(payload).decode(),
                "payloadType": payload_type,
                "signatures": [{"sig": base64.b64encode(made).decode(), "keyid": ""}],
            },
        }
        return json.dumps(bundle).encode()
