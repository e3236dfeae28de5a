"""The manifest of a bundle (docs/bundle-format.md): the signed fields, their bounds, and how they are read back.

A manifest is canonical JSON inside a DSSE envelope. Its signatures are verified over the raw bytes before they are
parsed (:mod:`diode.trust.roles`). It pins two tables by BLAKE3: ``files`` (:mod:`diode.bundle.files`) and ``slabs`` (32
raw bytes for each slab). In version 2 a table of times (:mod:`diode.bundle.times`) may follow the lines of ``files``.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from diode.bundle.ref import label_of
from diode.errors import ManifestError
from diode.formats.canonical import canonical
from diode.formats.digest import DIGEST_BYTES, digest
from diode.formats.names import (
    MAX_FILES,
    MAX_LABELS,
    MAX_SEQUENCE,
    BundleHex,
    ChannelName,
    Count,
    Hex32,
    Label,
    Moment,
    check_component,
)
from diode.formats.strict_json import read_json
from diode.protocol.geometry import OBJECT_MAX_K, PROFILES, Geometry, columns_for, slab_count, stream_geometry
from diode.protocol.sizes import MAX_SLABS, ObjectType, is_symbol_size

PAYLOAD_TYPE: Final = "application/vnd.diode.manifest.v1+json"
MAX_TABLE_BYTES: Final = 1 << 30
MAX_BUNDLE_SLABS: Final = min(MAX_SLABS, MAX_TABLE_BYTES // DIGEST_BYTES)  # so many digests fit into their table

MAX_ATTESTATION_BYTES: Final = 64 << 10
MAX_LINKS: Final = 10_000
MAX_TIMES: Final = 2 * MAX_FILES
TIME_BYTES: Final = 8  # of one entry of the table of times


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
    """The geometry of the bundle's full slabs, by the name of its profile."""

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
        """The same as a :class:`Geometry` of the protocol."""
        return Geometry(self.symbol_bytes, self.columns, self.k, self.r)


class Labels(_Strict):
    """Handling rules for a bundle: its classification, and to whom it may be released."""

    classification: Label
    releasable_to: Annotated[list[Label], Field(max_length=MAX_LABELS)]


class Manifest(_Strict):
    """The manifest of a bundle.

    Everything that must be believed about the bundle is in it, or pinned by a digest in it. Only version 2 has the last
    three fields. Its files table may hold ``links``. When it has ``times``, they follow the lines of the files table in
    the same object, and ``content`` is the digest of the lines alone.
    """

    format: Literal["diode-bundle-1", "diode-bundle-2"]
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
    content: Hex32 | None = None
    links: Annotated[int, Field(ge=0, le=MAX_LINKS)] = 0
    times: Annotated[int, Field(ge=0, le=MAX_TIMES)] = 0

    @model_serializer(mode="wrap")
    def _of_its_version(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = write(self)
        if self.format == "diode-bundle-1":
            for name in _OF_VERSION_2:
                del fields[name]
        return fields

    @model_validator(mode="after")
    def _is_of_its_version(self) -> "Manifest":
        is_second = self.format == "diode-bundle-2"
        if is_second != bool(self.links or self.times) or is_second != (self.content is not None):
            raise ValueError("diode-bundle-2 has links or times, and names its content; diode-bundle-1 does neither")
        if self.times and not self.files.entries < self.times:
            raise ValueError("there are fewer times than files and folders")
        if self.lines_bytes < 0 or self.links > self.files.entries:
            raise ValueError("the files table is too small for its links and times")
        if not self.times and self.content not in (None, self.files.blake3):
            raise ValueError("without times, the content is the whole files table")
        return self

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
        """Channel, name and version, as people call the bundle."""
        return label_of(self)

    @property
    def content_digest(self) -> str:
        """BLAKE3 of the lines of the files table, by which equal content is known."""
        return self.content or self.files.blake3

    @property
    def lines_bytes(self) -> int:
        """Bytes of the lines of the files table. In the object of that table, the table of times follows them."""
        return self.files.size - TIME_BYTES * self.times

    def table(self, kind: ObjectType) -> Table:
        """The table that travels as control object ``kind``."""
        return self.files if kind == ObjectType.FILES else self.slabs


_OF_VERSION_2: Final = ("content", "links", "times")


def bundle_id(payload: bytes) -> int:
    """The 64-bit number by which datagrams name a bundle: the first 8 bytes of the payload's BLAKE3, and never 0."""
    return int.from_bytes(digest(payload)[:8], "big") or 1


def read_manifest(payload: bytes) -> Manifest:
    """Parse the payload of an envelope whose signatures were verified already. Raises ManifestError."""
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
    """The envelope as it is sent: padded with NUL to whole rows, so that the shape in a header tells its length."""
    symbols = -(-len(sealed) // symbol_bytes)
    columns = min(symbols, columns_for(symbol_bytes))
    rows = -(-symbols // columns)
    assert rows <= OBJECT_MAX_K
    return sealed.ljust(rows * columns * symbol_bytes, b"\0")
