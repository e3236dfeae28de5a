"""Manifests: as anybody may send them (an even first byte), and as a trusted signer would have signed them (odd)."""

import json
from functools import cache
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner

from diode.bundle.manifest import PAYLOAD_TYPE, Manifest
from diode.errors import ContentError
from diode.formats.canonical import canonical
from diode.formats.names import check_component
from diode.protocol.sizes import Kind
from diode.trust.roles import open_manifest
from tests.link import make_bundle
from tests.trusted import anyone

SEED: Final = bytes(range(32))


@cache
def _signer() -> CryptoSigner:
    return CryptoSigner(Ed25519PrivateKey.from_private_bytes(SEED))


def one_input(data: bytes) -> None:
    """It is a sound manifest in canonical form, or a ContentError; unsigned, never the former."""
    is_signed = bool(data[:1]) and data[0] % 2 == 1
    sealed = _sealed(data[1:]) if is_signed else data[1:]
    try:
        manifest, payload, _ = open_manifest(sealed.rstrip(b"\0"), anyone([_signer().public_key]))
    except ContentError:
        return
    assert is_signed or payload == _honest_payload()  # the envelope is not signed, what is in it is
    assert canonical(manifest.model_dump()) == payload
    _check(manifest)


def _check(manifest: Manifest) -> None:
    check_component(manifest.name)
    check_component(manifest.version)
    assert manifest.slabs.entries * 32 == manifest.slabs.size
    assert manifest.shape.geometry.rows <= 256


def _sealed(payload: bytes) -> bytes:
    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    envelope.sign(_signer())
    return canonical(envelope.to_dict())


@cache
def _honest() -> bytes:
    return make_bundle({"a": b"content"}, signer=_signer()).parts[Kind.OBJECT, 0].rstrip(b"\0")


@cache
def _honest_payload() -> bytes:
    return Envelope.from_dict(json.loads(_honest())).payload


def seeds() -> dict[str, bytes]:
    """An honest one, sealed and bare; envelopes and payloads that nearly are."""
    payload = _honest_payload()
    return {
        "sealed": b"\0" + _honest(),
        "payload": b"\1" + payload,
        "not_canonical": b"\1 " + payload,
        "no_signature": b'\0{"payload":"e30=","payloadType":"%b","signatures":[]}' % PAYLOAD_TYPE.encode(),
        "deep": b"\1" + b"[" * 2000,
        "deep_envelope": b'\0{"payload":' + b"[" * 2000,
        "long_number": b'\1{"sequence":' + b"9" * 5000 + b"}",
        "surrogate": b"\1" + payload.replace(b'"bundle"', rb'"\ud800"'),
        "dots": b"\1" + payload.replace(b'"bundle"', b'".."'),
    }
