"""Bills of materials: found by name, summarised as what they are, and never a reason to refuse an item."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diode.formats.sboms import is_sbom, summarise
from sender.intake import sbom
from sender.intake.verdict import MOST_DETAIL, Check, Sbom, Verdict
from tests.sender.intake.conftest import Judge

WRITTEN = Path(__file__).parents[2] / "vectors" / "sboms"
BOM: dict[str, Any] = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "serialNumber": "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79",
    "metadata": {"component": {"type": "machine-learning-model", "name": "model"}},
    "components": [{"type": "library", "name": "a"}, {"type": "library", "name": "b"}],
}
SPACE = "https://vendor.example/spdx/weights-3"


def check_of(verdict: Verdict) -> Check:
    """The bill of materials' part."""
    return next(check for check in verdict.checks if check.name == "sbom")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bom.json", ("CycloneDX", "1.6", "", "weights", 3)),
        ("bom.xml", ("CycloneDX", "1.6", "", "weights", 3)),
        ("weights.cdx.json", ("CycloneDX", "1.3", "urn:uuid:3058d0e2-e9a6-4924-95a7-877eb236592c", "weights", 3)),
        ("weights.cdx.xml", ("CycloneDX", "1.3", "urn:uuid:00136a37-03df-4195-b515-deebc3daf264", "weights", 3)),
        ("manifest.spdx.json", ("SPDX", "2.3", SPACE, "weights", 3)),
        ("weights.spdx", ("SPDX", "2.3", SPACE, "weights", 3)),
        ("weights.spdx.xml", ("SPDX", "2.3", SPACE, "weights", 3)),
    ],
)
def test_as_their_tools_write_them(judge: Judge, name: str, expected: tuple[str, str, str, str, int]) -> None:
    """Both formats in every form that is read, with what the document says of itself."""
    verdict = judge({name: (WRITTEN / name).read_bytes(), "other.json": b"{}"})
    assert (None, (Sbom(name, *expected),)) == (verdict.failed, verdict.sboms)
    assert ("passed", "") == (check_of(verdict).outcome, check_of(verdict).detail)
    stated = {"path": name, "format": expected[0], "spec_version": expected[1], "components": 3}
    assert stated.items() <= verdict.facts()["sboms"][0].items()


@pytest.mark.parametrize("name", ["weights.spdx.yaml", "weights.spdx.rdf.xml"])
def test_forms_that_are_not_read(judge: Judge, name: str) -> None:
    """They pass, and the verdict says that nobody read them."""
    verdict = judge({name: (WRITTEN / name).read_bytes()})
    assert (None, ()) == (verdict.failed, verdict.sboms)
    assert f"not read: {name!r}: neither CycloneDX" in check_of(verdict).detail


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("bom.json", True),
        ("sub/BOM.json", True),
        ("sbom.json", True),
        ("bom.xml", True),
        ("sbom.xml", True),
        ("model.cdx.json", True),
        ("model.cdx.xml", True),
        ("app-1.0-cyclonedx.json", True),
        ("_manifest/spdx_2.2/manifest.spdx.json", True),
        ("sbom.spdx.json", True),
        ("spdx.json", True),
        ("x.spdx", True),
        ("x.spdx.rdf.xml", True),
        ("numpy-2.4.6.dist-info/sboms/auditwheel.cdx.json", True),
        ("numpy-2.4.6.dist-info/sboms/made by hand", True),
        ("numpy-2.4.6.dist-info/RECORD", False),
        ("bombom.json", False),
        ("bom.json/x.txt", False),
        ("tombom.xml", False),
        ("spdx", False),
        ("config.json", False),
    ],
)
def test_names(path: str, named: bool) -> None:
    """What is looked at, in any folder, in capitals or small letters."""
    assert named == is_sbom(path)


def test_little_is_enough(judge: Judge) -> None:
    """Format and version are all that CycloneDX demands; a byte order mark is no fault."""
    verdict = judge({"bom.json": b'\xef\xbb\xbf{"bomFormat": "CycloneDX", "specVersion": "1.4"}'}, lint=False)
    assert (Sbom("bom.json", "CycloneDX", "1.4", "", "", 0),) == verdict.sboms


def test_spdx_3(judge: Judge) -> None:
    """A graph of elements: the document among them, and its packages."""
    graph = [
        {"type": "CreationInfo", "@id": "_:c", "specVersion": "3.0.1"},
        {"type": "SpdxDocument", "spdxId": SPACE, "name": "weights"},
        {"type": "software_Package", "name": "a"},
        {"type": "software_File", "name": "b"},
        "text",
    ]
    document = {"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": graph}
    verdict = judge({"x.spdx.json": json.dumps(document).encode()})
    assert (Sbom("x.spdx.json", "SPDX", "3.0.1", SPACE, "weights", 1),) == verdict.sboms


DOCTYPE = b'<!DOCTYPE bom [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
BROKEN = [
    b"",
    b"{",
    b"[]",
    b"{}",
    b'{"bomFormat": "SPDX", "specVersion": "1.6"}',
    b'{"bomFormat": "CycloneDX"}',
    b'{"bomFormat": "CycloneDX", "specVersion": 1.6}',
    b'{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": {}}',
    b'{"bomFormat": "CycloneDX", "specVersion": "1.6", "metadata": []}',
    b'{"bomFormat": "CycloneDX", "specVersion": "1.6", "metadata": {"component": 7}}',
    b'{"bomFormat": "CycloneDX", "bomFormat": "CycloneDX", "specVersion": "1.6"}',
    b'{"bomFormat": "CycloneDX", "specVersion": "1.6", "x": NaN}',
    b'{"spdxVersion": 2.3}',
    b'{"spdxVersion": "SPDX-2.3", "packages": {}}',
    b'{"@context": ["https://spdx.org/rdf/3.0.1/x"], "@graph": {}}',
    b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b"[" * 3_000_000,
    b"\xff\xfe",
    b"PackageName: x\nspdxVersion: SPDX-2.3\n",
    b"Comment: <text>\nSPDXVersion: SPDX-2.3\n",
    b"<bom/>",
    b'<bom xmlns="http://cyclonedx.org/schema/bom/1.6">',
    b'<bom xmlns="http://cyclonedx.org/schema/bom/1.6/../x"/>',
    b'<x:bom xmlns="http://cyclonedx.org/schema/bom/1.6"/>',
    DOCTYPE + b'<bom xmlns="http://cyclonedx.org/schema/bom/1.6">&b;</bom>',
    b'<!DOCTYPE bom SYSTEM "file:///etc/passwd"><bom xmlns="http://cyclonedx.org/schema/bom/1.6"/>',
    b'<?xml version="1.0" encoding="nobody"?><bom xmlns="http://cyclonedx.org/schema/bom/1.6"/>',
    b"<a>" * 1_000_000,
    b'<bom xmlns="http://cyclonedx.org/schema/bom/1.6">' + b"<a/>" * 500_001 + b"</bom>",
    b"<bom" + b' a=""' * 500_001 + b"/>",
    b"<Document><x><spdxVersion>SPDX-2.3</spdxVersion></x></Document>",
]


@pytest.mark.parametrize("content", BROKEN, ids=range(len(BROKEN)))
def test_what_is_only_named_so(judge: Judge, content: bytes) -> None:
    """It is noted, and no reason to refuse the item."""
    verdict = judge({"bom.json": content}, lint=False)
    assert (None, ()) == (verdict.failed, verdict.sboms)
    assert {"sboms": 0, "components": 0, "unlisted": 0, "unread": 1} == check_of(verdict).counts
    assert check_of(verdict).detail.startswith("named as bills of materials and not read: 'bom.json': ")


def test_a_tree_of_wheels(judge: Judge) -> None:
    """Every wheel of an environment has its own: all are counted, and as many listed as a verdict holds."""
    content = json.dumps(BOM).encode()
    verdict = judge({f"p{n}-1.dist-info/sboms/x.cdx.json": content for n in range(70)})
    assert (None, sbom.MOST_LISTED) == (verdict.failed, len(verdict.sboms))
    assert {"sboms": 70, "components": 140, "unlisted": 6, "unread": 0} == check_of(verdict).counts


def test_bounds(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is too large, and those after all that is read of one item, are not read, and the verdict says so."""
    content = json.dumps(BOM).encode()
    monkeypatch.setattr(sbom, "MAX_TOTAL_BYTES", 3 * len(content))
    verdict = judge({f"{n}.cdx.json": content for n in range(10)})
    assert (None, 3, 7) == (verdict.failed, len(verdict.sboms), check_of(verdict).counts["unread"])
    assert check_of(verdict).detail.endswith("too many to be read and 3 more")
    monkeypatch.setattr(sbom, "MAX_SBOM_BYTES", 100)
    assert 10 == check_of(judge()).counts["unread"]


def test_long_texts_are_cut(judge: Judge) -> None:
    """What a document says of itself is as long as its author likes; what the verdict holds of it is not."""
    long = BOM | {"serialNumber": "s" * 5000, "metadata": {"component": {"name": "\u202e" + "n" * 5000}}}
    named = {f"{'x' * 100}{n}.cdx.json": b"\xff" for n in range(9)}
    verdict = judge({"bom.json": json.dumps(long).encode(), **named})
    assert (200, 200) == (len(verdict.sboms[0].serial), len(verdict.sboms[0].name))
    assert len(check_of(verdict).detail) <= MOST_DETAIL


@given(st.binary(max_size=300))
def test_whatever_the_bytes(data: bytes) -> None:
    """Anything is a summary or a ValueError."""
    for begin in (b"", b"{", b"<", b"SPDXVersion: SPDX-2.3\n", b'<bom xmlns="http://cyclonedx.org/schema/bom/1.6">'):
        try:
            stated = summarise(begin + data)
        except ValueError:
            continue
        assert stated.format in ("CycloneDX", "SPDX")
