"""Images: manifests that are here are whole, indexes have the targets' platforms, subjects of signatures are here.

An index may lack other platforms: every client takes that. Base images are layers, so a whole image has them. What
``skopeo copy`` takes without ``--all`` is the image of staging's own platform, without an index: the images that a
layout lists so are judged together, as an index is.
"""

import re
from typing import Any, Final

from diode.formats.strict_json import read_json
from diode.layouts.files import Files
from diode.layouts.oci_layout import DEEPEST, INDEXES, MANIFESTS, MAX_MANIFEST_BYTES, MOST_MANIFESTS
from sender.closure.shelf import Shelf

_DIGEST: Final = re.compile(r"sha256:([0-9a-f]{64})")
_CONFIGS: Final = frozenset(
    {"application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"}
)
_REF_NAME: Final = "org.opencontainers.image.ref.name"
_BLOB: Final = re.compile(r"(?:.*/)?blobs/sha256/([0-9a-f]{64})")


def check_oci(platforms: tuple[str, ...], shelf: Shelf) -> None:
    """Report what is missing."""
    before = {
        found[1]: (files, file.path, file.size)
        for files in shelf.beside
        for file in files.table()
        if (found := _BLOB.fullmatch(file.path))
    }
    for file in list(shelf.item.table()):
        folder, _, name = file.path.rpartition("/")
        if name == "oci-layout":
            _Walk(platforms, shelf, f"{folder}/".lstrip("/"), before).run()


class _Walk:
    """The walk over one layout. ``seen``: manifests that were met, so that circles end.

    ``alone``: name and platform of each image that ``index.json`` lists itself.
    """

    def __init__(
        self, platforms: tuple[str, ...], shelf: Shelf, folder: str, before: dict[str, tuple[Files, str, int]]
    ) -> None:
        self._platforms, self._shelf, self._folder, self._before = platforms, shelf, folder, before
        self._seen: set[str] = set()
        self._alone: list[tuple[str, str]] = []

    def run(self) -> None:
        path = f"{self._folder}index.json"
        try:
            said = _object(self._shelf.item.read(path, MAX_MANIFEST_BYTES))
        except (OSError, ValueError) as error:
            self._miss("every target", path, f"it cannot be read: {error}")
            return
        for entry in _entries(said, "manifests"):
            self._meet(entry, f"listed in {path}", 0)
        self._check_alone()

    def _meet(self, entry: dict[str, Any], where: str, depth: int) -> None:
        """A manifest that must be here, and all that it needs."""
        self._shelf.tick()
        digest = str(entry.get("digest"))
        if digest in self._seen or not self._is_here(entry, where):
            return
        if depth > DEEPEST or len(self._seen) >= MOST_MANIFESTS:
            self._miss("every target", digest, f"{where}, deeper than {DEEPEST} indexes or beyond {MOST_MANIFESTS}")
            return
        self._seen.add(digest)
        try:
            said = _object(self._read(digest))
        except (OSError, ValueError) as error:
            self._miss("every target", digest, f"{where}; it cannot be read: {error}")
            return
        self._shelf.report.counts["manifests"] += 1
        kind = said.get("mediaType", entry.get("mediaType"))
        if kind in INDEXES:
            self._index(said, digest, depth)
        elif kind in MANIFESTS:
            for part in [*_entries(said, "layers"), *_entries(said, "blobs"), *_entries(said, "config")]:
                self._is_here(part, f"a part of {_short(digest)}")
            if depth == 0 and "subject" not in said:
                self._note_alone(entry, said)
        for subject in _entries(said, "subject"):
            self._meet(subject, f"what {_short(digest)} is about", depth + 1)

    def _index(self, said: dict[str, Any], digest: str, depth: int) -> None:
        """Those of its manifests that are here must be whole; those of the targets must be here."""
        listed = _entries(said, "manifests")
        offered = [_platform(entry) for entry in listed]
        for entry, platform in zip(listed, offered, strict=True):
            wanted = [target for target in self._platforms if _runs(platform, target)]
            if self._place(str(entry.get("digest"))) is not None:
                self._meet(entry, f"listed in {_short(digest)}", depth + 1)
            for target in wanted if self._place(str(entry.get("digest"))) is None else ():
                self._lacks(target, str(entry.get("digest")), f"the image of this platform, listed in {_short(digest)}")
        if any(offered):  # an index of artefacts has no platforms
            for target in self._platforms:
                if not any(_runs(platform, target) for platform in offered):
                    self._lacks(target, digest, "an index that lists no image of this platform")

    def _note_alone(self, entry: dict[str, Any], said: dict[str, Any]) -> None:
        """Note the platform of an image; signatures and charts have none."""
        for config in _entries(said, "config"):
            if config.get("mediaType") not in _CONFIGS or self._place(str(config.get("digest"))) is None:
                continue
            try:
                platform = _platform({"platform": _object(self._read(str(config["digest"])))})
            except (OSError, ValueError) as error:
                self._miss("every target", str(config["digest"]), f"a configuration that cannot be read: {error}")
                continue
            if platform:
                self._alone.append((_name(entry), platform))

    def _check_alone(self) -> None:
        for target in self._platforms:
            if not any(_runs(platform, target) for _, platform in self._alone):
                for name, platform in self._alone:
                    self._lacks(target, name, f"an image of {platform} alone; copy all platforms (skopeo copy --all)")

    def _is_here(self, entry: dict[str, Any], where: str) -> bool:
        digest, size = str(entry.get("digest")), entry.get("size")
        if (place := self._place(digest)) is None:
            self._miss("every target", digest, f"{where}, and not here")
            return False
        files, path, there = place
        if there != size:
            self._miss("every target", digest, f"{where}; it has {there} bytes, not {size}")
            return False
        own = files.get(path) if files is self._shelf.item else None
        if own is not None and f"sha256:{own.sha256}" != digest:
            self._miss("every target", digest, f"{where}; {path} holds something else than its name says")
            return False
        return True

    def _place(self, digest: str) -> tuple[Files, str, int] | None:
        found = _DIGEST.fullmatch(digest)
        if found is None:
            return None
        path = f"{self._folder}blobs/sha256/{found[1]}"
        if (own := self._shelf.item.get(path)) is not None:
            return self._shelf.item, path, own.size
        return self._before.get(found[1])

    def _read(self, digest: str) -> bytes:
        place = self._place(digest)
        assert place is not None
        return place[0].read(place[1], MAX_MANIFEST_BYTES)

    def _lacks(self, platform: str, name: str, why: str) -> None:
        """A platform has no image here. It may be waived by its own name, besides that of what misses."""
        if not self._shelf.report.may_miss(platform):
            self._miss(platform, name, why)

    def _miss(self, target: str, name: str, why: str) -> None:
        self._shelf.report.add(target, name, why)


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = read_json(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("it is no JSON object")
    return value


def _entries(said: dict[str, Any], key: str) -> list[dict[str, Any]]:
    value = said.get(key)
    listed = value if isinstance(value, list) else [value]
    return [one for one in listed if isinstance(one, dict)]


def _name(entry: dict[str, Any]) -> str:
    """The reference by which a layout lists an image, else its digest."""
    said = entry.get("annotations")
    return str(said.get(_REF_NAME, entry.get("digest")) if isinstance(said, dict) else entry.get("digest"))


def _platform(entry: dict[str, Any]) -> str:
    """``linux/arm64/v8``; empty for what is made for no platform, such as an attestation."""
    said = entry.get("platform")
    if not isinstance(said, dict) or said.get("os") == "unknown":
        return ""
    parts = [said.get("os"), said.get("architecture"), said.get("variant")]
    return "/".join(part for part in parts if isinstance(part, str) and part)


def _runs(platform: str, target: str) -> bool:
    """Whether an image of this platform is one for the target; a variant counts where both name one."""
    has, asks = platform.split("/"), target.split("/")
    return has[:2] == asks[:2] and (len(has) < 3 or len(asks) < 3 or has[2] == asks[2])


def _short(digest: str) -> str:
    return digest[:19]
