"""The kind ``oci``: skopeo copies images by digest from the gateway into a registry; tags come last.

A tag with the bundle's version says that the version is there. The tags that the layout itself names move with the
pointer. An image's digest is the SHA-256 of a file in the signed table, and everything below it is named by digest, so
a manifest with that digest is the signed image. Digests are read from the registry after the copy.
"""

import hashlib
import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from diode.config.ingest import RegistryTarget
from diode.errors import IntegrityError, PolicyError, StorageError, UsageError
from diode.formats.canonical import canonical
from diode.formats.escape import escape
from diode.layouts.oci_layout import INDEXES, MAX_MANIFEST_BYTES
from diode.layouts.oci_names import is_repository, is_tag
from diode.process.programs import environment
from receiver.catalogue.card import Card
from receiver.ingest.item import Item
from receiver.ingest.journal import Record
from receiver.ingest.secrets import check_secret
from receiver.ingest.target import Found

_UNKNOWN: Final = re.compile(r"manifest unknown|name unknown|not found|NAME_UNKNOWN|MANIFEST_UNKNOWN", re.IGNORECASE)
_NO_DELETION: Final = re.compile(r"unsupported|405|method not allowed", re.IGNORECASE)
Tags = dict[str, str]  # REPOSITORY:TAG to a digest


class Registry:
    """A registry, spoken to by skopeo alone."""

    def __init__(self, settings: RegistryTarget) -> None:
        self._settings = settings
        self._gateway = urlsplit(settings.gateway)
        if settings.authfile is not None:
            check_secret(settings.authfile)

    def place(self, item: Item) -> str:
        """The tags that move, each with its digest."""
        moving, _ = self._tags(item)
        return canonical(moving).decode() if moving else ""

    def look(self, item: Item) -> Found:
        """Ask the registry for each image by its digest, and what the version's tags mean."""
        moving, fixed = self._tags(item)
        wanted = {*moving.values(), *fixed.values()}
        self._check_whole(item, wanted)
        found = {name: self._maybe_digest(name) for name in fixed}
        others = [name for name, digest in found.items() if digest not in ("", fixed[name])]
        if others:
            return Found("other", found[others[0]], fixed[others[0]])
        are_tagged = all(found.values())
        return Found("same" if are_tagged and all(self._maybe_digest(one) for one in self._images(item)) else "absent")

    def names(self, item: Item) -> dict[str, str]:
        """The tags with the bundle's version, and the images, each by REPOSITORY@DIGEST."""
        _, fixed = self._tags(item)
        return {"fixed": canonical(fixed).decode(), "images": " ".join(self._images(item))}

    def notes(self, item: Item) -> dict[str, str]:
        """The images that are there already, and what the version's tags mean."""
        _, fixed = self._tags(item)
        kept = [one for one in self._images(item) if self._maybe_digest(one)]
        before = {name: digest for name in fixed if (digest := self._maybe_digest(name))}
        return {"kept": " ".join(kept), "before": canonical(before).decode()}

    def put(self, item: Item, record: Record) -> None:
        """Copy each image by its digest: no tag leads to it yet."""
        for image in self._images(item):
            if not self._maybe_digest(image):
                self._copy(self._from_gateway(image), self._at(image))

    def check(self, item: Item, record: Record) -> None:
        """Read each manifest from the registry, and hash it."""
        for image in self._images(item):
            wanted, found = image.rpartition("@")[2], self._maybe_digest(image)
            if found != wanted:
                raise IntegrityError(f"{image} at the registry has {found or 'no manifest'}; nothing was tagged")

    def publish(self, record: Record) -> None:
        """Set the tags with the bundle's version."""
        self._set(json.loads(record.notes["fixed"]))

    def holds(self, record: Record) -> bool:
        """Whether the version's tags are there."""
        fixed = json.loads(record.notes["fixed"])
        return all(self._maybe_digest(name) == digest for name, digest in fixed.items())

    def current(self, record: Record) -> str:
        """What the tags that move mean now."""
        found = {name: digest for name in _tags_in(record.place) if (digest := self._maybe_digest(name))}
        return canonical(found).decode() if found else ""

    def point(self, record: Record, place: str) -> None:
        """Set the tags that move. A tag that is to go, goes with its image: registries remove no tag alone."""
        self._set(_tags_in(place))

    def take(self, record: Record) -> None:
        """Let the version's tags mean what they did, and delete the images that came with the bundle."""
        self._set(json.loads(record.notes["before"]))
        for image in record.notes["images"].split():
            if image not in record.notes["kept"].split() and self._maybe_digest(image):
                self._delete(image)

    def clean(self, record: Record) -> None:
        """Delete images that were copied, and never tagged."""
        if record.phase == "undone" and record.made and not record.publishing:
            self.take(record)

    def _tags(self, item: Item) -> tuple[Tags, Tags]:
        """The tags that move, and those with the bundle's version. Raises IntegrityError when a card names no image."""
        moving: Tags = {}
        try:
            card = Card(item.card)
        except StorageError as error:
            raise IntegrityError(f"the images of {item.line.label} are not known: {error}") from error
        signed = {one.sha256 for one in item.files.values()}
        for name, digest in card.facts("oci.tag").items():
            repository, _, tag = name.rpartition(":")
            if digest.decode().removeprefix("sha256:") not in signed:
                raise IntegrityError(f"{name} is not in the signed table of {item.line.label}")
            moving[f"{self._repository(repository)}:{tag}"] = digest.decode()
        card.close()
        if not moving:
            raise UsageError(f"{item.line.label} holds no image with a name; nothing was pushed")
        fixed = _fixed(moving, item.line.version)
        return {name: digest for name, digest in moving.items() if name not in fixed}, fixed

    def _repository(self, name: str) -> str:
        path = name.split("/", 1)[1] if ":" in name.split("/", 1)[0] and "/" in name else name
        whole = f"{self._settings.prefix}/{path}" if self._settings.prefix else path
        if not is_repository(whole):
            raise UsageError(f"a registry can hold no repository called {escape(whole)}; nothing was pushed")
        return whole

    def _images(self, item: Item) -> list[str]:
        """REPOSITORY@DIGEST of each image."""
        moving, fixed = self._tags(item)
        return sorted({f"{name.rpartition(':')[0]}@{digest}" for name, digest in {**moving, **fixed}.items()})

    def _check_whole(self, item: Item, digests: set[str]) -> None:
        """Raise PolicyError for an index of which not everything is in the bundle."""
        paths = {one.sha256: one.path for one in item.files.values()}
        for digest in digests:
            missing = [child for child in self._children(item, digest, paths) if child not in paths]
            if missing:
                raise PolicyError(
                    f"{digest} is an index, and {len(missing)} of the images that it lists are not in the bundle. "
                    "Registries refuse such an index, and skopeo copies none; nothing was pushed. Clients take it from "
                    "the gateway; or pack the image of one platform as a bundle of its own"
                )

    def _children(self, item: Item, digest: str, paths: dict[str, str]) -> Iterator[str]:
        said: Any = json.loads(item.whole(paths[digest.removeprefix("sha256:")], MAX_MANIFEST_BYTES))
        if said.get("mediaType") in INDEXES or "manifests" in said:
            yield from (str(one["digest"]).removeprefix("sha256:") for one in said["manifests"])

    def _set(self, tags: Tags) -> None:
        for name, digest in sorted(tags.items()):
            if self._maybe_digest(name) != digest:
                self._copy(self._at(f"{name.rpartition(':')[0]}@{digest}"), self._at(name), is_inside=True)

    def _at(self, name: str) -> str:
        return f"docker://{self._settings.registry}/{name}"

    def _from_gateway(self, image: str) -> str:
        prefix = self._settings.prefix
        below = image.removeprefix(f"{prefix}/") if prefix else image
        return f"docker://{self._gateway.netloc}/{below}"

    def _copy(self, source: str, target: str, *, is_inside: bool = False) -> None:
        source_tls = self._settings.tls if is_inside else self._gateway.scheme == "https"
        tls = [f"--src-tls-verify={_word(source_tls)}", f"--dest-tls-verify={_word(self._settings.tls)}"]
        done = self._skopeo("copy", "--all", "--preserve-digests", *tls, source, target)
        if done.returncode:
            raise StorageError(f"skopeo could not copy to {target}: {_last(done)}; type the same again")

    def _maybe_digest(self, name: str) -> str:
        """The digest of what a name means at the registry, computed here; empty: it means nothing."""
        done = self._skopeo("inspect", "--raw", f"--tls-verify={_word(self._settings.tls)}", self._at(name))
        if done.returncode == 0:
            return f"sha256:{hashlib.sha256(done.stdout).hexdigest()}"
        if _UNKNOWN.search(done.stderr.decode(errors="replace")):
            return ""
        raise StorageError(f"the registry did not answer about {name}: {_last(done)}; nothing was changed by that")

    def _delete(self, image: str) -> None:
        done = self._skopeo("delete", f"--tls-verify={_word(self._settings.tls)}", self._at(image))
        said = done.stderr.decode(errors="replace")
        if done.returncode and _NO_DELETION.search(said):
            raise StorageError(
                f"the registry deletes nothing, so {image} stays: let it delete, and type the same again"
            )
        if done.returncode and not _UNKNOWN.search(said):
            raise StorageError(f"skopeo could not delete {image}: {_last(done)}; type the same again")

    def _skopeo(self, word: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        auth = [f"--authfile={self._settings.authfile}"] if self._settings.authfile else []
        command = ["skopeo", "--insecure-policy", word, *auth, *arguments]  # what is copied is named by digest
        try:
            return subprocess.run(
                command, env=environment(), cwd="/", capture_output=True, timeout=self._settings.timeout_s, check=False
            )
        except FileNotFoundError:
            raise UsageError("skopeo is not installed; type: apt-get install skopeo") from None
        except subprocess.TimeoutExpired:
            raise StorageError(f"skopeo {word} did not end within {self._settings.timeout_s:g} s") from None


def _fixed(moving: Tags, version: str) -> Tags:
    """The version as a tag of each repository that holds one image."""
    by_repository: dict[str, set[str]] = {}
    for name, digest in moving.items():
        by_repository.setdefault(name.rpartition(":")[0], set()).add(digest)
    if not is_tag(version):
        raise UsageError(f"version {escape(version)} cannot be a tag; nothing was pushed")
    fixed = {f"{name}:{version}": min(digests) for name, digests in by_repository.items() if len(digests) == 1}
    if not fixed:
        raise UsageError("each repository of the bundle holds several images, so no tag can stand for the version")
    return fixed


def _tags_in(place: str) -> Tags:
    found: Tags = json.loads(place) if place else {}
    return found


def _word(value: bool) -> str:
    return "true" if value else "false"


def _last(done: subprocess.CompletedProcess[bytes]) -> str:
    return escape(done.stderr.decode(errors="replace").strip()[-400:])
