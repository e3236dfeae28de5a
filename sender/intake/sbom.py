"""Finds the bills of materials (SBOMs) of an item by their file names, and summarises them in the verdict.

An SBOM informs people, so no item is refused for one. A file may only be named like an SBOM, may be too large, or may
come after the bounds of this check are used up. Such files are counted, and the first few of them are named.
"""

from typing import Final

from diode.formats.escape import bounded
from diode.formats.sboms import is_sbom, summarise
from sender.intake.candidate import Candidate, CandidateFile
from sender.intake.verdict import Finding, Sbom

MAX_SBOM_BYTES: Final = 16 << 20  # parsed JSON takes about fifteen times as much memory
MAX_TOTAL_BYTES: Final = 256 << 20  # of all SBOMs of one item that are read
MOST_LISTED: Final = 64  # summaries in a verdict
_NAMED: Final = 4
_MOST_TEXT: Final = 200


def check_sboms(candidate: Candidate) -> Finding:
    """Summarise all SBOMs of the item. Raises RefusedError only when a file is no longer what was hashed."""
    found, components, left = 0, 0, MAX_TOTAL_BYTES
    unread: list[str] = []
    for file in candidate.files.values():
        if not is_sbom(file.path):
            continue
        sbom: Sbom | str = f"it has {file.size} bytes, too many to be read"
        if file.size <= min(MAX_SBOM_BYTES, left):
            left -= file.size
            sbom = _summary(candidate, file)
        if isinstance(sbom, str):
            unread.append(f"{file.path!r}: {sbom}")
            continue
        found, components = found + 1, components + sbom.components
        if len(candidate.sboms) < MOST_LISTED:
            candidate.sboms.append(sbom)
    counts = {"sboms": found, "components": components, "unlisted": found - len(candidate.sboms)}
    return Finding(_unread(unread), counts=counts | {"unread": len(unread)})


def _summary(candidate: Candidate, file: CandidateFile) -> Sbom | str:
    """The summary of one SBOM, or the reason why it cannot be read."""
    try:
        stated = summarise(candidate.read(file, MAX_SBOM_BYTES))
    except ValueError as error:
        return bounded(str(error), _MOST_TEXT)
    version, serial, name = (bounded(text, _MOST_TEXT) for text in (stated.spec_version, stated.serial, stated.name))
    return Sbom(file.path, stated.format, version, serial, name, stated.components)


def _unread(unread: list[str]) -> str:
    """A text for people: the first SBOMs that could not be read, and how many more there are."""
    if not unread:
        return ""
    more = f" and {len(unread) - _NAMED} more" if len(unread) > _NAMED else ""
    return f"named as bills of materials and not read: {'; '.join(unread[:_NAMED])}{more}"
