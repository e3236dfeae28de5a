"""One bundle looked into: its card, its own date, its claims; what is wrong with it is told and hides nothing else."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from diode.errors import BytesError
from diode.layouts.kinds import Kind
from diode.storage.folder import Folder
from receiver.catalogue.card import Card, Claim, Fact
from receiver.describe.describing import CARD_FILE, Answer, describe
from receiver.describe.makers import MAKERS
from receiver.describe.protocols import Described, Made, Maker
from receiver.messages.pipeline import MAX_CLAIMS
from receiver.messages.questions import MAX_FACTS, DescribeBundle
from tests.published import BUILT, publish

FILES = {"a.bin": b"a" * 1000, "b.bin": b"b"}
EARLY = "2026-03-01T00:00:00Z"
LATE = "2026-12-01T00:00:00Z"


def look(folder: Path, asked: DescribeBundle, makers: Mapping[Kind, Maker] = MAKERS, **options: Any) -> Answer:
    """Look into what was published."""
    out = folder / "out"
    out.mkdir(exist_ok=True)
    version = Folder.open(folder / "inbox" / asked.channel / asked.name / asked.version)
    return describe(asked, version, out, makers=makers, **options)


def source(**fields: Any) -> bytes:
    """A source.json of the bundle that these tests publish."""
    return json.dumps({"format": "diode-source-1", "kind": "model", "name": "org/name", **fields}).encode()


def test_a_card_has_the_table_and_what_makers_found(tmp_path: Path) -> None:
    """Digests beside SHA-256 only where somebody asks for them."""

    def maker(one: Described) -> Made:
        assert (one.channel, one.name, one.version, one.built) == ("c", "org--name", "v1", BUILT)
        assert b"b" == one.files.read("b.bin", 10)
        claims = [Claim("pypi", "num-py", "Num.Py"), Claim("pypi", "num-py", "num_py")]
        facts = [Fact("pypi", "k", b"1"), Fact("pypi", "k", b"2")]
        return Made(facts, claims, ["odd"], {"a.bin"}, {"b.bin", "gone"})

    asked = publish(tmp_path / "inbox", FILES, serve=("pypi",), executable={"b.bin"})
    claims, described = look(tmp_path, asked, {"pypi": maker})
    assert [("num-py", "Num.Py")] == [name for one in claims for name in one.names]
    assert "pypi: odd; 'gone' is not in the bundle" == described.problem
    with closing(Card(tmp_path / "out" / CARD_FILE)) as card:
        a, b = card.files()
        assert (a.path, a.size, a.sha512, a.blake2b) == ("a.bin", 1000, hashlib.sha512(FILES["a.bin"]).hexdigest(), "")
        assert (b.sha512, b.blake2b) == ("", hashlib.blake2b(b"b", digest_size=32).hexdigest())
        assert (False, True) == (a.is_executable, b.is_executable)
        assert b"2" == card.fact("pypi", "k")
    assert [CARD_FILE] == [path.name for path in (tmp_path / "out").iterdir()]


@pytest.mark.parametrize("fields", [{}, {"files": {"a.bin": {"sha1": hashlib.sha1(FILES["a.bin"]).hexdigest()}}}])
def test_its_own_date_is_upstreams(tmp_path: Path, fields: dict[str, Any]) -> None:
    """As its source.json says."""
    asked = publish(tmp_path / "inbox", FILES | {"source.json": source(uploaded=EARLY, **fields)})
    _, described = look(tmp_path, asked)
    assert (EARLY, "source.json", "") == (described.dated, described.dated_by, described.problem)


def test_without_a_date_it_is_the_build_and_said_to_be(tmp_path: Path) -> None:
    """Also where what says one lies."""
    files = {"source.json": source(uploaded=LATE), "Release": b"Date: Tue, 01 Dec 2026 00:00:00 UTC\n"}
    _, described = look(tmp_path, publish(tmp_path / "inbox", FILES | files))
    assert (BUILT, "built") == (described.dated, described.dated_by)
    assert 2 == len(described.problem.split("; "))


@pytest.mark.parametrize("content", [source(name="other/name"), b"{", b"x" * (17 << 20), source(kind="virus")])
def test_a_source_that_lies_of_its_name_is_no_source(tmp_path: Path, content: bytes) -> None:
    """Makers do not see it, and the problem is told."""
    seen = []

    def maker(one: Described) -> Made:
        seen.append(one.source)
        return Made()

    asked = publish(tmp_path / "inbox", FILES | {"source.json": content}, serve=("hub",))
    _, described = look(tmp_path, asked, {"hub": maker})
    assert ([None], "built") == (seen, described.dated_by)
    assert "source.json" in described.problem


def _fails(_: Described) -> Made:
    raise RecursionError("too deep")


def test_a_maker_that_fails_hides_no_other(tmp_path: Path) -> None:
    """What the others found is told."""
    asked = publish(tmp_path / "inbox", FILES, serve=("hub", "pypi"))
    makers: dict[Kind, Maker] = {"hub": _fails, "pypi": lambda _: Made(claims=[Claim("pypi", "x", "x")])}
    claims, described = look(tmp_path, asked, makers)
    assert [(("x", "x"),)] == [one.names for one in claims]
    assert "hub: RecursionError: too deep" == described.problem


@pytest.mark.parametrize(
    "claim",
    [
        Claim("npm", "x", "x"),
        Claim("pypi", "X", "X"),
        Claim("pypi", "", ""),
        Claim("pypi", "a\nb", "a\nb"),
        Claim("pypi", "x" * 600, "x" * 600),
    ],
)
def test_what_is_no_name_is_not_claimed(tmp_path: Path, claim: Claim) -> None:
    """Of another kind, in another form, empty, too long."""
    asked = publish(tmp_path / "inbox", FILES, serve=("pypi", "npm"))
    claims, described = look(tmp_path, asked, {"pypi": lambda _: Made(claims=[claim])})
    assert [] == claims
    assert "is no name that can be claimed" in described.problem


def test_only_kinds_that_the_channel_serves_are_looked_for(tmp_path: Path) -> None:
    """A channel without any has a card, too."""
    asked = publish(tmp_path / "inbox", FILES)
    assert ([], "") == (look(tmp_path, asked, {"pypi": _fails})[0], look(tmp_path, asked, {"pypi": _fails})[1].problem)


def test_plainly_nothing_in_its_files_is_read(tmp_path: Path) -> None:
    """That is what is left when reading them ends whoever does."""
    asked = publish(
        tmp_path / "inbox", FILES | {"source.json": source(uploaded=EARLY), "bom.json": b"{"}, serve=("hub",)
    )
    _, described = look(tmp_path, asked, {"hub": _fails}, is_plain=True)
    assert (BUILT, "") == (described.dated, described.problem)
    with closing(Card(tmp_path / "out" / CARD_FILE)) as card:
        assert 4 == len(list(card.files()))


def test_what_is_told_is_bounded(tmp_path: Path) -> None:
    """However much a bundle claims, and however long its problems are."""
    many = [Claim("pypi", f"{n}-{'x' * 200}", f"{n}-{'x' * 200}") for n in range(MAX_CLAIMS + 5)]
    asked = publish(tmp_path / "inbox", FILES, serve=("pypi",))
    claims, described = look(tmp_path, asked, {"pypi": lambda _: Made(claims=many, problems=["y" * 9999] * 5000)})
    assert MAX_CLAIMS == sum(len(one.names) for one in claims)
    assert len(described.facts) <= MAX_FACTS
    facts = json.loads(described.facts)
    assert (MAX_CLAIMS, 5001) == (facts["name_count"], facts["problem_count"])


@pytest.mark.parametrize("change", ["manifest.dsse.json", "SHA256SUMS"])
def test_a_bundle_that_is_not_what_was_signed_is_not_described(tmp_path: Path, change: str) -> None:
    """Nothing is told of it."""
    asked = publish(tmp_path / "inbox", FILES)
    other = publish(tmp_path / "other", {"x": b"y"})
    place = "c/org--name/v1"
    (tmp_path / "inbox" / place / change).write_bytes((tmp_path / "other" / place / change).read_bytes())
    assert asked.bundle != other.bundle
    with pytest.raises((BytesError, OSError)):
        look(tmp_path, asked)
    assert [] == list((tmp_path / "out").glob("*.db"))
