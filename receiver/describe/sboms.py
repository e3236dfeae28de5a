"""Bills of materials in a bundle: what each says of itself, and the terms by which people look for it.

Terms are names of components, their package URLs, and ids of vulnerabilities. They are read of JSON alone: CycloneDX,
SPDX 2 and 3, and OpenVEX. A document that cannot be read is a problem to be told, and hides nothing else.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from diode.formats.json_object import read_object
from diode.formats.sboms import Stated, is_sbom, summarise
from receiver.describe.protocols import Files

MAX_SBOM_BYTES: Final = 16 << 20  # parsed JSON takes about fifteen times as much memory
MAX_TOTAL_BYTES: Final = 256 << 20
MOST_LISTED: Final = 64
MOST_TERMS: Final = 200_000
MOST_CHARACTERS: Final = 512
_VEX: Final = re.compile(r"(?:.*[._-])?(?:open)?vex\.json")
_FLAW: Final = re.compile(r"CVE-[0-9]{4}-[0-9]{4,19}|GHSA(?:-[0-9a-z]{4}){3}|PYSEC-[0-9]{4}-[0-9]+|RUSTSEC-[0-9-]+")

Term = tuple[str, str]  # what it is (component, purl, flaw), and its text


@dataclass(slots=True)
class Bills:
    """What was found. ``listed``: a summary of each, at most MOST_LISTED. ``problems``: a line each."""

    listed: list[dict[str, Any]] = field(default_factory=list)
    count: int = 0
    components: int = 0
    terms: set[Term] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    def flaws(self) -> list[str]:
        """Ids of vulnerabilities that they name, sorted."""
        return sorted(text for what, text in self.terms if what == "flaw")


def read_bills(files: Files) -> Bills:
    """Read every document that is named as one, within bounds."""
    bills, left = Bills(), MAX_TOTAL_BYTES
    for file in files.table():
        is_vex = bool(_VEX.fullmatch(file.path.lower().rpartition("/")[2]))
        if not is_vex and not is_sbom(file.path):
            continue
        try:
            content = files.read(file.path, min(MAX_SBOM_BYTES, left))
            left -= file.size
            _take(bills, file.path, content, is_vex=is_vex)
        except (ValueError, OSError) as error:
            bills.problems.append(f"SBOM {file.path!r} was not read: {error}")
    return bills


def _take(bills: Bills, path: str, content: bytes, *, is_vex: bool) -> None:
    if not is_vex:
        stated = summarise(content)
        bills.count, bills.components = bills.count + 1, bills.components + stated.components
        if len(bills.listed) < MOST_LISTED:
            bills.listed.append(_summary(path, stated))
    for what, text in _terms(content):
        if len(bills.terms) >= MOST_TERMS:
            raise ValueError(f"more than {MOST_TERMS} terms; no more are looked for")
        if text and text.isprintable():
            bills.terms.add((what, text[:MOST_CHARACTERS]))


def _summary(path: str, stated: Stated) -> dict[str, Any]:
    said = {name: value[:200] if isinstance(value, str) else value for name, value in asdict(stated).items()}
    return {"path": path[:MOST_CHARACTERS], **{name: value for name, value in said.items() if value != ""}}


def _terms(content: bytes) -> Iterator[Term]:
    """Terms of a JSON document. Other forms give none."""
    plain = content.removeprefix(codecs.BOM_UTF8).lstrip()
    if plain[:1] != b"{":
        return
    document = read_object(plain)
    for components in (document.get("components"), [(document.get("metadata") or {}).get("component")]):
        yield from _of_components(components)
    for one in _dicts(document.get("packages")):
        yield from _of_spdx_package(one)
    for one in _dicts(document.get("@graph")):
        yield from _of_element(one)
    for section in ("vulnerabilities", "statements"):
        yield from _flaws(document.get(section))


def _of_components(components: object) -> Iterator[Term]:
    """Of CycloneDX: components lie within components."""
    waiting = list(_dicts(components))
    while waiting:
        one = waiting.pop()
        yield from _named(one.get("group"), one.get("name"), one.get("version"), one.get("purl"))
        waiting += _dicts(one.get("components"))


def _of_spdx_package(package: dict[str, Any]) -> Iterator[Term]:
    yield from _named(None, package.get("name"), package.get("versionInfo"), None)
    for reference in _dicts(package.get("externalRefs")):
        if reference.get("referenceType") == "purl":
            yield from _named(None, None, None, reference.get("referenceLocator"))
        elif reference.get("referenceCategory") == "SECURITY":
            yield from _flaws(reference.get("referenceLocator"))


def _of_element(element: dict[str, Any]) -> Iterator[Term]:
    """Of SPDX 3."""
    if element.get("type") == "software_Package":
        name, version = element.get("name"), element.get("software_packageVersion")
        yield from _named(None, name, version, element.get("software_packageUrl"))
    elif str(element.get("type", "")).startswith("security_"):
        yield from _flaws(element)


def _named(group: object, name: object, version: object, purl: object) -> Iterator[Term]:
    if isinstance(name, str):
        whole = f"{group}/{name}" if isinstance(group, str) and group else name
        yield "component", whole
        if isinstance(version, str) and version:
            yield "component", f"{whole}@{version}"
    if isinstance(purl, str):
        plain = re.split(r"[?#]", purl, maxsplit=1)[0]
        yield "purl", plain
        at = plain.rfind("@")
        if at > plain.rfind("/"):
            yield "purl", plain[:at]


def _flaws(value: object) -> Iterator[Term]:
    """Every id of a vulnerability in any text below ``value``."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            for found in _FLAW.findall(one):
                yield "flaw", found
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, dict):
            waiting += one.values()


def _dicts(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        yield from (one for one in value if isinstance(one, dict))
