"""The dates that the content of a bundle bears itself, whether or not its channel serves that content.

Each format says in its own way when its content was made:

- apt: ``Date`` of each Release
- dnf: ``revision`` of ``repomd.xml``, else the newest ``timestamp`` in it
- ClamAV: the build time in a database's header
- OCI: ``created`` in an image's configuration
- CRL: ``thisUpdate``
- SAML: ``creationInstant`` of the metadata

A date before 1990 counts as none: builds that can be repeated write the year 1970 or 1980 into what they make.
"""

import calendar
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from email.utils import mktime_tz, parsedate_tz
from typing import Any, Final, NamedTuple

from cryptography import x509

from diode.formats.strict_json import read_json
from diode.formats.timestamps import moment
from diode.layouts.oci_layout import MANIFESTS, MAX_MANIFEST_BYTES, Images, Layout
from receiver.describe.apt import MAX_RELEASE_BYTES, moment_of, release_fields
from receiver.describe.clamav import HEADER_BYTES
from receiver.describe.protocols import Described, Files

OLDEST: Final = "1990-01-01T00:00:00Z"
MOST_FILES: Final = 1000  # of one format in a bundle
MAX_CRL_BYTES: Final = 64 << 20
HEAD_BYTES: Final = 64 << 10
SAML: Final = b"urn:oasis:names:tc:SAML:2.0:metadata"
_REVISION: Final = re.compile(rb"<revision>\s*([0-9]{9,11})\s*</revision>")
_TIMESTAMP: Final = re.compile(rb"<timestamp>\s*([0-9]{9,11})(?:\.[0-9]*)?\s*</timestamp>")
_CREATED: Final = re.compile(rb"""\bcreationInstant\s*=\s*["']([0-9T:.Z+-]{20,35})["']""")
_VDB: Final = re.compile(rb"ClamAV-VDB:([^:]{1,64}):.*", re.DOTALL)
_STAMP: Final = re.compile(r"(\d{1,2} \w{3} \d{4} \d{2})-(\d{2} [+-]\d{4})", re.ASCII)


class Dated(NamedTuple):
    """A date, as RFC 3339 in UTC, and the format that says it."""

    at: str
    by: str


def dates(one: Described) -> Iterator[Dated]:
    """The dates in a bundle. What cannot be read says none."""
    counts: Counter[str] = Counter()
    for file in one.files.table():
        match = _PATH.fullmatch(file.path)
        if match is None or match.lastgroup is None or counts[match.lastgroup] >= MOST_FILES:
            continue
        counts[match.lastgroup] += 1
        at = _read(match.lastgroup, one.files, file.path)
        if at >= OLDEST:
            yield Dated(at, match.lastgroup)


def _read(name: str, files: Files, path: str) -> str:
    try:
        return _FORMATS[name][1](files, path)
    except Exception:  # noqa: BLE001 - whatever a stranger's file made it do
        return ""


def _of_release(files: Files, path: str) -> str:
    return moment_of(release_fields(files.read(path, MAX_RELEASE_BYTES)).get("date", ""))


def _of_repomd(files: Files, path: str) -> str:
    content = files.read(path, MAX_RELEASE_BYTES)
    found = _REVISION.findall(content) or _TIMESTAMP.findall(content)
    return moment(max(map(int, found))) if found else ""


def _of_database(files: Files, path: str) -> str:
    """The header's last field is seconds since 1970; older headers have the text alone."""
    with files.open(path) as file:
        match = _VDB.fullmatch(file.read(HEADER_BYTES))
    if match is None:
        return ""
    last = match[0].rstrip().rpartition(b":")[2]
    if re.fullmatch(rb"[0-9]{9,11}", last):
        return moment(int(last))
    stamp = _STAMP.fullmatch(match[1].decode(errors="replace"))
    parsed = parsedate_tz(f"{stamp[1]}:{stamp[2]}") if stamp else None
    return moment(mktime_tz(parsed)) if parsed else ""


def _of_layout(files: Files, path: str) -> str:
    """The newest image of a layout."""
    layout = Layout(files, path.removesuffix("oci-layout"), Images())
    for entry in layout.entries():
        try:
            layout.add(entry)
        except ValueError:
            continue  # what is missing in it is told by whoever serves it
    images = [digest for digest, kind in layout.images.manifests.items() if kind in MANIFESTS]
    return max((_created(layout, digest) for digest in images[:MOST_FILES]), default="")


def _created(layout: Layout, digest: str) -> str:
    config = _blob(layout, digest).get("config")
    if not isinstance(config, dict) or not str(config.get("mediaType")).endswith("+json"):
        return ""
    return _rfc3339(_blob(layout, str(config.get("digest"))).get("created"))


def _blob(layout: Layout, digest: str) -> dict[str, Any]:
    path = f"{layout.folder}blobs/sha256/{digest.removeprefix('sha256:')}"
    said = read_json(layout.files.read(path, MAX_MANIFEST_BYTES))
    return said if isinstance(said, dict) else {}


def _of_crl(files: Files, path: str) -> str:
    content = files.read(path, MAX_CRL_BYTES)
    read = x509.load_pem_x509_crl if content.lstrip().startswith(b"-----BEGIN") else x509.load_der_x509_crl
    return moment(read(content).last_update_utc.timestamp())


def _of_metadata(files: Files, path: str) -> str:
    """It stands at the head of the file, which may have a hundred megabytes."""
    with files.open(path) as file:
        content = file.read(HEAD_BYTES)
    found = _CREATED.findall(content) if SAML in content else []
    return max((_rfc3339(each.decode()) for each in found), default="")


def _rfc3339(said: object) -> str:
    """A time with any offset and any fraction, in our form; empty: it is none."""
    try:
        read = datetime.fromisoformat(said) if isinstance(said, str) else None
        return moment(calendar.timegm(read.utctimetuple())) if read else ""
    except (ValueError, OverflowError):
        return ""


_FORMATS: Final[Mapping[str, tuple[str, Callable[[Files, str], str]]]] = {  # by name: paths, and what reads one
    "apt": (r"(?:.*/)?(?:InRelease|Release)", _of_release),
    "dnf": (r"(?:.*/)?repodata/repomd\.xml", _of_repomd),
    "clamav": (r".*\.(?:cvd|cld)", _of_database),
    "oci": (r"(?:.*/)?oci-layout", _of_layout),
    "crl": (r".*\.crl", _of_crl),
    "saml": (r".*\.xml", _of_metadata),
}
_PATH: Final = re.compile("|".join(f"(?P<{name}>{paths})" for name, (paths, _) in _FORMATS.items()))
