"""A key in hardware, played by SoftHSM: it signs a manifest, and never leaves its token."""

import os
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from diode.errors import UsageError
from diode.trust.keys import read_any_signer, read_public_key
from diode.trust.roles import open_manifest, seal_manifest
from tests.link import make_bundle
from tests.needs import SOFTHSM, need
from tests.patience import PATIENCE_S
from tests.trusted import anyone

PIN = "1234"


@pytest.fixture
def public(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A token with an ECDSA key of number 2; its public half in a file."""
    pkcs11 = pytest.importorskip("pkcs11", reason="pip install 'diode[hsm]'")
    need("softhsm2")
    library = next(path for path in SOFTHSM if Path(path).exists())
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm2.conf").write_text(f"directories.tokendir = {tmp_path / 'tokens'}\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(tmp_path / "softhsm2.conf"))
    monkeypatch.setenv("PYKCS11LIB", str(library))
    monkeypatch.setattr("getpass.getpass", lambda _: PIN)
    init = ["softhsm2-util", "--init-token", "--free", "--label", "alice", "--pin", PIN, "--so-pin", PIN]
    subprocess.run(init, check=True, capture_output=True, env=os.environ, timeout=PATIENCE_S)
    token = next(pkcs11.lib(str(library)).get_tokens(token_label="alice"))
    with token.open(rw=True, user_pin=PIN) as session:
        curve = {pkcs11.Attribute.EC_PARAMS: pkcs11.util.ec.encode_named_curve_parameters("secp256r1")}
        parameters = session.create_domain_parameters(pkcs11.KeyType.EC, curve, local=True)
        key, _ = parameters.generate_keypair(store=True, id=b"\x02", label="signing")
        der = pkcs11.util.ec.encode_ec_public_key(key)
    path = tmp_path / "alice.pub"
    path.write_bytes(load_der_public_key(der).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


def test_a_manifest_signed_in_hardware(public: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It verifies as any other; a wrong number, PIN or token is said in one line."""
    manifest = make_bundle({"a": b"1"}).manifest
    signer = read_any_signer("hsm:2?label=alice", public)
    sealed = seal_manifest(manifest, [signer])[1]
    trust = anyone([read_public_key(public)])
    assert manifest == open_manifest(sealed, trust).manifest
    with pytest.raises(UsageError, match="hsm:9"):
        seal_manifest(manifest, [read_any_signer("hsm:9?label=alice", public)])
    with pytest.raises(UsageError, match="bob"):
        seal_manifest(manifest, [read_any_signer("hsm:2?label=bob", public)])


def test_its_public_half_is_needed() -> None:
    """A token is not asked for it."""
    with pytest.raises(UsageError, match="--public"):
        read_any_signer("hsm:2", None)
