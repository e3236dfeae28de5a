"""Key sets that joserfc wrote, and what no verifier of the enclave should ever be given."""

import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey

from diode.identity import jwks
from diode.identity.jwks import Jwks
from diode.identity.material import Fault, IdentityError
from diode.identity.rules import IdentityRules
from tests.openssl_ca import openssl

AT = datetime(2026, 11, 29, tzinfo=UTC)
RULES = IdentityRules(jwks_algorithms=("RS256", "ES256", "EdDSA"))
RSA: Final = RSAKey.generate_key(2048, {"kid": "r", "alg": "RS256", "use": "sig"})
EC: Final = ECKey.generate_key("P-256", {"kid": "e", "alg": "ES256", "key_ops": ["verify"]})
ED: Final = OKPKey.generate_key("Ed25519", {"kid": "o"})
Member = dict[str, Any]


def members() -> list[Member]:
    """Three keys: one with its use, one with its operations, and one that says nothing."""
    return [dict(key.as_dict(private=False)) for key in (RSA, EC, ED)]


def written(*keys: Member) -> bytes:
    """A set."""
    return json.dumps({"keys": list(keys)}).encode()


def refusal(content: bytes, before: Jwks | None = None) -> Fault | None:
    """Why a set is refused."""
    try:
        Jwks.read(content, RULES, AT).follow(before, RULES)
    except IdentityError as error:
        caught = error
    else:
        return None
    assert len(caught.detail) < 700
    assert caught.detail.isprintable()
    return caught.fault


def test_a_set_is_taken_and_verifies() -> None:
    """Joserfc checks a token by what crossed."""
    content = written(*members())
    assert {"r", "e", "o"} == Jwks.read(content, RULES, AT).keys.keys()
    token = jwt.encode({"alg": "RS256", "kid": "r"}, {"sub": "a"}, RSA)
    assert {"sub": "a"} == jwt.decode(token, KeySet.import_key_set(json.loads(content))).claims


def test_changes_are_shown() -> None:
    """By kid, with the thumbprint; a change of what a key is for, too."""
    rsa, ec, ed = members()
    old, new = Jwks.read(written(rsa, ec), RULES, AT), Jwks.read(written(ed, ec | {"use": "sig"}), RULES, AT)
    assert [line[:7] for line in new.follow(None, RULES)] == ["+ kid o", "+ kid e"]
    gone, come, other = new.follow(old, RULES)
    assert f"- kid r (RSA, RS256, sig, thumbprint {RSA.thumbprint()})" == gone
    assert f"+ kid o (OKP, no alg, no use, thumbprint {ED.thumbprint()})" == come
    assert other.endswith(", before EC, ES256, no use")
    assert () == new.follow(new, RULES)


def test_a_kid_keeps_its_key() -> None:
    """Verifiers keep keys by their kid, and would go on with the old one."""
    other = dict(ECKey.generate_key("P-256", {"kid": "e", "alg": "ES256"}).as_dict(private=False))
    assert Fault.FORBIDDEN == refusal(written(other), Jwks.read(written(*members()), RULES, AT))


@pytest.mark.parametrize("name", ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "D", "\u212a", "priv"])
def test_private_members_are_refused(name: str) -> None:
    """Anywhere, also where a reader ignores case."""
    rsa, *others = members()
    assert Fault.FORBIDDEN == refusal(written(rsa | {name: "AQAB"}, *others))
    assert Fault.FORBIDDEN == refusal(written(rsa | {"more": [{"deep": {name: "AQAB"}}]}))
    assert Fault.FORBIDDEN == refusal(json.dumps({"keys": [rsa], name: 1}).encode())


@pytest.mark.parametrize("key", [RSA, EC, ED, OctKey.generate_key(256, {"kid": "s", "alg": "HS256"})])
def test_private_keys_are_refused(key: Any) -> None:
    """As joserfc writes them."""
    assert Fault.FORBIDDEN == refusal(written(*members()[1:2], dict(key.as_dict(private=True)) | {"kid": "x"}))


def without(name: str) -> Callable[[Member], Member]:
    """A member left out."""
    return lambda key: {each: value for each, value in key.items() if each != name}


def having(**others: Any) -> Callable[[Member], Member]:
    """Members set."""
    return lambda key: key | others


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (without("kid"), Fault.MALFORMED),
        (having(kid=""), Fault.MALFORMED),
        (having(kid=7), Fault.MALFORMED),
        (having(kid="e"), Fault.MALFORMED),
        (having(kid="x" * 257), Fault.MALFORMED),
        (having(alg="none"), Fault.FORBIDDEN),
        (having(alg="HS256"), Fault.FORBIDDEN),
        (having(alg="RS512"), Fault.FORBIDDEN),
        (having(alg="ES256"), Fault.FORBIDDEN),
        (having(alg=["RS256"]), Fault.MALFORMED),
        (having(use="enc"), Fault.FORBIDDEN),
        (having(use="all"), Fault.FORBIDDEN),
        (having(key_ops=["sign"]), Fault.MALFORMED),
        (having(key_ops=["verify", "verify"]), Fault.MALFORMED),
        (having(key_ops=["encrypt"]), Fault.MALFORMED),
        (having(key_ops="verify"), Fault.MALFORMED),
        (having(kty="oct"), Fault.FORBIDDEN),
        (having(kty="AKP"), Fault.FORBIDDEN),
        (having(Alg="RS256"), Fault.MALFORMED),
        (having(e="AAEAAQ"), Fault.MALFORMED),
        (having(e="Ag"), Fault.MALFORMED),
        (having(n="!" * 342), Fault.MALFORMED),
        (having(n="A" * 9000), Fault.MALFORMED),
        (having(x5c=[]), Fault.MALFORMED),
        (having(x5c=["AAAA"]), Fault.MALFORMED),
        (without("n"), Fault.FORBIDDEN),
        (without("e"), Fault.MALFORMED),
        (without("alg"), None),
        (having(extra={"a": [1]}), None),
    ],
)
def test_each_key_is_judged(change: Callable[[Member], Member], fault: Fault | None) -> None:
    """Names, algorithms, uses, spellings."""
    rsa, *others = members()
    assert fault == refusal(written(*others, change(rsa)))


def test_short_keys_are_refused() -> None:
    """As short as joserfc itself warns of."""
    pem = generate_private_key(65537, 1024).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.warns(match="2048"):
        short = dict(RSAKey.import_key(pem, {"kid": "s", "alg": "RS256"}).as_dict(private=False))
    assert Fault.FORBIDDEN == refusal(written(short))


def test_a_certificate_is_the_keys(tmp_path: Path) -> None:
    """Openssl's, of the same key; and the same beside another key."""
    (tmp_path / "key").write_bytes(RSA.as_pem(private=True))
    new = ("-x509", "-key", "key", "-subj", "/CN=a", "-outform", "der", "-out", "c")
    openssl("req", *new, cwd=tmp_path)
    chain = subprocess.run(["base64", "-w0", "c"], cwd=tmp_path, capture_output=True, check=True).stdout.decode()
    rsa, ec, _ = members()
    assert refusal(written(rsa | {"x5c": [chain]})) is None
    assert Fault.MALFORMED == refusal(written(ec | {"x5c": [chain]}))
    assert Fault.MALFORMED == refusal(written(rsa | {"x5c": [chain] * 11}))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys": []}',
        b'{"keys": {}}',
        b'{"keys": [1]}',
        b'{"keys": [], "keys": []}',
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
    ],
)
def test_what_is_no_set_is_refused(content: bytes) -> None:
    """Nothing, other JSON, a member twice."""
    assert Fault.MALFORMED == refusal(content)


def test_sizes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes and keys."""
    for name in ("MAX_JWKS_BYTES", "MAX_KEYS"):
        with monkeypatch.context() as patched:
            patched.setattr(jwks, name, 2)
            assert Fault.MALFORMED == refusal(written(*members()))


@settings(max_examples=300, derandomize=True)
@given(st.data())
def test_no_change_of_a_set_does_more_than_refuse_it(data: st.DataObject) -> None:
    """Bytes changed, cut out or put in; members of any value."""
    keys = members()
    if data.draw(st.booleans()):
        values = st.one_of(
            st.none(), st.integers(-9, 9), st.text(max_size=5), st.lists(st.text(max_size=3), max_size=2)
        )
        name = data.draw(st.sampled_from(["kty", "kid", "alg", "use", "key_ops", "crv", "x", "y", "n", "e", "x5c"]))
        keys[data.draw(st.integers(0, 2))][name] = data.draw(values)
    content = bytearray(written(*keys))
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    refusal(bytes(content))
