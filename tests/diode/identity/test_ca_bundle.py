"""Bundles of authorities: those of this machine and of certifi, and what ``openssl`` makes."""

import ssl
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from diode.identity import ca_bundle
from diode.identity.ca_bundle import CaBundle
from diode.identity.material import Fault, IdentityError
from diode.identity.rules import IdentityRules
from tests.openssl_ca import Authority, openssl

AT = datetime(2026, 11, 29, tzinfo=UTC)
RULES = IdentityRules(ca_days=14)
REAL = (Path("/etc/ssl/certs/ca-certificates.crt"), Path(certifi.where()))
pytestmark = pytest.mark.filterwarnings("ignore:Parsed a serial number which wasn't positive")  # of a real root


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority."""
    return Authority(tmp_path_factory.mktemp("pki") / "one")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Another one."""
    return Authority(tmp_path_factory.mktemp("pki") / "two", "/CN=two")


def pem_of(authority: Authority) -> bytes:
    """Its certificate."""
    return (authority.folder / "ca.pem").read_bytes()


def refusal(content: bytes) -> tuple[Fault | None, str]:
    """Why a bundle is refused, and what is said."""
    try:
        CaBundle.read(content, RULES, AT)
    except IdentityError as error:
        caught = error
    else:
        return None, ""
    assert len(caught.detail) < 600
    assert caught.detail.isprintable()
    return caught.fault, caught.detail


def loaded(content: bytes) -> int:
    """How many authorities Python's ssl takes out of a bundle."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=content.decode())
    return len(context.get_ca_certs(binary_form=True))


def made(folder: Path, *arguments: str, subject: str = "/CN=made") -> bytes:
    """A root that ``openssl req`` makes, good for 100 years of which those before AT count too."""
    (folder / "index.txt").touch()
    (folder / "c.cnf").write_text(
        "[req]\ndistinguished_name=n\n[n]\n[root]\nbasicConstraints=critical,CA:TRUE\n[leaf]\nbasicConstraints=CA:FALSE\n"
        "[nosign]\nbasicConstraints=CA:TRUE\nkeyUsage=digitalSignature\n[odd]\nbasicConstraints=CA:TRUE\n"
        "1.2.3.4=critical,DER:0500\n[v1]\n"
        "[ca]\ndefault_ca=o\n[o]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n"
    )
    named = dict(zip(arguments[::2], arguments[1::2], strict=True))
    key = named.get("key", "rsa:2048").split("=")
    new_key = ("-newkey", key[0], *(("-pkeyopt", f"ec_paramgen_curve:{key[1]}") if len(key) > 1 else ()))
    openssl("req", "-config", "c.cnf", *new_key, "-nodes", "-keyout", "k", "-subj", subject, "-out", "r", cwd=folder)
    begin, end = named.get("begin", "20200101"), named.get("end", "20991231")
    days = ("-startdate", f"{begin}000000Z", "-enddate", f"{end}000000Z", "-extensions", named.get("kind", "root"))
    files = ("-batch", "-rand_serial", "-notext", "-in", "r", "-out", "o", "-md", named.get("digest", "sha256"))
    openssl("ca", "-config", "c.cnf", "-selfsign", "-keyfile", "k", *days, *files, cwd=folder)
    return (folder / "o").read_bytes()


@pytest.mark.parametrize("path", REAL, ids=["system", "certifi"])
def test_real_bundles_are_taken(path: Path) -> None:
    """But for authorities that are over: those are refused by name. SHA-1 below a root's own name is no matter."""
    if not path.exists():
        pytest.skip("this system has no bundle of authorities")
    whole = path.read_bytes()
    certificates = x509.load_pem_x509_certificates(whole)
    good = [each for each in certificates if each.not_valid_after_utc.year > 2026]
    content = whole if len(good) == len(certificates) else b"".join(each.public_bytes(Encoding.PEM) for each in good)
    assert len(good) == len(CaBundle.read(content, RULES, AT).subjects) == loaded(content)
    if len(good) < len(certificates):
        assert Fault.EXPIRED == refusal(whole)[0]


def test_text_between_blocks_is_taken(one: Authority, two: Authority) -> None:
    """As certifi and openssl write it."""
    content = openssl("x509", "-text", "-in", "ca.pem", cwd=one.folder) + b"\n# dn: \xc3\xa9\n" + pem_of(two)
    assert ["CN=one", "CN=two"] == list(CaBundle.read(content, RULES, AT).subjects.values())
    assert 2 == loaded(content.replace("é".encode(), b"e"))


def test_changes_are_shown(one: Authority, two: Authority) -> None:
    """By subject and fingerprint, as openssl prints it."""
    old, new = CaBundle.read(pem_of(one), RULES, AT), CaBundle.read(two.der, RULES, AT)
    printed = openssl("x509", "-noout", "-fingerprint", "-sha256", "-in", "ca.pem", cwd=two.folder)
    fingerprint = printed.decode().split("=")[1].strip().replace(":", "").lower()
    assert (f"+ CN=two (SHA-256 {fingerprint})",) == new.follow(None, RULES)
    gone, come = new.follow(old, RULES)
    assert (gone[:7], come) == ("- CN=on", f"+ CN=two (SHA-256 {fingerprint})")
    assert () == new.follow(new, RULES)


def test_many_changes_are_counted(one: Authority) -> None:
    """What people are shown is bounded."""
    many = CaBundle(subjects={number.to_bytes(32, "big"): f"CN={number}" for number in range(500)})
    lines = CaBundle.read(pem_of(one), RULES, AT).follow(many, RULES)
    assert (100, "and 402 more changes") == (len(lines), lines[-1])


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ((), None),
        (("key", "ec=P-256"), None),
        (("key", "ed25519"), None),
        (("digest", "sha1"), None),
        (("key", "rsa:1024"), Fault.FORBIDDEN),
        (("key", "ec=secp224r1"), Fault.FORBIDDEN),
        (("kind", "leaf"), Fault.FORBIDDEN),
        (("kind", "nosign"), Fault.FORBIDDEN),
        (("kind", "odd"), Fault.MALFORMED),
        (("begin", "20261130"), Fault.EXPIRED),
        (("end", "20261128"), Fault.EXPIRED),
        (("end", "20261212"), Fault.EXPIRED),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_each_is_an_authority_in_date(tmp_path: Path, arguments: tuple[str, ...], fault: Fault | None) -> None:
    """Of a strong key. A root's own signature may be old."""
    digest = {"digest": "null"} if "ed25519" in arguments else {}
    content = made(tmp_path, *arguments, *(item for pair in digest.items() for item in pair))
    assert fault == refusal(content)[0]
    if fault is None:
        assert 1 == loaded(content)


def test_version_one_is_refused(tmp_path: Path) -> None:
    """It cannot say that it is an authority's."""
    new = ("-newkey", "rsa:2048", "-nodes", "-keyout", "k", "-subj", "/CN=v1", "-out", "r")
    openssl("req", *new, cwd=tmp_path)
    content = openssl("x509", "-req", "-in", "r", "-signkey", "k", "-days", "40000", cwd=tmp_path)
    fault, detail = refusal(content)
    assert Fault.FORBIDDEN == fault
    assert "version 1" in detail


def test_a_weak_signature_by_another_is_refused(one: Authority, tmp_path: Path) -> None:
    """An intermediate authority's is relied upon."""
    signed = (
        "-req",
        "-in",
        str(tmp_path / "r"),
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-days",
        "30000",
        "-set_serial",
        "7",
    )
    made(tmp_path, subject="/CN=below")
    for digest, fault in (("sha1", Fault.FORBIDDEN), ("sha256", None)):
        extensions = ("-extfile", str(tmp_path / "c.cnf"), "-extensions", "root")
        content = openssl("x509", *signed, *extensions, f"-{digest}", cwd=one.folder)
        begin = x509.load_pem_x509_certificate(content).not_valid_before_utc
        try:
            CaBundle.read(content, RULES, begin)
            found = None
        except IdentityError as error:
            found = error.fault
        assert fault == found


def test_a_damaged_root_is_refused(one: Authority) -> None:
    """One bit of its signature, which leaves it readable."""
    der = bytearray(one.der)
    der[-1] ^= 1
    assert Fault.SIGNATURE == refusal(bytes(der))[0]


def test_private_keys_are_refused_by_name(one: Authority) -> None:
    """What is no certificate does not cross, and least of all a key."""
    fault, detail = refusal(pem_of(one) + (one.folder / "ca.key").read_bytes())
    assert (Fault.FORBIDDEN, "it holds a PEM block that is no CERTIFICATE: PRIVATE KEY") == (fault, detail)


@pytest.mark.parametrize("form", ["trusted", "pkcs7", "pkcs7-der", "cms"])
def test_the_command_that_is_named_makes_a_bundle(one: Authority, tmp_path: Path, form: str) -> None:
    """Of what openssl writes in other containers."""
    ca = str(one.folder / "ca.pem")
    chain = ("crl2pkcs7", "-nocrl", "-certfile", ca)
    written = {
        "trusted": lambda: openssl("x509", "-trustout", "-in", ca, "-addtrust", "serverAuth", cwd=tmp_path),
        "pkcs7": lambda: openssl(*chain, cwd=tmp_path),
        "pkcs7-der": lambda: openssl(*chain, "-outform", "DER", cwd=tmp_path),
        "cms": lambda: openssl(*chain, cwd=tmp_path).replace(b" PKCS7-", b" CMS-"),
    }[form]()
    fault, detail = refusal(written)
    assert Fault.FORBIDDEN == fault
    (tmp_path / "FILE").write_bytes(written)
    subprocess.run(["sh", "-c", detail.partition(": ")[2]], cwd=tmp_path, check=True)
    assert ["CN=one"] == list(CaBundle.read((tmp_path / "NEW").read_bytes(), RULES, AT).subjects.values())


def test_duplicates_and_others_are_refused(one: Authority, two: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the same; bytes behind; nothing; too much."""
    assert Fault.MALFORMED == refusal(pem_of(one) + pem_of(two) + pem_of(one))[0]
    assert Fault.MALFORMED == refusal(one.der + b"\0")[0]
    assert Fault.MALFORMED == refusal(b"")[0]
    monkeypatch.setattr(ca_bundle, "MAX_BUNDLE_BYTES", 10)
    assert Fault.MALFORMED == refusal(one.der)[0]


@settings(max_examples=100, derandomize=True)
@given(st.data())
def test_no_change_of_a_bundle_does_more_than_refuse_it(one: Authority, two: Authority, data: st.DataObject) -> None:
    """Bytes changed, cut out or put in. What is taken, Python's ssl loads."""
    content = bytearray(data.draw(st.sampled_from([one.der, pem_of(one) + pem_of(two)])))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    if refusal(bytes(content))[0] is None and content.startswith(b"-----BEGIN"):
        assert content.count(b"-----BEGIN") == loaded(bytes(content))
