"""Revocation lists that ``openssl ca`` wrote, and openssl's own word on each."""

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from diode.identity import crl as crls
from diode.identity.crl import Crl, check_deltas
from diode.identity.material import Fault, IdentityError
from diode.identity.rules import IdentityRules
from tests.openssl_ca import Authority

AT = datetime(2026, 11, 29, tzinfo=UTC)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that revoked ``bad`` after its first list."""
    return Authority(tmp_path_factory.mktemp("pki") / "one")


@pytest.fixture(scope="module")
def rules(one: Authority) -> IdentityRules:
    """They pin it."""
    return IdentityRules(crl_issuers=(one.der,), crl_lag_days=14)


@pytest.fixture(scope="module")
def first(one: Authority) -> bytes:
    """A list, in PEM, that revokes nothing."""
    return one.crl(5)


@pytest.fixture(scope="module")
def second(one: Authority, first: bytes) -> bytes:
    """The next one. It revokes the certificate ``bad.pem``."""
    one.revoke(one.certificate("bad"))
    return one.crl(6, "20261102")


def refusal(content: bytes, rules: IdentityRules, before: Crl | None = None) -> Fault | None:
    """Why these lists are refused, by themselves or after those ``before``."""
    try:
        Crl.read(content, rules, AT).follow(before, rules)
    except IdentityError as error:
        caught = error
    else:
        return None
    assert len(caught.detail) < 600
    assert caught.detail.isprintable()
    return caught.fault


def is_verified(folder: Path, content: bytes, authority: Authority) -> bool:
    """Openssl's word on the signature."""
    (folder / "asked.crl").write_bytes(content)
    asked = ("openssl", "crl", "-noout", "-verify", "-CAfile", str(authority.folder / "ca.pem"), "-in", "asked.crl")
    return b"verify OK" in subprocess.run(asked, cwd=folder, capture_output=True, check=False).stderr


def is_valid(folder: Path, content: bytes, authority: Authority, certificate: str) -> bool:
    """Openssl's word on a certificate by that list, at the moment AT."""
    (folder / "asked.crl").write_bytes(content)
    files = ("-CAfile", str(authority.folder / "ca.pem"), "-CRLfile", "asked.crl")
    asked = ("openssl", "verify", "-crl_check", "-attime", str(int(AT.timestamp())), *files)
    path = str(authority.folder / certificate)
    return not subprocess.run([*asked, path], cwd=folder, capture_output=True, check=False).returncode


def test_the_next_list_follows(first: bytes, second: bytes, rules: IdentityRules) -> None:
    """What it revokes is counted for those who approve."""
    old, new = Crl.read(first, rules, AT), Crl.read(second, rules, AT)
    assert ("+ the revocation list of CN=one: number 5 of 2026-11-01T00:00:00Z, 0 revoked",) == old.follow(None, rules)
    line = "the revocation list of CN=one: number 6 of 2026-11-02T00:00:00Z, 1 revoked, 1 new"
    assert (line,) == new.follow(old, rules)
    assert () == new.follow(new, rules)
    assert datetime(2026, 11, 2, tzinfo=UTC) == new.dated


def test_what_is_no_longer_revoked_is_said(one: Authority, second: bytes, rules: IdentityRules) -> None:
    """An authority may leave out certificates that are over. Nobody but people can tell that from an un-revocation."""
    index = one.folder / "index.txt"
    kept = index.read_text()
    index.write_text("")
    try:
        new = Crl.read(one.crl(7, "20261103"), rules, AT)
    finally:
        index.write_text(kept)
    old = Crl.read(second, rules, AT)
    [serial] = next(iter(old.lists.values())).revoked
    [line] = new.follow(old, rules)
    assert line.endswith(f", 0 revoked, 0 new, 1 no longer revoked: {serial:x}")


def test_der_and_pem_are_the_same_list(second: bytes, rules: IdentityRules) -> None:
    """So a path may change its form, and text around the block may change."""
    der = subprocess.run(["openssl", "crl", "-outform", "der"], input=second, capture_output=True, check=True).stdout
    said = subprocess.run(["openssl", "crl", "-text"], input=second, capture_output=True, check=True).stdout
    for other in (der, said):
        assert () == Crl.read(other, rules, AT).follow(Crl.read(second, rules, AT), rules)


def test_openssl_agrees(tmp_path: Path, one: Authority, first: bytes, second: bytes, rules: IdentityRules) -> None:
    """On the signature, and on what the list that is taken revokes."""
    assert is_verified(tmp_path, second, one)
    assert is_valid(tmp_path, first, one, "bad.pem")
    assert not is_valid(tmp_path, second, one, "bad.pem")
    [each] = Crl.read(second, rules, AT).lists.values()
    bad = x509.load_pem_x509_certificate((one.folder / "bad.pem").read_bytes())
    assert {bad.serial_number} == each.revoked


def test_an_issuer_of_the_same_name_is_not_the_pinned_one(tmp_path: Path, one: Authority, rules: IdentityRules) -> None:
    """Nor for openssl."""
    forged = Authority(tmp_path / "other").crl(9)
    assert Fault.SIGNATURE == refusal(forged, rules)
    assert not is_verified(tmp_path, forged, one)


def test_a_list_of_another_issuer_is_refused(tmp_path: Path, rules: IdentityRules) -> None:
    """However well it is signed."""
    assert Fault.SIGNATURE == refusal(Authority(tmp_path / "two", "/CN=two").crl(9), rules)


def test_an_issuer_that_may_not_sign_lists_is_refused(tmp_path: Path) -> None:
    """Its keyUsage has no cRLSign. Openssl refuses a certificate by such a list, too."""
    other = Authority(tmp_path / "other", crl_sign=False)
    other.certificate("good")
    content = other.crl(1)
    assert Fault.SIGNATURE == refusal(content, IdentityRules(crl_issuers=(other.der,)))
    assert not is_valid(tmp_path, content, other, "good.pem")


def test_two_pins_of_one_name(tmp_path: Path, one: Authority, first: bytes) -> None:
    """An authority that changes its key is pinned twice for a while. The change is said."""
    new = Authority(tmp_path / "new")
    rules = IdentityRules(crl_issuers=(one.der, new.der))
    old = Crl.read(first, rules, AT)
    [line] = Crl.read(new.crl(8, "20261108"), rules, AT).follow(old, rules)
    assert line.endswith(", signed by another key than before")


@pytest.mark.parametrize(
    ("number", "day", "fault"),
    [
        (4, "20261030", Fault.OLDER),
        (4, "20261102", Fault.OLDER),
        (5, "20261102", Fault.OLDER),
        (6, "20261030", Fault.OLDER),
        (6, "20261101", Fault.OLDER),
        (6, "20261102", None),
    ],
)
def test_number_and_date_rise(
    one: Authority, first: bytes, rules: IdentityRules, number: int, day: str, fault: Fault | None
) -> None:
    """Number 5 of the 1st was taken: another 5, a lower number of a later day, and a higher one of an earlier day."""
    assert fault == refusal(one.crl(number, day), rules, Crl.read(first, rules, AT))


@pytest.mark.parametrize(
    ("day", "until"), [("20261130", "20270101"), ("20261001", "20261101"), ("20261101", "20261213")]
)
def test_dates_are_judged_at_the_check(
    tmp_path: Path, one: Authority, rules: IdentityRules, day: str, until: str
) -> None:
    """Of a day that is yet to come; over; over before the link's lag has passed."""
    content = one.crl(9, day, until)
    assert Fault.EXPIRED == refusal(content, rules)
    one.certificate("well")
    assert (until > "20261129" > day) == is_valid(tmp_path, content, one, "well.pem")


def test_a_delta_needs_its_base(one: Authority, second: bytes, rules: IdentityRules) -> None:
    """A complete list of at least the number that the delta builds upon, in any file of the item."""
    complete = Crl.read(second, rules, AT)  # number 6
    deltas = {base: Crl.read(one.crl(8, "20261103", kind="delta", base=base), rules, AT) for base in (5, 6, 7)}
    for base, delta in deltas.items():
        if base <= 6:
            check_deltas({"a.crl": complete, "b.crl": delta})
        else:
            with pytest.raises(IdentityError, match=r"b\.crl: the delta .* number 7 to 8") as caught:
                check_deltas({"a.crl": complete, "b.crl": delta})
            assert Fault.BASE == caught.value.fault
    with pytest.raises(IdentityError):
        check_deltas({"b.crl": deltas[5]})
    newer = Crl.read(one.crl(9, "20261104"), rules, AT)
    with pytest.raises(IdentityError):  # the delta is the older one, and could take entries out
        check_deltas({"a.crl": newer, "b.crl": deltas[5]})


def test_a_delta_of_another_key_has_no_base(tmp_path: Path, one: Authority, second: bytes) -> None:
    """Of the same name and pinned as well."""
    other = Authority(tmp_path / "other")
    rules = IdentityRules(crl_issuers=(one.der, other.der))
    delta = Crl.read(other.crl(7, "20261103", kind="delta", base=6), rules, AT)
    with pytest.raises(IdentityError):
        check_deltas({"a": Crl.read(second, rules, AT), "b": delta})


def test_a_list_may_not_leave_its_file(one: Authority, first: bytes, second: bytes, rules: IdentityRules) -> None:
    """A delta may, once a complete list that is as new is there. A part's list is one of its own."""
    delta, scoped = one.crl(7, "20261103", kind="delta", base=5), one.crl(7, "20261103", kind="scoped")
    before = Crl.read(first + delta, rules, AT)
    assert Fault.SWEEPING == refusal(second, rules, before)
    assert Fault.SWEEPING == refusal(delta, rules, before)
    new = one.crl(7, "20261103")
    assert any(line.startswith("- the delta") for line in Crl.read(new, rules, AT).follow(before, rules))
    assert Fault.SWEEPING == refusal(second, rules, Crl.read(first + scoped, rules, AT))
    assert refusal(second + scoped, rules, Crl.read(first + scoped, rules, AT)) is None
    assert Fault.MALFORMED == refusal(first + second, rules)


@pytest.mark.parametrize(("kind", "fault"), [("indirect", Fault.FORBIDDEN), ("strange", Fault.MALFORMED)])
def test_what_is_not_understood_is_refused(one: Authority, rules: IdentityRules, kind: str, fault: Fault) -> None:
    """Lists that speak for other issuers, and critical extensions that nobody knows here."""
    assert fault == refusal(one.crl(9, kind=kind), rules)


def test_weak_signatures_are_refused(one: Authority, rules: IdentityRules) -> None:
    """Openssl still writes SHA-1."""
    assert Fault.SIGNATURE == refusal(one.crl(9, digest="sha1"), rules)


def built(number: int | None, reason: x509.ReasonFlags | None = None) -> tuple[bytes, IdentityRules]:
    """What openssl does not write: a list without a number, or one that takes an entry out; signed by Ed25519."""
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ed")])
    day, until = datetime(2026, 11, 1, tzinfo=UTC), datetime(2027, 11, 1, tzinfo=UTC)
    pin = x509.CertificateBuilder(name, name, key.public_key(), 1, day, until).sign(key, None)
    builder = x509.CertificateRevocationListBuilder(name, day, until)
    if number is not None:
        builder = builder.add_extension(x509.CRLNumber(number), critical=False)
    if reason:
        entry = x509.RevokedCertificateBuilder(7, day).add_extension(x509.CRLReason(reason), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    signed = builder.sign(key, None)
    return signed.public_bytes(Encoding.DER), IdentityRules(crl_issuers=(pin.public_bytes(Encoding.DER),))


def test_a_list_has_a_number() -> None:
    """Signed by EdDSA, which names no hash."""
    assert refusal(*built(1)) is None
    assert refusal(*built(1, x509.ReasonFlags.key_compromise)) is None
    assert Fault.MALFORMED == refusal(*built(None))
    assert Fault.MALFORMED == refusal(*built(1, x509.ReasonFlags.remove_from_crl))


def test_a_list_says_when_the_next_one_comes() -> None:
    """It may leave that out by X.509 (not by RFC 5280), and is good for ever then."""
    content, rules = built(1)
    until = b"\x17\x0d271101000000Z"
    assert 1 == content.count(until)
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    tbs = x509.load_der_x509_crl(content).tbs_certlist_bytes.replace(until, b"")
    tbs = tbs[:1] + bytes([tbs[1] - len(until)]) + tbs[2:]
    algorithm = bytes.fromhex("300506032b6570")
    body = tbs + algorithm + b"\x03\x41\x00" + key.sign(tbs)
    assert Fault.MALFORMED == refusal(b"\x30\x81" + bytes([len(body)]) + body, rules)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        lambda text: b"see -----BEGIN X509 CRL-----\n" + text,
        lambda text: text.replace(b"-----END", b"====-----END"),
        lambda text: text[: len(text) // 2],
        lambda text: text.replace(b"\n", b"\n\0", 1),
        lambda text: b"\xff\n" + text,
        lambda text: b"-----BEGIN X509 CRL-----\n-----END X509 CRL-----\n",
        lambda text: b"",
        lambda text: b"\x30\x03\x02\x01\x01",
    ],
)
def test_other_files_are_refused(first: bytes, rules: IdentityRules, change: Callable[[bytes], bytes]) -> None:
    """Other blocks, marks inside lines, blocks without an end, bytes that are no text."""
    assert refusal(change(first), rules) in {Fault.MALFORMED, Fault.FORBIDDEN}


def test_sizes_are_bounded(monkeypatch: pytest.MonkeyPatch, first: bytes, second: bytes, rules: IdentityRules) -> None:
    """Bytes, lists and certificates of a file."""
    for name, most in (("MAX_CRL_BYTES", 10), ("MAX_CRLS", 0), ("MAX_REVOKED", 0)):
        with monkeypatch.context() as patched:
            patched.setattr(crls, name, most)
            assert Fault.MALFORMED == refusal(second, rules)


@settings(max_examples=300, derandomize=True)
@given(st.data())
def test_no_change_of_a_list_does_more_than_refuse_it(second: bytes, rules: IdentityRules, data: st.DataObject) -> None:
    """Bytes changed, cut out or put in, of the DER and of the PEM."""
    der = x509.load_pem_x509_crl(second).public_bytes(Encoding.DER)
    content = bytearray(data.draw(st.sampled_from([der, second])))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    refusal(bytes(content), rules)
