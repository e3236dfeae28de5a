"""Reads one OCI image layout: which manifests and blobs of it can be served, and what is missing.

``index.json`` lists manifests; an index lists others, an image lists its configuration and layers. Each lies at
``blobs/sha256/HEX``. A manifest is served where everything it needs is there. An index is served where anything of it
is there: those of one platform out of four are common, and every client takes them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from diode.formats.strict_json import read_json
from diode.layouts.files import File, Files

MAX_MANIFEST_BYTES: Final = 4 << 20  # what registries take
MOST_MANIFESTS: Final = 20_000  # of one bundle
MOST_BLOBS: Final = 500_000
DEEPEST: Final = 6  # indexes inside one another

INDEXES: Final = frozenset(
    {
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    }
)
MANIFESTS: Final = frozenset(
    {
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.oci.artifact.manifest.v1+json",
    }
)
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_MEDIA_TYPE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}")


class Entry(NamedTuple):
    """What one manifest says of another, or of a blob."""

    digest: str
    media_type: str
    size: int
    annotations: dict[str, Any]


class NotHereError(ValueError):
    """What an entry names is not in the bundle."""


@dataclass(slots=True)
class Images:
    """What can be served of a bundle. ``referrers``: for each subject, what says of itself that it is about that."""

    manifests: dict[str, str] = field(default_factory=dict)  # digest: media type
    blobs: set[str] = field(default_factory=set)
    referrers: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    abouts: set[str] = field(default_factory=set)  # manifests that are about another one


@dataclass(slots=True)
class Layout:
    """One layout. ``folder``: where it lies in the bundle, with a slash at its end, or nothing."""

    files: Files
    folder: str
    images: Images
    refused: dict[str, str] = field(default_factory=dict)

    def entries(self) -> Iterator[Entry]:
        """The entries of its ``index.json``. Raises ValueError, OSError."""
        path = f"{self.folder}index.json"
        if self.files.get(path) is None:
            raise NotHereError(f"{path} is missing")
        for value in _listed(_object(self.files.read(path, MAX_MANIFEST_BYTES), path), "manifests"):
            yield _entry(value)

    def add(self, entry: Entry, depth: int = 0) -> None:
        """Take in a manifest and all that it needs. Raises ValueError where it cannot be served, OSError."""
        if entry.digest in self.images.manifests:
            return
        if entry.digest in self.refused:
            raise ValueError(self.refused[entry.digest])
        try:
            self._add(entry, depth)
        except NotHereError:
            raise
        except ValueError as error:
            self.refused[entry.digest] = str(error)
            raise

    def _add(self, entry: Entry, depth: int) -> None:
        if depth > DEEPEST or len(self.images.manifests) >= MOST_MANIFESTS:
            raise ValueError(f"more than {DEEPEST} indexes inside one another, or than {MOST_MANIFESTS} manifests")
        one = self._blob(entry)
        said = _object(self.files.read(one.path, MAX_MANIFEST_BYTES), entry.digest)
        media_type = said.get("mediaType", entry.media_type)
        if media_type != entry.media_type:
            raise ValueError(f"{entry.digest} is listed as {entry.media_type} and says that it is another type")
        if media_type in INDEXES:
            needed = self._children(entry, said, depth)
        elif media_type in MANIFESTS:
            needed = self._parts(said)
        else:
            raise ValueError(f"{entry.digest} has the type {media_type}, which is not served; convert it to OCI")
        if len(self.images.blobs) + len(needed) >= MOST_BLOBS:
            raise ValueError(f"the bundle has more than {MOST_BLOBS} layers")
        self.images.blobs |= needed | {entry.digest}
        self.images.manifests[entry.digest] = media_type
        self._note_subject(entry, said)

    def _children(self, entry: Entry, said: dict[str, Any], depth: int) -> set[str]:
        """Take in those manifests of an index that are here. Raises ValueError when none is."""
        blobs: set[str] = set()
        found = 0
        listed = [_entry(value) for value in _listed(said, "manifests")]
        for child in listed:
            try:
                if child.media_type in INDEXES | MANIFESTS:
                    self.add(child, depth + 1)
                else:
                    self._blob(child)
                    blobs.add(child.digest)
                found += 1
            except NotHereError:
                continue
            except ValueError as error:
                self.images.problems.append(f"one platform of {entry.digest} is not served: {error}")
        if listed and not found:
            raise ValueError(f"{entry.digest} is an index, and nothing that it lists can be served")
        return blobs

    def _parts(self, said: dict[str, Any]) -> set[str]:
        """The digests of the configuration and layers of an image. Raises ValueError naming the one that is missing."""
        values = [said["config"]] if said.get("config") else []
        values += [*_listed(said, "layers"), *_listed(said, "blobs")]
        parts = [_entry(value) for value in values]
        for part in parts:
            try:
                self._blob(part)
            except NotHereError as error:
                raise ValueError(f"{error}, and without it the image cannot be used") from None
        return {part.digest for part in parts}

    def _blob(self, entry: Entry) -> File:
        """The file of an entry. Its name must be its digest, by the signed table: it is not hashed again."""
        path = f"{self.folder}blobs/sha256/{entry.digest.removeprefix('sha256:')}"
        one = self.files.get(path)
        if one is None:
            raise NotHereError(f"{entry.digest} is missing: {path} is not in the bundle")
        if f"sha256:{one.sha256}" != entry.digest:
            raise ValueError(f"{path} holds something else than its name says")
        if one.size != entry.size:
            raise ValueError(f"{path} has {one.size} bytes, and the layout says {entry.size}")
        return one

    def _note_subject(self, entry: Entry, said: dict[str, Any]) -> None:
        """Note what this manifest is about, as signatures and SBOMs are about an image."""
        if not said.get("subject"):
            return
        subject = _entry(said["subject"]).digest
        config = said.get("config")
        kind = said.get("artifactType") or (config.get("mediaType") if isinstance(config, dict) else "") or ""
        told: dict[str, Any] = {"mediaType": entry.media_type, "digest": entry.digest, "size": entry.size}
        told |= {"artifactType": kind} if isinstance(kind, str) and kind else {}
        if isinstance(annotations := said.get("annotations"), dict) and annotations:
            told["annotations"] = annotations
        self.images.referrers.setdefault(subject, {})[entry.digest] = told
        self.images.abouts.add(entry.digest)


def _object(data: bytes, what: str) -> dict[str, Any]:
    try:
        value = read_json(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what} cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{what} is no JSON object")
    return value


def _listed(said: dict[str, Any], key: str) -> list[Any]:
    value = said.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"{key} is no list")
    return value


def _entry(value: Any) -> Entry:
    """One entry. Raises ValueError for what is none."""
    if not isinstance(value, dict):
        raise ValueError("an entry is no JSON object")
    digest, kind, size = (value.get(key) for key in ("digest", "mediaType", "size"))
    if not (isinstance(digest, str) and _DIGEST.fullmatch(digest)):
        raise ValueError(f"an entry has the digest {str(digest)[:80]}; only sha256 is served")
    if kind is None:
        kind = "application/octet-stream"
    if not (isinstance(kind, str) and _MEDIA_TYPE.fullmatch(kind)):
        raise ValueError(f"the entry of {digest} has no media type")
    if type(size) is not int or size < 0:
        raise ValueError(f"the entry of {digest} has no size")
    annotations = value.get("annotations")
    return Entry(digest, kind, size, annotations if isinstance(annotations, dict) else {})
