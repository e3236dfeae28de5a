"""The vectors of ``envelopes/``: who has signed what (docs/bundle-format.md, section "Envelope").

Keys are made from fixed numbers, and every signature is the only one that its key makes: the files never change by
themselves. Nothing of ``diode`` or of securesystemslib is used.
"""

import base64
import hashlib
import json
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    SECP384R1,
    EllipticCurvePrivateKey,
    derive_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.vectors.datagrams import Vector

MANIFEST_TYPE = "application/vnd.diode.manifest.v1+json"
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
PAYLOAD = b'{"both of + and /":">>>???~~~"}'  # as base64 spells it, with two = at the end


class Signer(NamedTuple):
    """A private key, and what others know of it."""

    private: Ed25519PrivateKey | EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        """Its public half."""
        public = self.private.public_key()
        return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    @property
    def key_id(self) -> str:
        """SHA-256 over the text of the page."""
        if isinstance(self.private, Ed25519PrivateKey):
            raw = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
            text = f'{{"keytype":"ed25519","keyval":{{"public":"{raw}"}},"scheme":"ed25519"}}'
        else:
            scheme = f"ecdsa-sha2-nistp{self.private.curve.key_size}"
            text = f'{{"keytype":"ecdsa","keyval":{{"public":"{self.pem}"}},"scheme":"{scheme}"}}'
        return hashlib.sha256(text.encode()).hexdigest()

    def sign(self, data: bytes) -> bytes:
        """As the page says for its kind of key."""
        if isinstance(self.private, Ed25519PrivateKey):
            return self.private.sign(data)
        hashed = SHA256() if self.private.curve.key_size == 256 else SHA384()
        return self.private.sign(data, ECDSA(hashed, deterministic_signing=True))


ALICE, BOB, MALLORY = (Signer(Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32)) for n in (1, 2, 3))
P256, P384 = Signer(derive_private_key(0x1234567, SECP256R1())), Signer(derive_private_key(0x1234567, SECP384R1()))


def pae(payload: bytes, payload_type: str = MANIFEST_TYPE) -> bytes:
    """What is signed."""
    return b"DSSEv1 %d %s %d %s" % (len(payload_type), payload_type.encode(), len(payload), payload)


def base64_of(data: bytes) -> str:
    """The one spelling."""
    return base64.b64encode(data).decode()


def canonical(value: Any) -> str:
    """Canonical JSON."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def signature(signer: Signer, data: bytes | None = None, **changes: Any) -> dict[str, Any]:
    """One entry of ``signatures``."""
    signed = signer.sign(pae(PAYLOAD) if data is None else data)
    return {"keyid": signer.key_id, "sig": base64_of(signed)} | changes


def fields(*signatures: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """An envelope as a value."""
    return {"payload": base64_of(PAYLOAD), "payloadType": MANIFEST_TYPE, "signatures": list(signatures)} | changes


def envelope(says: str, text: str | dict[str, Any], *signed: Signer, keys: tuple[Signer, ...] = (ALICE, BOB)) -> Vector:
    """What one file of ``envelopes/`` holds."""
    return {
        "says": says,
        "payload_type": MANIFEST_TYPE,
        "keys": {key.key_id: key.pem for key in keys},
        "envelope": (text if isinstance(text, str) else canonical(text)).encode().hex(),
        "signed_by": [signer.key_id for signer in signed],
        "payload": PAYLOAD.hex() if signed else None,
    }


def high_s(der: bytes) -> bytes:
    """The other signature of the same message by the same key."""
    r, s = decode_dss_signature(der)
    return encode_dss_signature(r, P256_ORDER - s)


def low_s(der: bytes) -> bytes:
    """The one with the smaller s."""
    _, s = decode_dss_signature(der)
    return der if s <= P256_ORDER // 2 else high_s(der)


def raw_rs(der: bytes) -> bytes:
    """The 64 bytes that P1363 has."""
    r, s = decode_dss_signature(der)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def good_envelopes() -> dict[str, Vector]:
    """Envelopes that at least one known key has signed."""
    a, b, m = signature(ALICE), signature(BOB), signature(MALLORY)
    der = P256.sign(pae(PAYLOAD))
    return {
        "good_one_signature": envelope("one signature", fields(a), ALICE),
        "good_two_signatures": envelope("two", fields(*sorted([a, b], key=lambda s: s["keyid"])), ALICE, BOB),
        "good_in_another_order": envelope(
            "signatures not sorted", fields(*sorted([a, b], key=lambda s: s["keyid"], reverse=True)), ALICE, BOB
        ),
        "good_a_stranger_as_well": envelope("one of a key that is not known", fields(a, m), ALICE),
        "good_one_of_two_is_wrong": envelope("Bob's is Mallory's", fields(a, m | {"keyid": BOB.key_id}), ALICE),
        "good_blanks": envelope("an envelope need not be canonical", json.dumps(fields(a), indent=1), ALICE),
        "good_other_fields": envelope("other fields count for nothing", fields(a | {"x": [1]}, x=None), ALICE),
        "good_what_is_ignored_may_be": envelope(
            "escapes, -0, 19 digits, 15 arrays in one another",
            canonical(fields(a)).replace(
                "{", '{"a":["\\/\\u0041\\ud83d\\ude00",-0,' + "9" * 19 + "]," + '"b":' + "[" * 15 + "]" * 15 + ",", 1
            ),
            ALICE,
        ),
        "good_ecdsa_p256": envelope("P-256 and SHA-256, DER", fields(signature(P256)), P256, keys=(P256,)),
        "good_ecdsa_p384": envelope("P-384 and SHA-384, DER", fields(signature(P384)), P384, keys=(P384,)),
        "good_ecdsa_low_s": envelope(
            "s is the smaller one", fields(signature(P256, sig=base64_of(low_s(der)))), P256, keys=(P256,)
        ),
        "good_ecdsa_high_s": envelope(
            "s is the larger one", fields(signature(P256, sig=base64_of(high_s(low_s(der))))), P256, keys=(P256,)
        ),
    }


def untrusted_envelopes() -> dict[str, Vector]:
    """Envelopes that can be read, and that nobody known has signed."""
    a, other = signature(ALICE), b'{"other":1}'
    der, private = P256.sign(pae(PAYLOAD)), P256.private
    assert isinstance(private, EllipticCurvePrivateKey)
    sha384 = private.sign(pae(PAYLOAD), ECDSA(SHA384(), deterministic_signing=True))
    return {
        "trust_of_a_stranger": envelope("by a key that is not known", fields(signature(MALLORY))),
        "trust_no_signature": envelope("by nobody", fields()),
        "trust_key_id_of_nobody": envelope(
            "Alice's signature under the id of no key: it is tried with none", fields(a | {"keyid": "0" * 64})
        ),
        "trust_empty_key_id": envelope("Alice's signature without an id", fields(a | {"keyid": ""})),
        "trust_key_id_in_capitals": envelope("an id is compared as it is", fields(a | {"keyid": a["keyid"].upper()})),
        "signature_key_id_of_another": envelope("Alice's under Bob's id", fields(a | {"keyid": BOB.key_id})),
        "signature_payload_changed": envelope("another payload", fields(a, payload=base64_of(other))),
        "signature_over_the_payload_alone": envelope("not over the PAE", fields(signature(ALICE, PAYLOAD))),
        "signature_of_another_type": envelope(
            "over the PAE of another type", fields(signature(ALICE, pae(PAYLOAD, "application/x")))
        ),
        "signature_over_base64": envelope(
            "over the PAE of the base64 text", fields(signature(ALICE, pae(base64_of(PAYLOAD).encode())))
        ),
        "signature_ecdsa_raw": envelope(
            "r and s side by side, not DER", fields(signature(P256, sig=base64_of(raw_rs(der)))), keys=(P256,)
        ),
        "signature_ecdsa_of_another_hash": envelope(
            "P-256 with SHA-384", fields(signature(P256, sig=base64_of(sha384))), keys=(P256,)
        ),
    }


def unread_envelopes() -> dict[str, Vector]:
    """Texts that are no envelope of this type, whoever signed them."""
    a = signature(ALICE)
    text, standard = canonical(fields(a)), base64_of(PAYLOAD)
    loose = standard[:-3] + chr(ord(standard[-3]) + 1) + "==" if standard.endswith("==") else ""
    assert loose
    assert base64.b64decode(loose) == PAYLOAD
    deep = "[" * 17 + "]" * 17
    unsigned = {name: value for name, value in fields(a).items() if name != "signatures"}
    many = [a | {"keyid": f"{n:064x}"} for n in range(65)]
    return {
        "manifest_another_type": envelope("of another payload type", fields(a, payloadType="application/x")),
        "manifest_base64_url_safe": envelope(
            "the alphabet with - and _", fields(a, payload=standard.replace("+", "-").replace("/", "_"))
        ),
        "manifest_base64_without_padding": envelope("no = at the end", fields(a, payload=standard.rstrip("="))),
        "manifest_base64_loose_bits": envelope("bits that say nothing are not zero", fields(a, payload=loose)),
        "manifest_base64_line_end": envelope("a line end in it", fields(a, payload=standard[:8] + "\n" + standard[8:])),
        "manifest_base64_of_a_signature": envelope("no base64", fields(a | {"sig": "!" + a["sig"]})),
        "manifest_one_key_id_twice": envelope("two signatures of one key id", fields(a, a)),
        "manifest_65_signatures": envelope("more than 64 signatures", fields(*many)),
        "manifest_no_signatures_field": envelope("a field is missing", unsigned),
        "manifest_no_key_id": envelope("a signature without keyid", fields({"sig": a["sig"]})),
        "manifest_key_id_is_a_number": envelope("keyid is no text", fields(a | {"keyid": 1})),
        "manifest_a_key_twice": envelope("payload is there twice", text.replace("{", '{"payload":"",', 1)),
        "manifest_byte_order_mark": envelope("a byte order mark", "\ufeff" + text),
        "manifest_nested": envelope("17 arrays in one another", text.replace("{", '{"a":' + deep + ",", 1)),
        "manifest_nested_by_one": envelope(
            "16 arrays in one another, within the envelope", text.replace("{", '{"a":' + deep[1:-1] + ",", 1)
        ),
        "manifest_half_a_surrogate_pair": envelope("half a character", text.replace("{", '{"a":"\\ud800",', 1)),
        "manifest_20_digits": envelope("an integer of 20 digits", text.replace("{", '{"a":' + "1" * 20 + ",", 1)),
        "manifest_exponent": envelope("a number with an exponent", text.replace("{", '{"a":1e2,', 1)),
        "manifest_fraction": envelope("a number that is no integer", text.replace("{", '{"a":1.5,', 1)),
        "manifest_text_behind_it": envelope("text behind the envelope", text + "x"),
        "manifest_array": envelope("no object", "[]"),
        "manifest_utf_16": envelope("not UTF-8", text) | {"envelope": text.encode("utf-16").hex()},
    }


def envelopes() -> dict[str, Vector]:
    """All of them, by file name without suffix."""
    return good_envelopes() | untrusted_envelopes() | unread_envelopes()
