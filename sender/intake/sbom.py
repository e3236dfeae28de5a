"""CycloneDX files of an item: found by their names, read within bounds, summarised."""

from typing import Final

from sender.intake.candidate import Candidate, CandidateFile
from sender.intake.jsons import read_object
from sender.intake.verdict import Finding, Reason, RefusedError, Sbom, bounded

MAX_SBOM_BYTES: Final = 32 << 20
MOST_SBOMS: Final = 64
_MOST_TEXT: Final = 200


def is_sbom(path: str) -> bool:
    """Whether a path is named as CycloneDX files are."""
    name = path.rpartition("/")[2].lower()
    return name == "bom.json" or name.endswith(".cdx.json")


def check_sboms(candidate: Candidate) -> Finding:
    """Read all that are there; none is no fault. Raises RefusedError for one that is none."""
    found = [file for file in candidate.files.values() if is_sbom(file.path)]
    if len(found) > MOST_SBOMS:
        raise RefusedError(Reason.SBOM, f"{len(found)} files are named as SBOMs; {MOST_SBOMS} at most")
    candidate.sboms.extend(_summarise(candidate, file) for file in found)
    return Finding(counts={"sboms": len(found), "components": sum(sbom.components for sbom in candidate.sboms)})


def _summarise(candidate: Candidate, file: CandidateFile) -> Sbom:
    where = f"{file.path!r} is named as a CycloneDX file and is none"
    if file.size > MAX_SBOM_BYTES:
        raise RefusedError(Reason.SBOM, f"{file.path!r} has {file.size} bytes; an SBOM has {MAX_SBOM_BYTES} at most")
    try:
        bom = read_object(candidate.read(file, MAX_SBOM_BYTES))
    except ValueError as error:
        raise RefusedError(Reason.SBOM, f"{where}: {error}") from None
    if bom.get("bomFormat") != "CycloneDX" or not isinstance(bom.get("specVersion"), str):
        raise RefusedError(Reason.SBOM, f"{where}: bomFormat or specVersion is missing")
    components = bom.get("components", [])
    metadata = bom.get("metadata", {})
    subject = metadata.get("component", {}) if isinstance(metadata, dict) else None
    if not isinstance(components, list) or not isinstance(subject, dict):
        raise RefusedError(Reason.SBOM, f"{where}: components or metadata have another form")
    return Sbom(
        file.path,
        _text(bom.get("specVersion")),
        _text(bom.get("serialNumber")),
        _text(subject.get("name")),
        len(components),
    )


def _text(value: object) -> str:
    return bounded(value, _MOST_TEXT) if isinstance(value, str) else ""
