"""Settings of a channel of identity material."""

import datetime as dt
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import ValidationError

from diode.config.identity import Identity
from diode.config.receiver import Channel
from diode.config.sender import SenderConfig
from diode.errors import UsageError


def certificate(name: str) -> x509.Certificate:
    """One that signs itself."""
    key, now = generate_private_key(SECP256R1()), dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    dated = made.serial_number(1).not_valid_before(now).not_valid_after(now + dt.timedelta(days=9))
    return dated.sign(key, SHA256())


def test_pins_are_read_once(tmp_path: Path) -> None:
    """One file may hold several certificates, with text between them."""
    found = [certificate(name) for name in ("a", "b", "c")]
    (tmp_path / "two.pem").write_bytes(b"text\n".join(one.public_bytes(Encoding.PEM) for one in found[:2]))
    (tmp_path / "one.pem").write_bytes(found[2].public_bytes(Encoding.PEM))
    identity = Identity(kinds=("crl",), crl_issuers=(tmp_path / "two.pem", tmp_path / "one.pem"), crl_lag_days=3)
    rules = identity.rules()
    assert [one.public_bytes(Encoding.DER) for one in found] == list(rules.crl_issuers)
    assert (("crl",), 3.0) == (rules.kinds, rules.crl_lag_days)


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_pin_file_without_certificates_is_named(tmp_path: Path, content: bytes | None) -> None:
    """At start, not at the first item."""
    if content is not None:
        (tmp_path / "ca.pem").write_bytes(content)
    with pytest.raises(UsageError, match=r"ca\.pem"):
        Identity(kinds=("crl",), crl_issuers=(tmp_path / "ca.pem",)).rules()


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to type."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"pip install 'diode\[identity\]'"):
        Identity(kinds=("jwks",), jwks_algorithms=("ES256",)).rules()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kinds": []}, "at least 1"),
        ({"kinds": ["pgp"]}, "crl"),
        ({"kinds": ["crl"]}, "needs crl_issuers"),
        ({"kinds": ["saml"]}, "needs saml_signers"),
        ({"kinds": ["jwks"]}, "needs jwks_algorithms"),
        ({"kinds": ["ldif"], "ldif_base": "dc=x"}, "needs ldif_attributes"),
        ({"kinds": ["ldif"], "ldif_attributes": ["cn"]}, "needs ldif_base"),
        ({"kinds": ["ca-bundle", "ca-bundle"]}, "twice"),
        ({"kinds": ["ca-bundle"], "ldif_base": "dc=x"}, "does not name ldif"),
    ],
)
def test_settings_that_judge_nothing_are_refused(settings: dict[str, object], said: str) -> None:
    """A kind without its pins would take anything, or nothing."""
    with pytest.raises(ValidationError, match=said):
        Identity.model_validate(settings)


def test_authorities_take_two_people() -> None:
    """On either side, and by whichever section says so."""
    identity = {"kinds": ["ca-bundle"]}
    sender = {"link": {"to": "127.0.0.1:9000"}, "channels": {"pki": {"intake": {"identity": identity}}}}
    with pytest.raises(ValidationError, match="two people"):
        SenderConfig.model_validate(sender)
    assert SenderConfig.model_validate(sender | {"send": {"approvals": 2}}).approvals("pki") == 2
    with pytest.raises(ValidationError, match="two people"):
        Channel.model_validate({"identity": identity})
    assert Channel.model_validate({"identity": identity, "signatures": 2}).identity is not None


def test_a_channel_that_never_goes_back_has_no_drills() -> None:
    """A drill goes back."""
    identity = {"kinds": ["jwks"], "jwks_algorithms": ["EdDSA"]}
    with pytest.raises(ValidationError, match="drill_days"):
        Channel.model_validate({"identity": identity, "drill_days": 30})
