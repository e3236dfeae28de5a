"""The worker that looks at content judges identity material, too: against what was published last, and nothing else."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from diode.errors import MaterialError, PolicyError
from diode.identity import check as checking
from diode.identity.kept import Kept
from diode.identity.material import Fault
from diode.identity.rules import IdentityRules
from diode.storage.folder import Folder
from receiver.messages.questions import Question
from receiver.policy.examine import Examine, UnexaminedError, examining_here
from receiver.policy.material import NO_RULES, Material
from tests.diode.identity import metadata
from tests.diode.identity.directory import ATTRIBUTES, BASE
from tests.material import READERS, RULES, keys
from tests.openssl_ca import Authority
from tests.receiver.policy.test_examine import worker

AT = datetime(2026, 11, 29, tzinfo=UTC)
BUNDLE = "0123456789abcdef"
STANDING_IN = "tests.receiver.policy.standing_in"


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "_READERS", READERS)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A complete tree in a spool, and a copy of what was published before it, number 7."""
    data = tmp_path / "spool" / BUNDLE / "tree" / "data"
    data.mkdir(parents=True)
    (data / "a.json").write_bytes(keys(5))
    keep(tmp_path, 7, keys(4))
    return data


def keep(folder: Path, number: int, content: bytes) -> None:
    """Keep a copy."""
    files = folder / f"published{number}"
    files.mkdir()
    (files / "a.json").write_bytes(content)
    with Folder.open(files) as there:
        Kept(folder / "identity").put("test", "crls", number, there, AT, ())


def question(before: int = 0, **fields: Any) -> Question:
    """What ``store`` asks."""
    asked = Question(BUNDLE, "test", "any", (), 1, 0, (), 1, 300, "crls", before, int(AT.timestamp()))
    return replace(asked, **fields)


def refusal(ask: Examine, asked: Question) -> str:
    """Why it is refused."""
    with pytest.raises(MaterialError) as caught:
        ask(asked)
    return caught.value.reason


def test_the_words_are_those_of_the_checks() -> None:
    """Of one list in two places, since the errors stand above the checks."""
    assert tuple(Fault) == MaterialError.reasons


def test_judged_against_what_was_published(data: Path, tmp_path: Path) -> None:
    """In the worker as in this process: newer is taken, older and what vanishes are not, nor what is out of date."""
    keep(tmp_path, 9, keys(6))
    here = examining_here(tmp_path / "spool", Material(tmp_path / "identity", {"test": RULES}))
    with worker(tmp_path / "spool", STANDING_IN, {"test": RULES}) as (there, _):
        for ask in (here, there):
            ask(question())
            ask(question(7))
            assert "identity_older" == refusal(ask, question(9))
            (data / "a.json").rename(data / "b.json")
            assert "identity_sweeping" == refusal(ask, question(7))
            (data / "b.json").rename(data / "a.json")
            assert "identity_expired" == refusal(ask, question(at_s=int(datetime(2199, 1, 1, tzinfo=UTC).timestamp())))


def test_other_channels_are_not_judged_so(data: Path, tmp_path: Path) -> None:
    """And a channel whose pins were not read takes nothing."""
    (data / "a.json").write_text("no keys")
    with worker(tmp_path / "spool", STANDING_IN, {"test": RULES}) as (ask, _):
        ask(question(channel="other", at_s=0))
        assert "identity_kind" == refusal(ask, question())
        with pytest.raises(PolicyError, match=NO_RULES):
            ask(question(channel="other"))


def test_a_copy_that_cannot_be_read(data: Path, tmp_path: Path) -> None:
    """Nothing follows it; the reason says where it lies."""
    Kept(tmp_path / "identity").path("test", "crls", 7).joinpath("taken.json").write_text("{}")
    with worker(tmp_path / "spool", STANDING_IN, {"test": RULES}) as (ask, _):
        for number in (7, 8):
            with pytest.raises(MaterialError, match=str(tmp_path / "identity")) as caught:
                ask(question(number))
            assert "identity_base" == caught.value.reason
    assert data.exists()


def test_a_child_sees_its_bundle_and_one_copy(data: Path, tmp_path: Path) -> None:
    """No other copy, and no other bundle, whatever the material makes its reader do."""
    keep(tmp_path, 9, b"another")
    kept = Kept(tmp_path / "identity")
    files = [kept.path("test", "crls", number) / "files" / "a.json" for number in (7, 9)]
    other = tmp_path / "spool" / "fedcba9876543210"
    other.write_text("another")
    with worker(tmp_path / "spool", STANDING_IN, {"test": RULES}) as (ask, _):
        for place, found in zip((*files, other), (keys(4).decode()[:8], "nothing", "nothing"), strict=True):
            (data / "a.json").write_bytes(keys(5, str(place)))
            with pytest.raises(MaterialError, match="read ") as caught:
                ask(question(7))
            assert f"read {found}" in str(caught.value)


def crl(folder: Path) -> tuple[bytes, IdentityRules]:
    """A list that openssl wrote, and its pin."""
    authority = Authority(folder / "one")
    return authority.crl(1), IdentityRules(kinds=("crl",), crl_issuers=(authority.der,))


def ca_bundle(folder: Path) -> tuple[bytes, IdentityRules]:
    """An authority that openssl made."""
    return (Authority(folder / "one").folder / "ca.pem").read_bytes(), IdentityRules(kinds=("ca-bundle",))


def jwks(folder: Path) -> tuple[bytes, IdentityRules]:
    """A key that joserfc made."""
    del folder
    jwk = pytest.importorskip("joserfc.jwk")
    keys_of = [
        jwk.ECKey.generate_key("P-256", {"kid": "e", "alg": "ES256"}),
        jwk.RSAKey.generate_key(2048, {"kid": "r"}),
    ]
    content = json.dumps({"keys": [key.as_dict(private=False) for key in keys_of]}).encode()
    return content, IdentityRules(kinds=("jwks",), jwks_algorithms=("ES256", "RS256"))


def ldif(folder: Path) -> tuple[bytes, IdentityRules]:
    """A small directory."""
    del folder
    top = f"dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: e\n"
    person = f"dn: uid=a,{BASE}\nobjectClass: inetOrgPerson\nuid: a\ncn: a\nsn: a\n"
    rules = IdentityRules(kinds=("ldif",), ldif_base=BASE, ldif_attributes=ATTRIBUTES)
    return f"version: 1\n\n{top}\n{person}".encode(), rules


def saml(folder: Path) -> tuple[bytes, IdentityRules]:
    """A federation that xmlsec1 signed."""
    content = metadata.sign(folder, metadata.aggregate("https://a.example", "https://b.example"))
    return content, IdentityRules(kinds=("saml",), saml_signers=(metadata.signer("rsa").der,))


@pytest.mark.parametrize("make", [crl, ca_bundle, jwks, ldif, pytest.param(saml, marks=pytest.mark.needs("xmlsec1"))])
def test_real_kinds_in_a_confined_child(
    data: Path, tmp_path: Path, make: Callable[[Path], tuple[bytes, IdentityRules]]
) -> None:
    """Their libraries work there, with what was loaded before; also against a copy."""
    content, rules = make(tmp_path)
    keep(tmp_path, 9, content)
    (data / "a.json").write_bytes(content)
    with worker(tmp_path / "spool", identity={"test": rules}) as (ask, _):
        ask(question())
        ask(question(9))
        (data / "a.json").write_bytes(content[:-40])
        assert "identity_malformed" == refusal(ask, question(9))


@pytest.mark.parametrize("name", ["", "..", "../../keys", "a/b", "a\0b"])
def test_no_name_leads_elsewhere(data: Path, tmp_path: Path, name: str) -> None:
    """Whoever asks for a copy under such a name is not ``store`` as we know it."""
    with worker(tmp_path / "spool", STANDING_IN, {"test": RULES}) as (ask, process):
        with pytest.raises(UnexaminedError):
            ask(question(7, name=name))
        assert "Question" == list(process.mailbox.drain())[-1].kind
    assert data.exists()
