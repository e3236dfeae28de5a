"""The trust document (docs/trust.md): one signed file that says whose keys count, for what, and until when.

It is canonical JSON in a DSSE envelope. A person installs the first one. Each later document needs enough signatures of
the root people named in the one before, and enough of the root people named in itself.
"""

import tomllib
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from diode.errors import ExpiredError, ForkError, ManifestError, ReplayError, TrustError, UsageError
from diode.formats.canonical import canonical
from diode.formats.digest import digest
from diode.formats.dsse import load_public_key, read_envelope
from diode.formats.names import ChannelName, Hex32, Moment
from diode.formats.signers import Key
from diode.formats.strict_json import read_json
from diode.formats.timestamps import moment
from diode.trust.roles import Role, Trust, TrustedKey

TRUST_TYPE: Final = "application/vnd.diode.trust.v1+json"
TRUST_FILE: Final = "trust.dsse.json"
MAX_TRUST_BYTES: Final = 1 << 20
MAX_VERSION: Final = 1_000_000
ROOT: Final = "root"

Person = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
KeyId = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Reason = Annotated[str, Field(min_length=1, max_length=200)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class KeyEntry(_Strict):
    """One public key of a person, in PEM, and the period in which it counts."""

    public: Annotated[str, Field(max_length=2048)]
    not_before: Moment | None = None
    expires: Moment | None = None

    @field_validator("public")
    @classmethod
    def _is_a_key(cls, value: str) -> str:
        load_public_key(value.encode())
        return value

    @property
    def key(self) -> Key:
        """The key as an object that verifies signatures."""
        return load_public_key(self.public.encode())


class RoleEntry(_Strict):
    """A role: these people, and how many of them must sign."""

    persons: Annotated[list[Person], Field(min_length=1, max_length=64)]
    threshold: Annotated[int, Field(ge=1, le=16)]

    @model_validator(mode="after")
    def _can_be_met(self) -> "RoleEntry":
        if len(set(self.persons)) != len(self.persons) or self.threshold > len(self.persons):
            raise ValueError("a role names each person once, and asks for no more signatures than it names people")
        return self

    @property
    def role(self) -> Role:
        """The same as a :class:`diode.trust.roles.Role`."""
        return Role(self.threshold, frozenset(self.persons))


KeyEntries = Annotated[list[KeyEntry], Field(min_length=1, max_length=16)]


class TrustDocument(_Strict):
    """The content of the document: who may sign bundles, who may release them, and who may sign the next document."""

    format: Literal["diode-trust-1"]
    version: Annotated[int, Field(ge=1, le=MAX_VERSION)]
    created: Moment
    expires: Moment | None
    persons: Annotated[dict[Person, KeyEntries], Field(max_length=256)]
    revoked: Annotated[dict[KeyId, Reason], Field(max_length=4096)]
    root: RoleEntry
    channels: Annotated[dict[ChannelName | Literal["*"], RoleEntry], Field(max_length=256)]
    release: Annotated[dict[ChannelName | Literal["*"], RoleEntry], Field(max_length=256)]
    previous: Hex32 | None = None  # digest of the document before; older versions of this program do not know it

    @model_serializer(mode="wrap")
    def _without_what_is_not_said(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = dump(self)
        return {name: value for name, value in fields.items() if name != "previous" or value is not None}

    @model_validator(mode="after")
    def _adds_up(self) -> "TrustDocument":
        owners: dict[str, str] = {}
        for person, entries in self.persons.items():
            for entry in entries:
                key_id = entry.key.keyid
                if key_id in owners:
                    raise ValueError(f"key {key_id[:16]} is listed twice ({owners[key_id]}, {person})")
                owners[key_id] = person
        named = {p for role in (self.root, *self.channels.values(), *self.release.values()) for p in role.persons}
        if unknown := named - self.persons.keys():
            raise ValueError(f"{', '.join(sorted(unknown))}: named in a role, but without a key")
        return self

    @property
    def trust(self) -> Trust:
        """Who may sign bundles of which channel."""
        roles = {channel: entry.role for channel, entry in self.channels.items()}
        return Trust(self._keys(), roles)

    @property
    def root_trust(self) -> Trust:
        """Who may sign the next document."""
        return Trust(self._keys(), {ROOT: self.root.role})

    @property
    def release_trust(self) -> Trust:
        """Who may release bundles that are held."""
        return Trust(self._keys(), {channel: entry.role for channel, entry in self.release.items()})

    def _keys(self) -> list[TrustedKey]:
        return [
            TrustedKey(
                entry.key, person, entry.not_before or "", entry.expires or "", self.revoked.get(entry.key.keyid, "")
            )
            for person, entries in self.persons.items()
            for entry in entries
        ]


def read_document(sealed: bytes) -> TrustDocument:
    """The document in an envelope. Its signatures are not verified here. Raises ManifestError."""
    payload = read_envelope(sealed, TRUST_TYPE, MAX_TRUST_BYTES).payload
    try:
        document = TrustDocument.model_validate(read_json(payload))
        if canonical(document.model_dump()) != payload:
            raise ValueError("not canonical")
    except ValidationError as error:
        raise ManifestError(f"trust document: {_first(error)}") from None
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"trust document cannot be read: {error}") from None
    return document


def open_first(sealed: bytes, now: str) -> TrustDocument:
    """The first document, which a person wants to install. Enough of its own root must have signed it.

    Raises ContentError.
    """
    document = read_document(sealed)
    _check_time(document, now)
    _check_root(sealed, document, now, "itself")
    return document


def document_digest(sealed: bytes) -> str:
    """BLAKE3 of the document itself, which does not depend on its signatures or their order. Raises ManifestError."""
    return digest(read_envelope(sealed, TRUST_TYPE, MAX_TRUST_BYTES).payload).hex()


def check_itself(sealed: bytes, document: TrustDocument) -> None:
    """Raise TrustError unless enough of its own root signed a document. The time of signing does not matter."""
    _check_root(sealed, document, None, "itself")


def open_next(sealed: bytes, before: TrustDocument, now: str) -> TrustDocument:
    """The document that follows ``before``. Raises ContentError.

    ReplayError: it is not newer. ForkError: it is another document of the same version, or follows another document.
    """
    # The old root's people first: nothing that strangers wrote is parsed.
    _check_root(sealed, before, now, f"version {before.version}")
    document = read_document(sealed)
    _check_fork(document, before)
    if document.version <= before.version:
        raise ReplayError(f"trust document {document.version} is not newer than {before.version}, which counts here")
    if document.created < before.created:
        raise ReplayError(
            f"trust document {document.version} was made at {document.created}, before {before.version}, which counts "
            f"here and was made at {before.created}"
        )
    _check_time(document, now)
    _check_root(sealed, document, now, "itself")
    return document


def _check_fork(document: TrustDocument, before: TrustDocument) -> None:
    """Raise ForkError when the people of the root have signed two documents where there can be one."""
    if document.version == before.version and document != before:
        raise ForkError(f"there are two trust documents {document.version}: another one than counts here was signed")
    own = digest(canonical(before.model_dump())).hex()
    if document.version == before.version + 1 and document.previous not in (None, own):
        raise ForkError(
            f"trust document {document.version} follows another one than counts here: its {before.version} is of "
            f"digest {document.previous}, this one of {own}"
        )


def _check_time(document: TrustDocument, now: str) -> None:
    if document.expires is not None and document.expires <= now:
        raise ExpiredError(f"trust document {document.version} expired at {document.expires}; here it is {now}")


def _check_root(sealed: bytes, document: TrustDocument, now: str | None, whose: str) -> None:
    root = document.root_trust
    envelope = read_envelope(sealed, TRUST_TYPE, MAX_TRUST_BYTES)
    try:
        root.check(ROOT, root.signatures(envelope, now))
    except TrustError as error:
        raise type(error)(f"not signed by enough of the root of {whose}: {error}") from None


# from TOML, as people write it


def build_document(path: Path, now: float) -> TrustDocument:
    """Make the document that a TOML file describes. Keys are files beside it. Raises UsageError."""
    try:
        source = _plain(tomllib.loads(path.read_text()))
        fields = {
            "format": "diode-trust-1",
            "created": moment(now),
            "expires": None,
            "revoked": {},
            "channels": {},
            "release": {},
            **source,
            "persons": {person: _keys_of(entry, path.parent) for person, entry in source.get("persons", {}).items()},
        }
        return TrustDocument.model_validate(fields)
    except ValidationError as error:
        raise UsageError(f"{path}: {_first(error)}") from None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"{path}: {error}") from None


def _plain(value: Any) -> Any:
    """A date of TOML as text in UTC. A date without an offset counts as UTC."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, date):
        day = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day, tzinfo=UTC)
        return moment((day if day.tzinfo else day.replace(tzinfo=UTC)).timestamp())
    return value


def _keys_of(entry: Any, folder: Path) -> list[dict[str, Any]]:
    """Read the keys of a person: ``["alice.pub", { file = "alice.2.pub", expires = "..." }]``."""
    keys = []
    if not isinstance(entry, list):
        raise ValueError('the keys of a person are a list, such as ["alice.pub"]')
    for item in entry:
        fields = {"file": item} if isinstance(item, str) else dict(item)
        keys.append({"public": (folder / fields.pop("file", "")).read_text(), **fields})
    return keys


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}".removeprefix(": ")
