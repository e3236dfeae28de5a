"""``source.json``: it speaks of its own bundle, of files as they are, and of no time after the build."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from diode.layouts.source import Digests, Source, believed, date_of, read_source, speaks_of

BUILT = "2026-11-01T00:00:00Z"
SAID: dict[str, Any] = {"format": "diode-source-1", "kind": "model", "name": "org/name"}


def source(**fields: Any) -> Source:
    """One that says these fields."""
    return read_source(json.dumps(SAID | fields).encode())


@pytest.mark.parametrize(
    ("kind", "upstream", "bundle", "is_own"),
    [
        ("model", "org/name", "org--name", True),
        ("model", "Org/Name", "org--name", True),
        ("dataset", "org/name", "org--name", True),
        ("model", "org/name", "org-name", False),
        ("model", "other/name", "org--name", False),
        ("pypi", "Num.Py", "num_py", True),
        ("pypi", "numpy", "torch", False),
        ("npm", "@scope/pkg", "scope--pkg", True),
        ("npm", "@scope/pkg", "@scope--pkg", True),
        ("oci", "docker.io/library/postgres", "postgres", True),
        ("oci", "ghcr.io/org/image", "ghcr.io--org--image", True),
        ("mcp", "io.github.org/server", "io.github.org--server", True),
        ("apt", "debian", "debian", True),
    ],
)
def test_it_speaks_of_its_own_bundle_alone(kind: str, upstream: str, bundle: str, is_own: bool) -> None:
    """A slash of upstream's name is two dashes in a bundle's."""
    assert is_own == speaks_of(source(kind=kind, name=upstream), bundle)


def test_nothing_is_believed_of_a_file_with_another_digest() -> None:
    """The others stay, and each that is left out is told of."""
    files = {
        "a": {"sha256": "a" * 64, "uploaded": "2026-01-01T00:00:00Z"},
        "b": {"sha256": "b" * 64, "uploaded": "2026-02-01T00:00:00Z"},
        "c": {"sha512": "c" * 128, "sha1": "c" * 40},
        "gone": {"url": "https://upstream.example/gone"},
    }
    real = {"a": Digests("a" * 64), "b": Digests("0" * 64), "c": Digests("c" * 64, "c" * 128, "0" * 40)}
    problems: list[str] = []
    kept = believed(source(files=files), BUILT, real.get, problems)
    assert {"a"} == kept.files.keys()
    assert ["'b' has another sha256", "'c' has another sha1", "'gone' is not in the bundle"] == [
        problem.removeprefix("source.json: ").split(" than")[0] for problem in problems
    ]
    assert "2026-01-01T00:00:00Z" == date_of(kept)


def test_no_date_is_later_than_the_build() -> None:
    """Who writes the file could otherwise make an old thing look new."""
    late = "2026-11-01T00:00:01Z"
    problems: list[str] = []
    kept = believed(source(uploaded=late, files={"a": {"uploaded": late}}), BUILT, lambda _: Digests(""), problems)
    assert ("", 2) == (date_of(kept), len(problems))
    assert BUILT == date_of(believed(source(uploaded=BUILT), BUILT, lambda _: None, problems))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        json.dumps(SAID | {"more": 1}).encode(),
        json.dumps(SAID | {"kind": "virus"}).encode(),
        json.dumps(SAID | {"uploaded": "yesterday"}).encode(),
        json.dumps(SAID | {"files": {"a": {"sha256": "A" * 64}}}).encode(),
        b'{"format":"diode-source-1","format":"x"}',
        json.dumps(SAID | {"tags": ["x" * 300]}).encode(),
    ],
)
def test_what_is_no_source_is_an_error_of_one_line(text: bytes) -> None:
    """Whatever it is."""
    with pytest.raises(ValueError, match=r"^source.json[^\n]*$"):
        read_source(text)


PAGE = (Path(__file__).parents[3] / "docs" / "source.md").read_text()
NAMES = ("org--name", "numpy", "scope--pkg", "postgres", "io.github.org--server", "debian-security")


@pytest.mark.parametrize(("text", "bundle"), zip(re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL), NAMES, strict=True))
def test_the_examples_of_the_page_are_read(text: str, bundle: str) -> None:
    """And speak of the bundles that it names."""
    assert speaks_of(read_source(text.encode()), bundle)
