"""The manifest and tables of a bundle (docs/bundle-format.md): what is signed, and how it is read back.

A manifest is canonical JSON inside a DSSE envelope, verified over its raw bytes before it is parsed
(:mod:`diode.trust`). It pins two tables by BLAKE3: ``files`` (one line of canonical JSON a file, sorted by path) and
``slabs`` (32 raw bytes a slab). Paths are checked here, once, for both sides.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from diode.digest import DIGEST_BYTES, digest
from diode.errors import ManifestError, PathError
from diode.geometry import OBJECT_MAX_K, PROFILES, Geometry, columns_for, slab_count, stream_geometry
from diode.moments import check_moment
from diode.strict_json import read_json
from diode.wire import MAX_SLABS, ObjectType, is_symbol_size

PAYLOAD_TYPE: Final = "application/vnd.diode.manifest.v1+json"
MAX_MANIFEST_BYTES: Final = 256 * 1024
MAX_TABLE_BYTES: Final = 1 << 30
MAX_FILES: Final = 1_000_000
MAX_BUNDLE_SLABS: Final = min(MAX_SLABS, MAX_TABLE_BYTES // DIGEST_BYTES)  # so many digests fit into their table
MAX_SEQUENCE: Final = 1 << 53  # what JSON numbers carry exactly
MAX_PATH_BYTES: Final = 4096
MAX_COMPONENT_BYTES: Final = 255
MAX_DEPTH: Final = 64
MAX_LINE_BYTES: Final = MAX_PATH_BYTES * 6 + 512  # a path whose every byte is escaped, and the digests

Hex32 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
BundleHex = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
CHANNEL_PATTERN: Final = r"^[a-z0-9][a-z0-9_.-]{0,63}$"
ChannelName = Annotated[str, Field(pattern=CHANNEL_PATTERN)]
Count = Annotated[int, Field(ge=0, le=MAX_SEQUENCE)]
Moment = Annotated[str, AfterValidator(check_moment)]  # UTC
Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 /_.-]{0,63}$")]
MAX_LABELS: Final = 64
MAX_ATTESTATION_BYTES: Final = 64 << 10


def _check_attestation(text: str) -> str:
    if len(text.encode()) > MAX_ATTESTATION_BYTES:
        raise ValueError(f"more than {MAX_ATTESTATION_BYTES} bytes")
    return text


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Table(_Strict):
    """Size and BLAKE3 digest of one table, and how many entries it has."""

    entries: Count
    size: Annotated[int, Field(ge=0, le=MAX_TABLE_BYTES)]
    blake3: Hex32


class Shape(_Strict):
    """Geometry of the bundle's full slabs, by profile."""

    profile: Literal["clean", "standard", "lossy", "extreme"]
    symbol_bytes: Annotated[int, Field(ge=0, le=65535)]
    columns: Annotated[int, Field(ge=1, le=255)]
    k: Annotated[int, Field(ge=1, le=255)]
    r: Annotated[int, Field(ge=1, le=255)]

    @model_validator(mode="after")
    def _is_the_profile(self) -> "Shape":
        expected = stream_geometry(self.symbol_bytes, PROFILES[self.profile])
        if not is_symbol_size(self.symbol_bytes) or self.geometry != expected:
            raise ValueError(f"geometry is not that of profile {self.profile}")
        return self

    @property
    def geometry(self) -> Geometry:
        """As the rest of the code knows it."""
        return Geometry(self.symbol_bytes, self.columns, self.k, self.r)


class Labels(_Strict):
    """What may be done with a bundle: how it is classified, and whom it may be released to."""

    classification: Label
    releasable_to: Annotated[list[Label], Field(max_length=MAX_LABELS)]


class Manifest(_Strict):
    """What a bundle is. Everything about it that must be believed is here or pinned from here."""

    format: Literal["diode-bundle-1"]
    channel: ChannelName
    name: str
    version: str
    sequence: Annotated[int, Field(ge=1, le=MAX_SEQUENCE)]
    previous: BundleHex | None
    created: Moment
    expires: Moment | None
    supersedes: str | None
    labels: Labels | None
    attestation: Annotated[str, AfterValidator(_check_attestation)] | None
    shape: Shape
    stream_bytes: Count
    files: Table
    slabs: Table

    @model_validator(mode="after")
    def _adds_up(self) -> "Manifest":
        check_component(self.name)
        check_component(self.version)
        if self.supersedes is not None:
            check_component(self.supersedes)
        if self.name.startswith(".") or self.version.startswith(".") or self.version == "current":
            raise ValueError("name and version must not start with a dot, and no version is called 'current'")
        slabs = slab_count(self.shape.geometry, self.stream_bytes)
        if slabs > MAX_BUNDLE_SLABS or (self.slabs.entries, self.slabs.size) != (slabs, slabs * DIGEST_BYTES):
            raise ValueError("the slabs table does not have one digest for every slab of the stream")
        if self.files.entries > MAX_FILES:
            raise ValueError(f"more than {MAX_FILES} files")
        return self

    @property
    def label(self) -> str:
        """As people call it."""
        return f"{self.channel}/{self.name}/{self.version}"

    def table(self, kind: ObjectType) -> Table:
        """The table that travels as object ``kind``."""
        return self.files if kind == ObjectType.FILES else self.slabs


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One line of the files table. A path that ends in ``/`` is an empty directory."""

    path: str
    size: int = 0
    blake3: str = ""
    sha256: str = ""
    executable: bool = False

    @property
    def is_directory(self) -> bool:
        """Whether this line keeps an empty directory."""
        return self.path.endswith("/")

    def line(self) -> bytes:
        """Canonical JSON and a newline."""
        path = encode_basestring(self.path)  # as canonical() writes it: there may be a million of these lines
        if self.is_directory:
            return f'{{"path":{path}}}\n'.encode()
        executable = '"executable":true,' if self.executable else ""
        rest = f'"sha256":"{self.sha256}","size":{self.size}'
        return f'{{"blake3":"{self.blake3}",{executable}"path":{path},{rest}}}\n'.encode()


_CANONICAL: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical(value: Any) -> bytes:
    """Canonical JSON of docs/bundle-format.md: one byte string for one value."""
    return _CANONICAL.encode(value).encode()


def bundle_id(payload: bytes) -> int:
    """The 64-bit number that datagrams name a bundle by: the first 8 bytes of the payload's BLAKE3; never 0."""
    return int.from_bytes(digest(payload)[:8], "big") or 1


def check_component(component: str) -> None:
    """Raise PathError unless ``component`` may be a file or directory name in an inbox."""
    try:
        encoded = component.encode()
    except UnicodeEncodeError:
        raise PathError(f"name {component!r} is not valid UTF-8") from None
    if component in ("", ".", ".."):
        raise PathError(f"name {component!r} is not allowed")
    if len(encoded) > MAX_COMPONENT_BYTES:
        raise PathError(f"name {component[:40]!r}... is longer than {MAX_COMPONENT_BYTES} bytes")
    if "/" in component or any(unicodedata.category(c) == "Cc" for c in component):
        raise PathError(f"name {component!r} holds a slash or a control character")


_HIDING: Final = {
    "Cf": "a format character",
    "Cn": "an unassigned character",
    "Co": "a private character",
    "Zl": "a line separator",
    "Zp": "a paragraph separator",
}


def check_new_name(component: str) -> None:
    """Raise PathError unless this side may give that name: as :func:`check_component`, and nothing that hides in it.

    A receiver takes names that an older sender gave, and shows them escaped. Emoji that are joined to one (U+200D) are
    refused, too: what joins them is a format character.
    """
    check_component(component)
    for character in component:
        if what := _HIDING.get(unicodedata.category(character)):
            code = f"U+{ord(character):04X}"
            raise PathError(f"name {component!r} holds {what} ({code}), by which it could look like another; rename it")


def check_path(path: str) -> None:
    """Raise PathError unless ``path`` is relative, made of allowed components, and not too long or too deep."""
    path = path.removesuffix("/")
    components = path.split("/")
    if len(components) > MAX_DEPTH or len(path.encode(errors="replace")) > MAX_PATH_BYTES:
        raise PathError(f"path {path[:60]!r}... is deeper than {MAX_DEPTH} or longer than {MAX_PATH_BYTES} bytes")
    for component in components:
        check_component(component)


class PathSet:
    """Refuses a second path that a case-insensitive file system, or a tree, could not hold beside the first.

    It keeps a hash of the folded form of each path and each directory above it.
    """

    def __init__(self) -> None:
        self._files: set[int] = set()
        self._directories: dict[int, int] = {}
        self._listed: set[str] = set()

    def add(self, path: str) -> None:
        """Take one path (``/`` at its end: a directory). Raises PathError."""
        check_path(path)
        if not path.endswith("/"):
            self._add_file(path)
        elif path in self._listed:
            raise PathError(f"{path!r} is there twice")
        else:
            self._listed.add(path)
        parent, count = path.rpartition("/")[0], len(self._directories)
        while parent:
            folded = _folded(parent)
            if folded in self._files:
                raise PathError(f"{parent!r} is a file and a directory")
            known = self._directories.setdefault(folded, hash(parent))
            if known != hash(parent):
                raise PathError(f"directory {parent!r} differs from another only in case or form")
            if len(self._directories) == count:
                break  # it was known, and so is all that lies above it
            count += 1
            parent = parent.rpartition("/")[0]

    def _add_file(self, path: str) -> None:
        folded = _folded(path)
        if folded in self._files or folded in self._directories:
            raise PathError(f"{path!r} is there twice, or differs from another name only in case or form")
        self._files.add(folded)


def _folded(path: str) -> int:
    return hash(unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold()))


def parse_files(lines: Iterable[bytes], manifest: Manifest) -> Iterator[FileEntry]:
    """Read the files table as a stream, checking every rule of docs/bundle-format.md on the way.

    ``lines`` are as an open file gives them, each bounded to MAX_LINE_BYTES by the caller. Raises ManifestError,
    PathError at the first line that breaks a rule, or at the end when the counts don't add up.
    """
    paths, count, total, previous = PathSet(), 0, 0, b""
    for line in lines:
        entry = read_line(line)
        paths.add(entry.path)
        encoded = entry.path.encode()
        if encoded <= previous:
            raise ManifestError(f"files table is not sorted at {entry.path!r}")
        count, total, previous = count + 1, total + entry.size, encoded
        if count > manifest.files.entries or total > manifest.stream_bytes:
            raise ManifestError("files table holds more than the manifest says")
        yield entry
    if (count, total) != (manifest.files.entries, manifest.stream_bytes):
        raise ManifestError("sizes of the files do not add up to what the manifest says")


_HEX = re.compile(r"[0-9a-f]{64}")


def read_line(line: bytes) -> FileEntry:
    """One line of a files table, which must be in canonical form. Raises ManifestError."""
    try:
        fields = json.loads(line.decode())
        entry = FileEntry(**fields)
        if not _is_sound(entry) or entry.line() != line:
            raise ValueError("not canonical")
    except (ValueError, TypeError, RecursionError) as error:
        raise ManifestError(f"line {line[:80]!r} of the files table cannot be read: {error}") from None
    return entry


def _is_sound(entry: FileEntry) -> bool:
    if type(entry.path) is not str or type(entry.size) is not int or type(entry.executable) is not bool:
        return False
    if entry.is_directory:
        return True  # the comparison with its canonical form rules out further fields
    digests = (entry.blake3, entry.sha256)
    return 0 <= entry.size <= MAX_SEQUENCE and all(type(d) is str and bool(_HEX.fullmatch(d)) for d in digests)


def read_manifest(payload: bytes) -> Manifest:
    """The manifest in a payload whose signature was verified. Raises ManifestError."""
    try:
        manifest = Manifest.model_validate(read_json(payload))
        if canonical(manifest.model_dump()) != payload:
            raise ValueError("not canonical")
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ManifestError(f"manifest: {where or 'content'}: {first['msg']}") from None
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"manifest cannot be read: {error}") from None
    return manifest


def padded_manifest(sealed: bytes, symbol_bytes: int) -> bytes:
    """The envelope as it travels: padded with NUL to whole rows, so that its shape in a header is its length."""
    symbols = -(-len(sealed) // symbol_bytes)
    columns = min(symbols, columns_for(symbol_bytes))
    rows = -(-symbols // columns)
    assert rows <= OBJECT_MAX_K
    return sealed.ljust(rows * columns * symbol_bytes, b"\0")
