"""CycloneDX files: found by name, summarised, and refused when they are none."""

import json
from typing import Any

import pytest

from sender.intake import sbom
from sender.intake.verdict import Reason, Sbom
from tests.sender.intake.conftest import Judge
from tests.sender.intake.test_pipeline import outcome

BOM: dict[str, Any] = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "serialNumber": "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79",
    "metadata": {"component": {"type": "machine-learning-model", "name": "model"}},
    "components": [{"type": "library", "name": "a"}, {"type": "library", "name": "b"}],
}


@pytest.mark.parametrize("path", ["bom.json", "sub/BOM.json", "model.cdx.json"])
def test_summary(judge: Judge, path: str) -> None:
    """What it says of itself, in the verdict and for machines."""
    verdict = judge({path: json.dumps(BOM).encode(), "other.json": b"{}"})
    assert (Sbom(path, "1.6", BOM["serialNumber"], "model", 2),) == verdict.sboms
    assert 2 == verdict.facts()["sboms"][0]["components"]


def test_little_is_enough(judge: Judge) -> None:
    """Format and version are all that CycloneDX demands."""
    verdict = judge({"bom.json": b'{"bomFormat": "CycloneDX", "specVersion": "1.4"}'})
    assert (Sbom("bom.json", "1.4", "", "", 0),) == verdict.sboms


@pytest.mark.parametrize(
    "content",
    [
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
        b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"\xff\xfe",
    ],
)
def test_broken(judge: Judge, content: bytes) -> None:
    """A file that is named as an SBOM and is none is refused."""
    assert ("sbom", "rejected", Reason.SBOM) == outcome(judge({"bom.json": content}, lint=False))


def test_bounds(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is too large, and too many, are refused before they are read."""
    content = json.dumps(BOM).encode()
    assert ("sbom", "rejected", Reason.SBOM) == outcome(judge({f"{n}.cdx.json": content for n in range(65)}))
    monkeypatch.setattr(sbom, "MAX_SBOM_BYTES", 100)
    assert ("sbom", "rejected", Reason.SBOM) == outcome(judge({"0.cdx.json": content}))
