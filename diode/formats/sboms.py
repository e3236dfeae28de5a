"""What a bill of materials says of itself: CycloneDX in JSON and XML; SPDX in JSON, XML and tag-value.

The format is recognised by the content of a file, not by its name. XML with a document type is not read, because it
could define entities.
Source: CycloneDX 1.2 to 1.7; SPDX 2.2, 2.3 and 3.0.
"""

import codecs
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from xml.parsers import expat

from diode.formats.json_object import read_object

MAX_VALUES: Final = 2 << 20  # of a JSON document; the memory for parsing grows with them
MAX_DEPTH: Final = 200  # of XML
MAX_TAGS: Final = (
    500_000  # of an XML document, and as many attributes: expat keeps every name that it has met in memory
)
_MOST_TEXT: Final = 1000  # characters of a text that are kept
_SPDX_3: Final = "https://spdx.org/rdf/3."
_CYCLONEDX_XML: Final = re.compile(r"http://cyclonedx\.org/schema/bom/(\d+\.\d+)")
# bom.json, sbom.xml, x.cdx.json, x-cyclonedx.xml, manifest.spdx.json, x.spdx, x.spdx.yaml, x.spdx.rdf.xml
_NAME: Final = re.compile(r"(?:.*[._-])?(?:s?bom|cdx|cyclonedx|spdx)\.(?:json|xml)|.*\.spdx(?:\.rdf)?(?:\.[a-z]{3,4})?")
_IN_WHEEL: Final = re.compile(r".*\.dist-info/sboms/.+")  # PEP 770: SBOMs in an unpacked wheel
_NEITHER: Final = "neither CycloneDX in JSON or XML, nor SPDX in JSON, XML or tag-value"


@dataclass(frozen=True, slots=True)
class Stated:
    """What an SBOM states about itself. A field that it does not state is empty. Texts are not escaped."""

    format: str
    spec_version: str
    serial: str  # serial number, or namespace of the document
    name: str  # of the product, or of the document
    components: int  # the first level of components, or packages


def is_sbom(path: str) -> bool:
    """Whether a path is named as SBOMs usually are."""
    lower = path.lower()
    return bool(_NAME.fullmatch(lower.rpartition("/")[2]) or _IN_WHEEL.fullmatch(lower))


def summarise(data: bytes) -> Stated:
    """Read a document; the caller has bounded its length. Raises ValueError when it is no SBOM, or cannot be read."""
    begin = data.removeprefix(codecs.BOM_UTF8)[:4096].lstrip()[:1]
    if begin == b"<":
        return _of_xml(data)
    if begin not in (b"{", b"["):
        return _of_tags(data)
    values = data.count(b"[") + data.count(b"{") + data.count(b",")
    if values > MAX_VALUES:
        raise ValueError(f"its JSON has {values} values, more than {MAX_VALUES}")
    return _of_json(read_object(data.removeprefix(codecs.BOM_UTF8)))


def _of_json(bom: Mapping[str, Any]) -> Stated:
    if bom.get("bomFormat") == "CycloneDX" and isinstance(bom.get("specVersion"), str):
        subject = _object(_object(bom, "metadata"), "component")
        components = len(_list(bom, "components"))
        return Stated("CycloneDX", bom["specVersion"], _text(bom, "serialNumber"), _text(subject, "name"), components)
    if (version := _text(bom, "spdxVersion")).startswith("SPDX-"):
        names = _text(bom, "documentNamespace"), _text(bom, "name")
        return Stated("SPDX", version.removeprefix("SPDX-"), *names, len(_list(bom, "packages")))
    contexts = bom.get("@context")
    if any(str(one).startswith(_SPDX_3) for one in (contexts if isinstance(contexts, list) else [contexts])):
        return _of_graph([node for node in _list(bom, "@graph") if isinstance(node, dict)])
    raise ValueError(_NEITHER)


def _of_graph(nodes: list[dict[str, Any]]) -> Stated:
    """SPDX 3: a list of elements, one of which is the document."""
    document = next((node for node in nodes if node.get("type") == "SpdxDocument"), {})
    made = next((node for node in nodes if node.get("type") == "CreationInfo"), {})
    packages = sum(node.get("type") == "software_Package" for node in nodes)
    return Stated("SPDX", _text(made, "specVersion"), _text(document, "spdxId"), _text(document, "name"), packages)


def _of_tags(data: bytes) -> Stated:
    """SPDX tag-value: a line each, but for texts in ``<text>``, which may have several."""
    found: dict[str, str] = {}
    packages, is_in_text = 0, False
    for line in io.BytesIO(data.removeprefix(codecs.BOM_UTF8)):
        if is_in_text:
            is_in_text = b"</text>" not in line
            continue
        tag, colon, value = line.partition(b":")
        is_in_text = bool(colon) and b"<text>" in value and b"</text>" not in value
        name = tag.strip()
        if name == b"PackageName":
            packages += 1
        elif name in (b"SPDXVersion", b"DocumentName", b"DocumentNamespace"):
            found.setdefault(name.decode(), value.strip()[:_MOST_TEXT].decode(errors="replace"))
    version = found.get("SPDXVersion", "")
    if not version.startswith("SPDX-"):
        raise ValueError(_NEITHER)
    names = found.get("DocumentNamespace", ""), found.get("DocumentName", "")
    return Stated("SPDX", version.removeprefix("SPDX-"), *names, packages)


def _of_xml(data: bytes) -> Stated:
    if data.count(b"<") > MAX_TAGS or data.count(b"=") > MAX_TAGS:
        raise ValueError(f"XML of more than {MAX_TAGS} tags or attributes")
    reading = _Reading()
    try:
        reading.parser.Parse(data, True)
    except (expat.ExpatError, LookupError) as error:  # an encoding that nobody knows
        raise ValueError(f"not XML: {error}") from None
    if match := _CYCLONEDX_XML.fullmatch(reading.namespace):
        texts = (reading.attributes.get("serialNumber", ""), reading.texts.get("bom/metadata/component/name", ""))
        return Stated("CycloneDX", match[1], *texts, reading.count("bom/components/component"))
    version = reading.texts.get("Document/spdxVersion", "")
    if version.startswith("SPDX-"):
        texts = (reading.texts.get("Document/documentNamespace", ""), reading.texts.get("Document/name", ""))
        return Stated("SPDX", version.removeprefix("SPDX-"), *texts, reading.count("Document/packages"))
    raise ValueError(_NEITHER)


class _Reading:
    """A few texts and counts of one XML document, by the path of local names down to them."""

    _TEXTS: Final = (
        "bom/metadata/component/name",
        "Document/spdxVersion",
        "Document/name",
        "Document/documentNamespace",
    )
    _COUNTED: Final = ("bom/components/component", "Document/packages")

    def __init__(self) -> None:
        self.namespace = ""  # of the root
        self.attributes: dict[str, str] = {}  # of the root
        self.texts: dict[str, str] = {}
        self._counts = dict.fromkeys(self._COUNTED, 0)
        self._path: list[str] = []
        self.parser = expat.ParserCreate(namespace_separator=" ", intern=None)
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.EntityDeclHandler = self._refuse
        self.parser.StartElementHandler = self._begin
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._say

    def count(self, path: str) -> int:
        """How many elements there are at one of the paths that are counted."""
        return self._counts[path]

    def _refuse(self, *_: object) -> None:
        raise ValueError("XML with a document type is not read")

    def _begin(self, name: str, attributes: dict[str, str]) -> None:
        namespace, _, local = name.rpartition(" ")
        if not self._path:
            self.namespace, self.attributes = (namespace if local == "bom" else ""), attributes
        self._path.append(local)
        if len(self._path) > MAX_DEPTH:
            raise ValueError("XML that is nested too deeply")
        if len(self._path) <= 3 and (path := "/".join(self._path)) in self._counts:
            self._counts[path] += 1

    def _end(self, _: str) -> None:
        self._path.pop()

    def _say(self, text: str) -> None:
        if len(self._path) <= 4 and (path := "/".join(self._path)) in self._TEXTS:
            self.texts[path] = (self.texts.get(path, "") + text)[:_MOST_TEXT]


def _object(parsed: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = parsed.get(key, {})
    if not isinstance(value, dict):
        raise ValueError(f"{key} is no object")
    return value


def _list(parsed: Mapping[str, Any], key: str) -> list[Any]:
    value = parsed.get(key, [])
    if not isinstance(value, list):
        raise ValueError(f"{key} is no list")
    return value


def _text(parsed: Mapping[str, Any], key: str) -> str:
    value = parsed.get(key)
    return value if isinstance(value, str) else ""
