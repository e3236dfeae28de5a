"""SAML metadata: what is read is what xmlsec1 finds signed by the pinned key, and nothing else."""

import base64
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree
from signxml import CanonicalizationMethod, DigestAlgorithm, SignatureMethod, XMLSigner

from diode.identity.material import Fault, IdentityError
from diode.identity.rules import IdentityRules
from diode.identity.saml import MOST_ATTRIBUTES, MOST_NODES, Saml
from tests.diode.identity.metadata import (
    AT,
    DSIG,
    ENVELOPED,
    EXCLUSIVE,
    MD,
    MORE,
    UNTIL,
    aggregate,
    entity,
    is_signed,
    sign,
    signer,
    template,
)
from tests.needs import need

A: Final = "https://a.example"
B: Final = "https://b.example"
C: Final = "https://c.example"
EVIL: Final = "https://evil.example"


@pytest.fixture(autouse=True)
def _xmlsec1() -> None:
    need("xmlsec1")


def rules(*names: str, lag: float = 7) -> IdentityRules:
    """A channel that pins these signers."""
    return IdentityRules(saml_signers=tuple(signer(name).der for name in names or ("rsa",)), saml_lag_days=lag)


def read(content: bytes, by: IdentityRules | None = None, at: datetime = AT) -> Saml:
    """One file, by itself."""
    return Saml().read(content, by or rules(), at)


def fault_of(content: bytes, by: IdentityRules | None = None, at: datetime = AT) -> Fault:
    """Why a file is refused."""
    with pytest.raises(IdentityError) as caught:
        read(content, by, at)
    assert caught.value.detail.isprintable()
    assert len(caught.value.detail) < 500
    return caught.value.fault


def test_what_xmlsec1_signs_is_read(tmp_path: Path) -> None:
    """The oracle finds it signed by the pinned key, and by no other."""
    content = sign(tmp_path, aggregate(A, B))
    found = read(content)
    assert {A, B} == found.entities.keys()
    assert (datetime(2026, 10, 31, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)) == (found.dated, found.until)
    assert is_signed(tmp_path, content)
    assert not is_signed(tmp_path, content, "rsa other")
    assert Fault.SIGNATURE == fault_of(content, rules("rsa other"))
    assert Fault.SIGNATURE == fault_of(content, IdentityRules())
    assert {A, B} == read(content, rules("rsa other", "rsa")).entities.keys()


@pytest.mark.parametrize(
    ("by", "method", "name"),
    [
        ("rsa", SignatureMethod.RSA_SHA256, DigestAlgorithm.SHA256),
        ("rsa", SignatureMethod.RSA_SHA512, DigestAlgorithm.SHA512),
        ("ec", SignatureMethod.ECDSA_SHA256, DigestAlgorithm.SHA384),
    ],
)
def test_what_signxml_signs_is_read(tmp_path: Path, by: str, method: SignatureMethod, name: DigestAlgorithm) -> None:
    """A single entity, too; xmlsec1 agrees."""
    text = entity(A).replace("<md:Entity", f'<md:Entity xmlns:md="{MD}" ID="root" validUntil="{UNTIL}" ', 1)
    text = re.sub(r'Entity (xmlns.*?" )Descriptor', r"EntityDescriptor \1", text)
    tool = XMLSigner(
        signature_algorithm=method, digest_algorithm=name, c14n_algorithm=CanonicalizationMethod(EXCLUSIVE)
    )
    key, certificate = signer(by).key, signer(by).certificate
    signed = tool.sign(etree.fromstring(text), key=key, cert=[certificate], reference_uri="#root", id_attribute="ID")
    content = etree.tostring(signed)
    assert {A} == read(content, rules(by)).entities.keys()
    assert is_signed(tmp_path, content, by)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (A.encode(), EVIL.encode()),
        (UNTIL.encode(), b"2036-12-01T00:00:00Z"),
        (b"PT6H", b"PT9H"),
        (b"</md:Extensions>", b"</md:Extensions>" + entity(EVIL).encode()),
        (entity(B).encode(), b""),
    ],
    ids=["entity", "validUntil", "cacheDuration", "added", "removed"],
)
def test_what_was_tampered_with_is_refused(tmp_path: Path, old: bytes, new: bytes) -> None:
    """The oracle refuses it, too."""
    content = sign(tmp_path, aggregate(A, B))
    tampered = content.replace(old, new)
    assert tampered != content
    assert not is_signed(tmp_path, tampered)
    assert Fault.SIGNATURE == fault_of(tampered)


def test_a_certificate_of_the_document_counts_for_nothing(tmp_path: Path) -> None:
    """An attacker signs with a key of its own and brings the certificate along."""
    assert Fault.SIGNATURE == fault_of(sign(tmp_path, aggregate(EVIL), by="rsa other"))


SHA1: Final = "http://www.w3.org/2000/09/xmldsig#sha1"


@pytest.mark.parametrize(
    "signature",
    [
        template(method="http://www.w3.org/2000/09/xmldsig#rsa-sha1"),
        template(digest=SHA1),
        template(uri=""),
        template(transforms=(ENVELOPED,)),
        template(transforms=(ENVELOPED, "http://www.w3.org/TR/2001/REC-xml-c14n-20010315")),
        template(canonical="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"),
        template(transforms=(ENVELOPED, EXCLUSIVE, EXCLUSIVE)),
        template(
            more=f'<ds:Reference URI="#root"><ds:Transforms><ds:Transform Algorithm="{ENVELOPED}"/>'
            f'<ds:Transform Algorithm="{EXCLUSIVE}"/></ds:Transforms>'
            f'<ds:DigestMethod Algorithm="{MORE}sha384"/><ds:DigestValue/></ds:Reference>'
        ),
    ],
    ids=["RSA-SHA1", "SHA-1", "no ID", "no c14n", "inclusive", "SignedInfo inclusive", "three", "two"],
)
def test_weak_and_roundabout_signatures_are_refused(tmp_path: Path, signature: str) -> None:
    """Though each is made with the pinned key."""
    assert Fault.SIGNATURE == fault_of(sign(tmp_path, aggregate(A, signature=signature)))


def _parts(content: bytes) -> tuple[str, str, str]:
    """A signed file: its tree without the signature, the signature, and the whole tree, without a declaration."""
    whole = content.decode().partition("?>")[2].strip()
    found = re.search(r"<ds:Signature .*</ds:Signature>", whole, re.DOTALL)
    assert found is not None
    return whole.replace(found[0], ""), found[0], whole


def _evil(inside: str, name: str = "evil") -> str:
    """A tree of an attacker, with ``inside`` as its first child."""
    text = aggregate(EVIL, signature=inside, until="2036-01-01T00:00:00Z").partition("?>")[2].strip()
    return text.replace('ID="root"', f'ID="{name}"', 1)


def _into_signature(signature: str, inside: str) -> str:
    return signature.replace("</ds:Signature>", f"{inside}</ds:Signature>")


# XSW1 to XSW8 of "On Breaking SAML: Be Whoever You Want to Be" (Somorovsky et al., 2012), for metadata: in 1 and 2 the
# whole message moves, in 3 to 8 the signed part alone.
WRAPPED: Final[dict[str, Callable[[str, str, str], str]]] = {
    "1": lambda bare, signature, whole: _evil(_into_signature(signature, bare)),
    "2": lambda bare, signature, whole: _evil(bare + signature),
    "3": lambda bare, signature, whole: _evil(whole),
    "4": lambda bare, signature, whole: (
        _evil(whole).replace("</md:EntitiesDescriptor>", "", 1) + "</md:EntitiesDescriptor>"
    ),
    "5": lambda bare, signature, whole: _evil(signature).replace(
        "</md:EntitiesDescriptor>", bare + "</md:EntitiesDescriptor>"
    ),
    "6": lambda bare, signature, whole: _evil(_into_signature(signature, f"<ds:Object>{bare}</ds:Object>")),
    "7": lambda bare, signature, whole: _evil(f"<md:Extensions>{whole}</md:Extensions>"),
    "8": lambda bare, signature, whole: _evil(
        signature.replace("</ds:KeyInfo>", f"</ds:KeyInfo><ds:Object>{bare}</ds:Object>")
    ),
    "same ID": lambda bare, signature, whole: _evil(bare + signature, "root"),
    "same ID, inside out": lambda bare, signature, whole: _evil(signature + bare, "root"),
    "key info": lambda bare, signature, whole: whole.replace("</ds:KeyInfo>", f"{entity(EVIL)}</ds:KeyInfo>"),
    "two signatures": lambda bare, signature, whole: whole.replace(signature, signature + signature),
    "beside": lambda bare, signature, whole: whole + f"<!-- {entity(EVIL)} -->",
    "two roots": lambda bare, signature, whole: whole + _evil(""),
}


@pytest.mark.parametrize("how", WRAPPED)
def test_wrapped_signatures_are_refused(tmp_path: Path, how: str) -> None:
    """Nothing is read that lies around what was signed, wherever that has gone."""
    wrapped = WRAPPED[how](*_parts(sign(tmp_path, aggregate(A)))).encode()
    assert fault_of(wrapped) in (Fault.SIGNATURE, Fault.MALFORMED)


@pytest.mark.parametrize("where", ["2", "3", "same ID", "key info"])
def test_attacks_are_real(tmp_path: Path, where: str) -> None:
    """Some that xmlsec1 takes, because what was signed is in there somewhere, are refused here."""
    wrapped = WRAPPED[where](*_parts(sign(tmp_path, aggregate(A)))).encode()
    assert etree.fromstring(wrapped).findall(f".//{{{MD}}}EntityDescriptor[@entityID='{EVIL}']")
    assert (where in {"2", "3", "key info"}) == is_signed(tmp_path, wrapped)


def _with_dtd(dtd: str, content: bytes) -> bytes:
    return content.replace(b"?>\n", b"?>\n" + dtd.encode(), 1)


LAUGHS: Final = "<!DOCTYPE x [<!ENTITY a0 'ha'>" + "".join(
    f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 12)
)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: _with_dtd('<!DOCTYPE x SYSTEM "http://evil.example/x.dtd">', content),
        lambda content: _with_dtd('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>', content),
        lambda content: _with_dtd(LAUGHS + "]>", content).replace(A.encode(), b"&a11;"),
        lambda content: _with_dtd("<!DOCTYPE x [<!ATTLIST x ID ID #IMPLIED>]>", content),
        lambda content: content.replace(A.encode(), b"&unknown;"),
        lambda content: content.replace(b"<md:Extensions>", b"<?php echo 1 ?><md:Extensions>"),
        lambda content: content.replace(b"?>\n", b"?><?xml-stylesheet href='http://evil.example/x'?>\n", 1),
        lambda content: content.decode().replace("UTF-8", "UTF-16").encode("utf-16"),
        lambda content: content.replace(b"UTF-8", b"ISO-8859-1"),
        lambda content: content.replace(b'version="1.0"', b'version="1.1"'),
        lambda content: content.replace(b"?>\n", b"?>\n<!-- before -->", 1),
        lambda content: content + b"<!-- after -->",
        lambda content: content.replace(b"<ds:SignatureValue>", b"<ds:SignatureValue><!-- -->"),
        lambda content: content.replace(b"<md:Extensions>", b"<md:Extensions>" + b"<a>" * 300 + b"</a>" * 300),
        lambda content: content.replace(b"<md:Extensions>", b"<md:Extensions>" + b"<a/>" * MOST_NODES),
        lambda content: content.replace(
            b"<md:Extensions>", b"<md:Extensions " + b" ".join(b'a%d=""' % n for n in range(MOST_ATTRIBUTES + 1)) + b">"
        ),
        lambda content: content.replace(
            b"<md:Extensions>", b"<md:Extensions " + b" ".join(b'xmlns:a%d="b"' % n for n in range(65)) + b">"
        ),
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: b"<md:Other/>",
    ],
)
def test_what_programs_read_differently_is_refused(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    """Whether or not the signature covers it."""
    assert fault_of(change(sign(tmp_path, aggregate(A)))) in (Fault.MALFORMED, Fault.SIGNATURE)


def test_a_comment_does_not_shorten_a_text(tmp_path: Path) -> None:
    """The signature does not cover a comment, and some programs read the first half of a text alone."""
    names = "<md:Organization><md:OrganizationName>a.example.evil.example</md:OrganizationName></md:Organization>"
    content = sign(tmp_path, aggregate(A, inside=entity(B, names)))
    shortened = content.replace(b"a.example.evil", b"a.example<!-- -->.evil")
    assert is_signed(tmp_path, shortened)
    assert Fault.MALFORMED == fault_of(shortened)
    between = content.replace(b"<md:Organization>", b"<!-- terms of use --><md:Organization>")
    assert read(content).entities == read(between).entities


@pytest.mark.parametrize(
    "text",
    [
        aggregate(A, A),
        aggregate(),
        aggregate(""),
        aggregate(" https://a.example"),
        aggregate("https://" + "a" * 1024),
        aggregate(A, until=None),
        aggregate(A, until="2026-12-01T00:00:00"),
        aggregate(A, until="2026-12-01T00:00:00+02:00"),
        aggregate(A, until="2026-13-01T00:00:00Z"),
        aggregate(A, created="yesterday"),
        aggregate(A, inside=f"<md:Extensions>{entity(B)}</md:Extensions>"),
        aggregate(A, inside='<md:Extensions ID="root2"/><md:Extensions Id="root2"/>'),
    ],
)
def test_signed_nonsense_is_refused(tmp_path: Path, text: str) -> None:
    """A signature does not make it better."""
    assert Fault.MALFORMED == fault_of(sign(tmp_path, text))


def test_it_lasts_for_the_lag_at_least(tmp_path: Path) -> None:
    """Of the channel, from the check on."""
    content = sign(tmp_path, aggregate(A))
    until = datetime(2026, 12, 1, tzinfo=UTC)
    assert until == read(content, at=until - timedelta(days=7)).until
    assert Fault.EXPIRED == fault_of(content, at=until - timedelta(days=7) + timedelta(seconds=1))
    assert Fault.EXPIRED == fault_of(content, rules(lag=0), until + timedelta(seconds=1))


def test_changes_are_told_by_entity(tmp_path: Path) -> None:
    """Added, removed, and changed in anything that counts."""
    before = read(sign(tmp_path, aggregate(A, B)))
    later = sign(tmp_path, aggregate(C, created="2026-10-31T12:00:00Z", inside=entity(B, "<md:Extensions/>")))
    assert (f"removed entity {A}", f"added entity {C}", f"changed entity {B}") == read(later).follow(before, rules())
    assert () == before.follow(before, rules())


def test_many_changes_are_counted(tmp_path: Path) -> None:
    """People are shown the first ones, and no character that hides."""
    names = [f"https://{number}.example/\u202e" for number in range(300)]
    lines = read(sign(tmp_path, aggregate(*names))).follow(None, rules())
    assert 100 == len(lines)
    assert "and 201 more changes" == lines[-1]
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize(
    ("until", "created", "follows"),
    [
        ("2026-12-01T00:00:00Z", "2026-10-31T00:00:01Z", True),
        ("2026-12-02T00:00:00Z", "2026-10-31T00:00:01Z", True),
        ("2026-11-30T00:00:00Z", "2026-10-31T00:00:01Z", False),
        ("2026-12-02T00:00:00Z", "2026-10-30T00:00:00Z", False),
        ("2026-12-02T00:00:00Z", "", False),
        ("2026-12-01T00:00:00Z", "2026-10-31T00:00:00Z", False),
    ],
)
def test_neither_date_falls(tmp_path: Path, until: str, created: str, follows: bool) -> None:
    """And equal dates have equal bytes."""
    before = read(sign(tmp_path, aggregate(A)))
    now = read(sign(tmp_path, aggregate(A, B, until=until, created=created)))
    if follows:
        assert (f"added entity {B}",) == now.follow(before, rules())
    else:
        with pytest.raises(IdentityError) as caught:
            now.follow(before, rules())
        assert Fault.OLDER == caught.value.fault


def test_a_pin_that_is_no_certificate_signs_nothing(tmp_path: Path) -> None:
    """It is a refusal, not a crash."""
    assert Fault.SIGNATURE == fault_of(sign(tmp_path, aggregate(A)), replace(rules(), saml_signers=(b"nonsense",)))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_change_of_bytes_raises_anything_else(tmp_path: Path, data: st.DataObject) -> None:
    """What is accepted after a change is what was signed."""
    whole = _signed_once(tmp_path)
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 40)))
    tokens = [
        b"<!--x-->",
        b"&lt;",
        b"<a>",
        b"</",
        b'"',
        b"\x00",
        b"\xff",
        b"<![CDATA[",
        b"#",
        base64.b64encode(b"x" * 30),
    ]
    piece = data.draw(st.one_of(st.binary(max_size=20), st.sampled_from(tokens), st.just(whole[end : end + 300])))
    try:
        found = read(whole[:start] + piece + whole[end:])
    except IdentityError:
        return
    assert read(whole).entities == found.entities


_CACHE: Final[list[bytes]] = []


def _signed_once(where: Path) -> bytes:
    if not _CACHE:
        _CACHE.append(sign(where, aggregate(A, B)))
    assert DSIG.encode() in _CACHE[0]
    return _CACHE[0]
