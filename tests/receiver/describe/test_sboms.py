"""Bills of materials in a bundle: what is told of them, and by which words they are found."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from diode.storage.folder import Folder
from receiver.catalogue.card import Card, write_card
from receiver.describe.data import BundleFiles
from receiver.describe.sboms import Bills, read_bills
from receiver.describe.table import signed_table
from tests.clients import python_with
from tests.published import publish

WRITTEN = Path(__file__).parents[2] / "vectors" / "sboms"
FLAW = "CVE-2024-3094"


def bills(folder: Path, files: dict[str, bytes]) -> Bills:
    """What is read of the documents in a bundle."""
    asked = publish(folder / "inbox", files)
    version = Folder.open(folder / "inbox/c/org--name/v1")
    write_card(folder / "table.db", signed_table(version, asked.content), (), ())
    return read_bills(BundleFiles(version.folder("data"), Card(folder / "table.db")))


def test_documents_that_tools_wrote_are_summarised(tmp_path: Path) -> None:
    """In every form that is read; terms come of JSON alone."""
    files = {path.name: path.read_bytes() for path in WRITTEN.iterdir() if path.is_file()}
    found = bills(tmp_path, files)
    assert {"bom.json", "bom.xml", "weights.cdx.json", "manifest.spdx.json", "weights.spdx"} <= {
        one["path"] for one in found.listed
    }
    assert (found.count, found.components) == (len(found.listed), sum(one["components"] for one in found.listed))
    assert any(what == "component" for what, _ in found.terms)
    assert all("was not read" in problem for problem in found.problems)


CYCLONEDX: dict[str, Any] = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "metadata": {"component": {"type": "application", "name": "server", "version": "2"}},
    "components": [
        {
            "name": "xz", "group": "org", "version": "5.6.1", "purl": "pkg:deb/debian/xz-utils@5.6.1?arch=amd64",
            "components": [{"name": "liblzma", "purl": "pkg:generic/%40scope/liblzma"}],
        },
    ],
    "vulnerabilities": [{"id": FLAW, "references": [{"id": "GHSA-rxwq-x6h5-x525"}], "ratings": [{"score": 10.0}]}],
}  # fmt: skip
SPDX_2: dict[str, Any] = {
    "spdxVersion": "SPDX-2.3", "name": "d", "documentNamespace": "https://vendor.example/d",
    "packages": [{"name": "xz", "versionInfo": "5.6.1", "externalRefs": [
        {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": "pkg:npm/%40a/b@1"},
        {"referenceCategory": "SECURITY", "referenceType": "advisory", "referenceLocator": f"https://nvd.example/{FLAW}"},
    ]}],
}  # fmt: skip
SPDX_3: dict[str, Any] = {
    "@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld",
    "@graph": [
        {
            "type": "software_Package",
            "name": "xz",
            "software_packageVersion": "5.6.1",
            "software_packageUrl": "pkg:a/b@1",
        },
        {"type": "security_Vulnerability", "externalIdentifier": [{"identifier": FLAW}]},
    ],
}
VEX = {
    "@context": "https://openvex.dev/ns/v0.2.0",
    "statements": [{"vulnerability": {"name": FLAW}, "status": "fixed"}],
}


@pytest.mark.parametrize(("name", "document", "terms"), [
    ("bom.json", CYCLONEDX, {
        ("component", "server"), ("component", "server@2"), ("component", "org/xz"), ("component", "org/xz@5.6.1"),
        ("purl", "pkg:deb/debian/xz-utils@5.6.1"), ("purl", "pkg:deb/debian/xz-utils"), ("component", "liblzma"),
        ("purl", "pkg:generic/%40scope/liblzma"), ("flaw", FLAW), ("flaw", "GHSA-rxwq-x6h5-x525"),
    }),
    ("a.spdx.json", SPDX_2, {
        ("component", "xz"), ("component", "xz@5.6.1"), ("purl", "pkg:npm/%40a/b@1"), ("purl", "pkg:npm/%40a/b"),
        ("flaw", FLAW),
    }),
    ("a.spdx.json", SPDX_3, {
        ("component", "xz"), ("component", "xz@5.6.1"), ("purl", "pkg:a/b@1"), ("purl", "pkg:a/b"), ("flaw", FLAW),
    }),
    ("image.vex.json", VEX, {("flaw", FLAW)}),
])  # fmt: skip
def test_terms_are_names_urls_and_flaws(
    tmp_path: Path, name: str, document: dict[str, Any], terms: set[tuple[str, str]]
) -> None:
    """With and without the version; only of sections that say so."""
    found = bills(tmp_path, {name: json.dumps(document).encode()})
    assert (terms, []) == (found.terms, found.problems)
    assert sorted({text for what, text in terms if what == "flaw"}) == found.flaws()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[" * 100_000, b"\xff\xfe", b'{"bomFormat":"CycloneDX"}', b"<!DOCTYPE x><x/>"]
)
def test_what_cannot_be_read_is_told_and_hides_nothing(tmp_path: Path, content: bytes) -> None:
    """The next document is read all the same."""
    found = bills(tmp_path, {"bom.json": content, "good.cdx.json": json.dumps(CYCLONEDX).encode()})
    assert (1, 1) == (found.count, len(found.problems))
    assert "SBOM 'bom.json' was not read" in found.problems[0]


def test_odd_values_are_left_out(tmp_path: Path) -> None:
    """Whatever stands where a text should be."""
    odd = {**CYCLONEDX, "components": [7, None, [], {"name": 7, "purl": {}}, {"name": "\x1b[2J"}, {"name": "x" * 9999}]}
    found = bills(tmp_path, {"bom.json": json.dumps(odd).encode()})
    assert {"server", "server@2", "x" * 512} == {text for what, text in found.terms if what == "component"}


@pytest.mark.clients
def test_an_environment_as_its_tool_describes_it(tmp_path: Path) -> None:
    """A real list of what is installed, written by the tool that the releases of this project use."""
    programs = python_with("cyclonedx-bom==7.5.0")
    out = tmp_path / "bom.json"
    command = [str(programs / "cyclonedx-py"), "environment", "--of", "JSON", "-o", str(out), str(programs / "python")]
    subprocess.run(command, check=True, capture_output=True)
    found = bills(tmp_path, {"bom.json": out.read_bytes()})
    assert ("component", "cyclonedx-bom@7.5.0") in found.terms
    assert ("purl", "pkg:pypi/cyclonedx-bom") in found.terms
    assert found.components > 5
