"""Which kind a file is of, by what stands in it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diode.identity.telling import HEAD_BYTES, kinds_of
from tests.openssl_ca import Authority, openssl

SAML = b'<?xml version="1.0"?>\n<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata">'


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority."""
    return Authority(tmp_path_factory.mktemp("pki") / "one")


def test_pki_is_told_by_its_structure(one: Authority) -> None:
    """DER of all of them begins with the same byte."""
    crl, ca = one.crl(1), (one.folder / "ca.pem").read_bytes()
    pkcs7 = ("crl2pkcs7", "-nocrl", "-certfile", "ca.pem", "-outform")
    assert ("crl",) == kinds_of(crl) == kinds_of(one.crl(1, form="der")) == kinds_of(one.crl(1, form="der")[:60])
    assert ("ca-bundle",) == kinds_of(ca) == kinds_of(one.der) == kinds_of(one.der[:200])
    assert ("ca-bundle",) == kinds_of(openssl(*pkcs7, "DER", cwd=one.folder))
    assert ("ca-bundle",) == kinds_of(openssl(*pkcs7, "PEM", cwd=one.folder))
    assert ("ca-bundle", "crl") == kinds_of(ca + crl)
    key = openssl("pkey", "-in", "ca.key", "-outform", "der", cwd=one.folder)
    assert () == kinds_of(key)


@pytest.mark.parametrize("comment", [b"dn: cn=a\n", b"version: 1\n", b"# <EntityDescriptor >\n", b'x {"keys": [\n'])
def test_a_comment_makes_no_second_kind(one: Authority, comment: bytes) -> None:
    """Certificates are often told about beside them."""
    assert ("ca-bundle",) == kinds_of(comment + (one.folder / "ca.pem").read_bytes())
    assert ("crl",) == kinds_of(comment + one.crl(1))


@pytest.mark.parametrize(
    ("content", "kinds"),
    [
        (SAML, ("saml",)),
        (b"\xef\xbb\xbf<EntityDescriptor>", ("saml",)),
        (b"<!-- dn: -->\n" + SAML, ("saml",)),
        (b' {"keys" : [', ("jwks",)),
        (b"version: 1\ndn: cn=a\n", ("ldif",)),
        (b"# of today\n  and more\n\ndn:: Y249YQ==\n", ("ldif",)),
        (b"cn: a\ndn: cn=a\n", ()),
        (b"# dn: cn=a\n", ()),
        (b"text -----BEGIN CERTIFICATE-----\n", ()),
        (b"", ()),
        (b"0", ()),
        (b"\x30\x80", ()),
        (SAML + b"\n-----BEGIN CERTIFICATE-----\n", ("ca-bundle", "saml")),
    ],
)
def test_text_is_told_by_its_begin(content: bytes, kinds: tuple[str, ...]) -> None:
    """And what could be read as two kinds is said to be both."""
    assert kinds == kinds_of(content)


@settings(derandomize=True)
@given(st.binary(max_size=200))
def test_any_bytes_are_told(content: bytes) -> None:
    """Nothing is raised."""
    assert set(kinds_of(b"\x30" + content)) <= {"crl", "ca-bundle"}
    kinds_of(content)


def test_long_heads_are_told_soon() -> None:
    """No pattern walks the head again and again. Here are what would make it do so."""
    for piece in (b"<", b"<a", b"a.", b"# \n", b'{"keys"', b"-----BEGIN ", b"\n"):
        assert isinstance(kinds_of(b"<" + piece * (HEAD_BYTES // len(piece))), tuple)
