"""What is found of npm packages in a bundle, also where the bundle means harm."""

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from diode.content.allowance import BYTES_PER_BYTE, Allowance
from diode.layouts.source import read_source
from receiver.describe import npm
from receiver.describe.protocols import Described, Made
from receiver.describe.upstream import allowance_for
from tests.packages import source, tar_gz, tgz
from tests.serving import BUILT, FolderFiles


def describe(folder: Path, files: dict[str, bytes]) -> Made:
    """Look at a bundle of these files."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    said = read_source(files["source.json"]) if "source.json" in files else None
    return npm.describe(Described("0" * 16, "js", "acme", "1", "", BUILT, FolderFiles(folder), said))


def versions(made: Made) -> list[dict[str, Any]]:
    """What is noted of each version."""
    return [version for fact in made.facts for version in json.loads(fact.value)]


def package(text: bytes, name: str = "package/package.json", more: dict[str, bytes] | None = None) -> dict[str, bytes]:
    """A package with this ``package.json``."""
    return {"x.tgz": tar_gz({name: text, **(more or {})})}


def test_packages_are_found_anywhere_by_what_they_say(tmp_path: Path) -> None:
    """Whatever their file's name, or the folder in them."""
    types = tar_gz({"node/package.json": b'{"name": "@types/node", "version": "1.2.3"}'})
    odd = next(iter(tgz("@acme/x", "1.0.0").values()))
    made = describe(tmp_path, {"deep/odd.tgz": odd, "types.tgz": types, "a.txt": b""})
    assert sorted(claim.normal for claim in made.claims) == ["@acme/x", "@types/node"]
    assert made.sha512 == {"deep/odd.tgz", "types.tgz"}
    assert made.problems == []


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        (package(b'{"name": "a", "version": "1"}'), "says a version that is none: 1"),
        (package(b'{"name": "../a", "version": "1.0.0"}'), "names no package: ../a"),
        (package(b'{"name": "a", "name": "b", "version": "1.0.0"}'), "a key is there twice"),
        (package(b'{"name": "a", "version": "1.0.0", "x": NaN}'), "NaN is no number"),
        (package(b'{"name": "a", "version": "1.0.0", "x": "\\ud800"}'), "not UTF-8"),
        (package(b"[" * 100_000), "nested too deeply"),
        (package(b"[]"), "holds no object"),
        (package(b"{}", name="package.json"), "it has no package.json"),
        (package(b'{"name": "a", "version": "1.0.0"}', more={"other/index.js": b""}), None),
        ({"x.tgz": b"no gzip"}, "flags of gzip"),
        ({"x.tgz": gzip.compress(b"no tar" * 1000)}, "no header"),
        (package(b" " * (3 << 20)), "more than 2097152"),
    ],
)
def test_what_is_not_what_it_says_is_a_problem(tmp_path: Path, files: dict[str, bytes], problem: str | None) -> None:
    """It is not served, and claims no name; what lies beside it is served."""
    made = describe(tmp_path, {**files, **tgz("fine", "1.0.0")})
    if problem is None:
        assert (len(made.claims), made.problems) == (2, [])
        return
    assert [claim.normal for claim in made.claims] == ["fine"]
    (said,) = made.problems
    assert problem in said


def test_two_package_json_are_none(tmp_path: Path) -> None:
    """In two folders at the top: npm unpacks both to one place."""
    content = tar_gz({f"{x}/package.json": f'{{"name": "{x}", "version": "1.0.0"}}'.encode() for x in ("a", "b")})
    assert "two package.json" in describe(tmp_path, {"x.tgz": content}).problems[0]


def test_a_bomb_ends_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may be unpacked is bounded for all packages of a bundle together: what comes behind a bomb is a problem."""
    monkeypatch.setattr(npm, "allowance_for", lambda files: Allowance(1 << 20))
    made = describe(tmp_path, {"a.tgz": gzip.compress(bytes(8 << 20)), **tgz("fine", "1.0.0")})
    assert made.claims == []
    assert all("more than is allowed" in problem for problem in made.problems)
    assert len(made.problems) == 2


def test_the_bound_grows_with_what_is_looked_into(tmp_path: Path) -> None:
    """And is a multiple of it; memory does not grow."""
    (tmp_path / "a").write_bytes(bytes(1 << 20))
    one, none = allowance_for(FolderFiles(tmp_path).table()), allowance_for([])
    assert one.bytes - none.bytes == BYTES_PER_BYTE << 20
    assert one.memory == none.memory < 64 << 20


def test_a_manifest_has_what_installing_takes(tmp_path: Path) -> None:
    """And nothing of a wrong type."""
    said = {
        "name": "acme", "version": "1.0.0", "dependencies": {"a": "^1", "b": 1}, "bin": {"x": "x.js"}, "os": "linux",
        "peerDependenciesMeta": {"a": {"optional": True}}, "bundledDependencies": ["a"], "cpu": 5, "engines": "x",
        "config": {"share": 0.5}, "scripts": {"test": "x"},
    }  # fmt: skip
    more = {"package/binding.gyp": b"", "package/npm-shrinkwrap.json": b"{}", "package/lib/npm-x.json": b""}
    (found,) = versions(describe(tmp_path, package(json.dumps(said).encode(), more=more)))
    assert found["manifest"] == {
        "name": "acme", "version": "1.0.0", "dependencies": {"a": "^1"}, "bin": {"x": "x.js"}, "os": ["linux"],
        "peerDependenciesMeta": {"a": {"optional": True}}, "bundleDependencies": ["a"],
        "hasInstallScript": True, "_hasShrinkwrap": True,
    }  # fmt: skip


def test_dates_count_where_the_digest_is_the_files(tmp_path: Path) -> None:
    """Any digest that upstream gives, and every one that is given."""
    one, two, three = tgz("a", "1.0.0"), tgz("b", "1.0.0"), tgz("c", "1.0.0")
    right = {"uploaded": "2025-01-01T00:00:00Z", "sha512": hashlib.sha512(*one.values()).hexdigest()}
    right_sha1 = {"uploaded": "2025-01-02T00:00:00Z", "sha1": hashlib.sha1(*two.values()).hexdigest()}
    wrong = {
        "uploaded": "2025-01-01T00:00:00Z",
        "sha1": "0" * 40,
        "sha256": hashlib.sha256(*three.values()).hexdigest(),
    }
    said = source("npm", "a", files={"a-1.0.0.tgz": right, "b-1.0.0.tgz": right_sha1, "c-1.0.0.tgz": wrong})
    made = describe(tmp_path, {**one, **two, **three, **said})
    assert [version["uploaded"] for version in versions(made)] == [right["uploaded"], right_sha1["uploaded"], BUILT]


def test_the_date_of_the_whole_is_for_the_package_that_is_named(tmp_path: Path) -> None:
    """And for no other one in the bundle."""
    said = source("npm", "a", uploaded="2025-01-01T00:00:00Z")
    made = describe(tmp_path, {**tgz("a", "1.0.0"), **tgz("b", "1.0.0"), **said})
    assert [version["uploaded"] for version in versions(made)] == ["2025-01-01T00:00:00Z", BUILT]
