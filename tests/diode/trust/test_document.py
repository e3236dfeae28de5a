"""The trust document: as people write it, as it is signed, and how one follows another."""

from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner

from diode.audit.verify import read_service_keys
from diode.errors import (
    ContentError,
    ExpiredError,
    ExpiredKeyError,
    ManifestError,
    ReplayError,
    RevokedKeyError,
    ThresholdError,
    TrustError,
    UsageError,
)
from diode.formats.canonical import canonical
from diode.formats.dsse import parse_public_key, seal
from diode.trust.document import (
    MAX_TRUST_BYTES,
    TRUST_TYPE,
    TrustDocument,
    build_document,
    open_first,
    open_next,
    read_document,
)
from diode.trust.keys import read_public_key
from diode.trust.roles import open_manifest, seal_manifest
from tests.enclave import public_pem
from tests.link import make_bundle

ALICE, ALICE_2, BOB, CAROL = (CryptoSigner.generate_ed25519() for _ in range(4))
NOW = "2026-06-01T00:00:00Z"
SOURCE = """
version = {version}
expires = {expires}
[persons]
alice = ["alice.pub"]
bob = [{{ file = "bob.pub", not_before = 2026-01-01, expires = 2027-01-01T00:00:00Z }}]
carol = ["carol.pub"]
[root]
persons = ["alice", "bob", "carol"]
threshold = 2
[channels."*"]
persons = ["alice", "bob"]
threshold = 1
[channels.cve]
persons = ["alice", "bob"]
threshold = 2
[revoked]
{revoked}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where people's public keys lie."""
    for name, signer in (("alice", ALICE), ("alice.2", ALICE_2), ("bob", BOB), ("carol", CAROL)):
        (tmp_path / f"{name}.pub").write_text(public_pem(signer))
    return tmp_path


def built(folder: Path, text: str = SOURCE, **fields: object) -> TrustDocument:
    """What a TOML file says."""
    values = {"version": 1, "expires": "2028-01-01", "revoked": "", **fields}
    (folder / "trust.toml").write_text(text.format(**values))
    return build_document(folder / "trust.toml", 0.0)


def sealed(document: TrustDocument, *signers: CryptoSigner) -> bytes:
    """Signed by these."""
    return seal(canonical(document.model_dump()), TRUST_TYPE, signers, MAX_TRUST_BYTES)


# by OpenSSL 3.0: a public key on brainpoolP256t1, which OpenSSL knows and cryptography does not load
BRAINPOOL = """\
-----BEGIN PUBLIC KEY-----
MFowFAYHKoZIzj0CAQYJKyQDAwIIAQEIA0IABH5Qk/8RQtXLgSasqJWV4Wtzr2Zm
cHdq+rJ685a8YiWQiNIbV7B1a3gwZMLlpCb81ss5XmCW+n55+iiePB7vgZo=
-----END PUBLIC KEY-----
"""
OF_NO_KIND = "-----BEGIN PUBLIC KEY-----\nMA4wBAYCKgMDBgAAAAAAAA==\n-----END PUBLIC KEY-----\n"


@pytest.mark.parametrize("pem", [BRAINPOOL, OF_NO_KIND], ids=["a curve", "a kind"])
def test_a_key_of_a_kind_that_is_not_known(folder: Path, pem: str) -> None:
    """Whoever signs such a document, or puts such a file into a folder of keys, gets a reason and no traceback."""
    with pytest.raises(ValueError, match="not known"):
        parse_public_key(pem.encode())
    (folder / "strange.pub").write_text(pem)
    with pytest.raises(UsageError):
        read_public_key(folder / "strange.pub")
    with pytest.raises(UsageError):
        read_service_keys([folder / "strange.pub"])
    fields = built(folder).model_dump()
    fields["persons"]["alice"][0]["public"] = pem
    with pytest.raises(ManifestError):
        read_document(seal(canonical(fields), TRUST_TYPE, [ALICE], MAX_TRUST_BYTES))


def test_as_people_write_it(folder: Path) -> None:
    """Dates of TOML are moments in UTC; who may sign, and how many must."""
    document = open_first(sealed(built(folder), ALICE, CAROL), NOW)
    (entry,) = document.persons["bob"]
    assert ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z") == (entry.not_before, entry.expires)
    bundle = make_bundle({"a": b"1"}, signers=[ALICE])
    payload = seal_manifest(bundle.manifest, [ALICE])[1]
    assert ["alice"] == [s.person for s in open_manifest(payload, document.trust, NOW).signatures]
    cve = seal_manifest(bundle.manifest.model_copy(update={"channel": "cve"}), [ALICE])[1]
    with pytest.raises(ThresholdError):
        open_manifest(cve, document.trust, NOW)


def test_keys_count_in_their_time(folder: Path) -> None:
    """By the clock of whoever verifies; what was accepted in time stays accepted."""
    trust = built(folder).trust
    manifest = seal_manifest(make_bundle({"a": b"1"}).manifest, [BOB])[1]
    open_manifest(manifest, trust, NOW)
    for early_or_late in ("2025-12-31T23:59:59Z", "2027-01-01T00:00:00Z"):
        with pytest.raises(ExpiredKeyError):
            open_manifest(manifest, trust, early_or_late)
    open_manifest(manifest, trust, None)


def test_revoked(folder: Path) -> None:
    """With its reason, also when it was accepted before."""
    trust = built(folder, revoked=f'{BOB.public_key.keyid} = "lost on a train"').trust
    manifest = seal_manifest(make_bundle({"a": b"1"}).manifest, [BOB])[1]
    for now in (NOW, None):
        with pytest.raises(RevokedKeyError, match="lost on a train"):
            open_manifest(manifest, trust, now)
    open_manifest(seal_manifest(make_bundle({"a": b"1"}).manifest, [BOB, ALICE])[1], trust, NOW)


def test_the_first_is_signed_by_its_own_root(folder: Path) -> None:
    """By enough of it."""
    document = built(folder)
    for signers in ([], [ALICE], [ALICE_2, CryptoSigner.generate_ed25519()]):
        with pytest.raises(TrustError):
            open_first(sealed(document, *signers), NOW)
    with pytest.raises(ExpiredError):
        open_first(sealed(document, ALICE, CAROL), "2028-01-01T00:00:00Z")


def test_the_next_is_signed_by_both_roots(folder: Path) -> None:
    """Old and new: neither takes over the other alone."""
    before = built(folder)
    text = SOURCE.replace('persons = ["alice", "bob", "carol"]\nthreshold = 2', 'persons = ["carol"]\nthreshold = 1')
    after = built(folder, text, version=2)
    assert 2 == open_next(sealed(after, ALICE, CAROL), before, NOW).version
    for signers in ([CAROL], [ALICE, BOB]):
        with pytest.raises(TrustError):
            open_next(sealed(after, *signers), before, NOW)


def test_a_rotated_key(folder: Path) -> None:
    """Alice lost hers: the others vouch for her new one, and her old one counts no more."""
    before = built(folder)
    text = SOURCE.replace('["alice.pub"]', '["alice.pub", "alice.2.pub"]')
    after = built(folder, text, version=2, revoked=f'{ALICE.public_key.keyid} = "lost"')
    document = open_next(sealed(after, BOB, CAROL), before, NOW)
    manifest = make_bundle({"a": b"1"}).manifest
    open_manifest(seal_manifest(manifest, [ALICE_2])[1], document.trust, NOW)
    with pytest.raises(RevokedKeyError):
        open_manifest(seal_manifest(manifest, [ALICE])[1], document.trust, NOW)


@pytest.mark.parametrize("version", [1, 2])
def test_never_back(folder: Path, version: int) -> None:
    """An older one, or another one of the same number."""
    before = built(folder, version=2)
    with pytest.raises(ReplayError):
        open_next(sealed(built(folder, version=version), ALICE, BOB), before, NOW)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('carol = ["carol.pub"]', 'carol = ["alice.pub"]'),
        ('carol = ["carol.pub"]', "carol = []"),
        ('carol = ["carol.pub"]', ""),
        ('persons = ["alice", "bob"]', 'persons = ["alice", "alice"]'),
        ("threshold = 2", "threshold = 9"),
        ("threshold = 2", "threshold = 0"),
        ("version = {version}", ""),
        ("version = {version}", "version = 1\nsurprise = 1"),
        ('["alice.pub"]', '["nobody.pub"]'),
        ('["alice.pub"]', '["trust.toml"]'),
        ('["alice.pub"]', "7"),
        ("[persons]", "[persons"),
    ],
)
def test_what_cannot_be_meant(folder: Path, old: str, new: str) -> None:
    """Said in one line, with the file's name."""
    assert old in SOURCE
    with pytest.raises(UsageError, match=r"trust\.toml"):
        built(folder, SOURCE.replace(old, new))


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"\xff", b"{" * 100_000, b'{"payload":"","payloadType":"x","signatures":[]}']
)
def test_what_is_no_document(data: bytes) -> None:
    """Refused, whatever it is."""
    with pytest.raises(ManifestError):
        open_first(data, NOW)


def test_a_document_that_is_not_canonical(folder: Path) -> None:
    """One byte string for one document."""
    payload = canonical(built(folder).model_dump()).replace(b'"version":1', b'"version": 1')
    with pytest.raises(ContentError):
        open_first(seal(payload, TRUST_TYPE, [ALICE, BOB], MAX_TRUST_BYTES), NOW)
