"""``source.json``, a file of a bundle: where its files come from (docs/source.md).

It speaks for its own bundle's name only. What it says of a file counts only where the file has the digest that it says.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from diode.formats.names import MAX_FILES, Moment
from diode.formats.strict_json import read_json
from diode.layouts.kinds import Kind
from diode.layouts.names import normal_form

SOURCE_FILE: Final = "source.json"
MAX_SOURCE_BYTES: Final = 16 << 20

Text = Annotated[str, Field(min_length=1, max_length=255)]
Sha1 = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Sha512 = Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]


SourceKind = Literal["model", "dataset", "pypi", "npm", "oci", "mcp", "apt", "dnf", "clamav", "files"]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class SourceFile(_Strict):
    """What upstream says of one file."""

    uploaded: Moment | None = None
    sha256: Sha256 | None = None
    sha512: Sha512 | None = None
    sha1: Sha1 | None = None
    url: Annotated[str, Field(max_length=2048)] | None = None


class Source(_Strict):
    """Where a bundle's files come from: kind, upstream's name and revision, dates, tags, and its files."""

    format: Literal["diode-source-1"]
    kind: SourceKind
    name: Text
    revision: Text | None = None
    uploaded: Moment | None = None  # of the whole, where upstream has no date for each file
    tags: Annotated[list[Text], Field(max_length=1000)] = []  # upstream's names for this revision
    files: Annotated[dict[str, SourceFile], Field(max_length=MAX_FILES)] = {}


class Digests(NamedTuple):
    """What a file has, in hex. Empty: it was not computed, since its bundle's ``source.json`` does not name it."""

    sha256: str
    sha512: str = ""
    sha1: str = ""


_SPELT_AS: Final[Mapping[str, Kind]] = {"pypi": "pypi", "npm": "npm", "oci": "oci", "mcp": "mcp"}  # others: as a model


def write_source(source: Source) -> bytes:
    """The text of a ``source.json``, the same each time."""
    said = source.model_dump(exclude_defaults=True)
    return json.dumps(said, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def read_source(data: bytes) -> Source:
    """Parse a ``source.json``. Raises ValueError, in one line."""
    try:
        return Source.model_validate(read_json(data))
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{SOURCE_FILE}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{SOURCE_FILE} cannot be read: {error}") from None


def speaks_of(source: Source, name: str) -> bool:
    """Whether it speaks of the bundle called ``name``. A bundle's name holds ``--`` where upstream's has a slash."""
    kind = _SPELT_AS.get(source.kind, "hub")
    return normal_form(kind, _as_bundle(normal_form(kind, source.name))) == normal_form(kind, _as_bundle(name))


def bundle_name(kind: SourceKind, upstream: str) -> str:
    """The name of a bundle that holds what upstream calls so, as :func:`speaks_of` wants it. Its case is kept."""
    spelt_as = _SPELT_AS.get(kind)
    return _as_bundle(normal_form(spelt_as, upstream) if spelt_as in ("pypi", "oci") else upstream)


def upstream_name(kind: SourceKind, bundle: str) -> str:
    """What upstream calls what a bundle of this name holds, as far as the name tells: :func:`speaks_of` takes it."""
    org, dashes, rest = bundle.partition("--")
    match kind:
        case "pypi" | "apt" | "dnf" | "clamav":
            return bundle
        case "npm":
            return f"@{org}/{rest}" if dashes else bundle
        case "oci":
            return bundle.replace("--", "/")
        case _:
            return f"{org}/{rest}" if dashes else bundle


def _as_bundle(upstream: str) -> str:
    return upstream.removeprefix("@").replace("/", "--")


def believed(source: Source, built: str, digests: Callable[[str], Digests | None], problems: list[str]) -> Source:
    """What of it may be believed: no date later than ``built``, and nothing of a file that has another digest.

    ``digests``: of a file by its path; None: the bundle has no such file. What is left out is added to ``problems``.
    """
    files = dict(_sound_files(source, built, digests, problems))
    uploaded = source.uploaded
    if uploaded is not None and uploaded > built:
        problems.append(f"{SOURCE_FILE}: uploaded is {uploaded}, after the build: not believed")
        uploaded = None
    return source.model_copy(update={"files": files, "uploaded": uploaded})


def _sound_files(
    source: Source, built: str, digests: Callable[[str], Digests | None], problems: list[str]
) -> Iterator[tuple[str, SourceFile]]:
    for path, said in source.files.items():
        found = digests(path)
        if found is None:
            problems.append(f"{SOURCE_FILE}: {path!r} is not in the bundle")
        elif wrong := [name for name, digest in found._asdict().items() if getattr(said, name) not in (None, digest)]:
            problems.append(f"{SOURCE_FILE}: {path!r} has another {wrong[0]} than it says: nothing of it is believed")
        elif said.uploaded is not None and said.uploaded > built:
            problems.append(f"{SOURCE_FILE}: {path!r} is dated {said.uploaded}, after the build: not believed")
            yield path, said.model_copy(update={"uploaded": None})
        else:
            yield path, said


def date_of(source: Source) -> str:
    """When upstream uploaded it: the whole, else its newest file. Empty: it does not say."""
    return source.uploaded or max((one.uploaded for one in source.files.values() if one.uploaded), default="")
