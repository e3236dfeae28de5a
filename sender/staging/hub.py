"""Snapshots of a Hugging Face cache, and folders that ``hf download --local-dir`` wrote.

    models--org--name/snapshots/REV/...            links to ../../blobs/ETAG
    models--org--name/refs/main                    names REV
    models--org--name/trees/REV.json               upstream's list of files, by newer versions of the library
    DIR/.cache/huggingface/download/PATH.metadata  revision, etag and time of the download
    DIR/.cache/huggingface/trees/REV.json          as above

An etag of 64 hexadecimal digits is the file's SHA-256; one of 40 is the digest by which git names it. The time in the
metadata is that of the download, so neither layout has a date of upstream's. ``info.json`` has one: what the hub says
of the revision, which a person saved beside.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from diode.errors import LayoutError, SourceError
from diode.layouts.source import SourceFile
from diode.storage.folder import Folder
from sender.staging.documents import date_of, hex_at, object_of, part, text
from sender.staging.found import Found
from sender.staging.recognised import Recognised

LOCAL: Final = ".cache/huggingface/"
INFO_FILE: Final = "info.json"
MAX_TREE_BYTES: Final = 256 << 20
MAX_INFO_BYTES: Final = 32 << 20
MAX_SMALL_BYTES: Final = 64 << 20  # of a file that is known by git's digest; the hub keeps larger ones otherwise
MOST_REFS: Final = 1000
_METADATA: Final = re.compile(re.escape(LOCAL) + r"download/(.+)\.metadata")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_GIT: Final = _COMMIT
_KINDS: Final[Mapping[str, Literal["model", "dataset"]]] = {"models": "model", "datasets": "dataset"}
_SHORT: Final = 12  # digits of a revision in a version


def is_here(found: Found) -> bool:
    """Whether the library wrote this folder."""
    return _is_snapshot(found.place) or any(path.startswith(f"{LOCAL}download/") for path in found.paths)


def snapshot_in(place: Path) -> Path:
    """The snapshot that a person means who names a cached repository; any other path as it is. Raises LayoutError."""
    if not place.name.startswith(tuple(f"{kind}--" for kind in _KINDS)) or not (place / "snapshots").is_dir():
        return place
    with Folder.open(place / "snapshots") as folder:
        names = folder.names()
    if len(names) != 1:
        raise LayoutError(f"{place} holds {len(names)} snapshots; give one of them: {place}/snapshots/REVISION")
    return place / "snapshots" / names[0]


def recognise(found: Found) -> Recognised:
    """A snapshot, or a folder of ``--local-dir``. Raises LayoutError, SourceError, ValueError, OSError."""
    return _of_snapshot(found) if _is_snapshot(found.place) else _of_local(found)


def _is_snapshot(place: Path) -> bool:
    return place.parent.name == "snapshots" and "--" in place.parent.parent.name


def _of_snapshot(found: Found) -> Recognised:
    revision, around = found.place.name, found.place.parent.parent
    kind, _, name = around.name.partition("--")
    if kind not in _KINDS:
        raise LayoutError(f"{around.name} holds {kind}; only models and datasets can be served")
    if not _COMMIT.fullmatch(revision):
        raise LayoutError(f"{revision} is no revision of the hub, which has 40 hexadecimal digits")
    with Folder.open(around) as folder:
        etags = _etags_of_tree(_read(folder, f"trees/{revision}.json", MAX_TREE_BYTES))
        info = _read(folder, INFO_FILE, MAX_INFO_BYTES)
        tags = tuple(sorted(_refs(folder, revision)))
    etags = dict(_etags_of_blobs(found, around)) | etags
    return Recognised(
        _KINDS[kind],
        name.replace("--", "/", 1),
        revision[:_SHORT],
        revision,
        _date(info, revision),
        tags,
        _files(found, etags),
    )


def _of_local(found: Found) -> Recognised:
    etags, revisions = {}, set()
    for path in found.paths:
        if match := _METADATA.fullmatch(path):
            revision, etag, *_ = [*found.read(path, 4096).decode("ascii", "replace").split(), "", ""]
            etags[match[1]] = etag
            revisions.add(revision)
    if len(revisions) != 1 or not all(map(_COMMIT.fullmatch, revisions)):
        raise LayoutError(f"its files are of {len(revisions)} revisions: {', '.join(sorted(revisions))[:200]}")
    if missing := next((path for path in etags if found.get(path) is None), None):
        raise LayoutError(f"{missing} was downloaded and is not there any more; download it again")
    (revision,) = revisions
    tree, info = (
        found.read(path, most) if found.get(path) else b""
        for path, most in ((f"{LOCAL}trees/{revision}.json", MAX_TREE_BYTES), (LOCAL + INFO_FILE, MAX_INFO_BYTES))
    )
    etags |= {path: etag for path, etag in _etags_of_tree(tree).items() if path in etags}
    said = object_of(info) if info else {}
    return Recognised(
        "files",  # nothing here tells a model from a data set: the enclave goes by what lies in it
        text(said, "id"),
        revision[:_SHORT],
        revision,
        _date(info, revision),
        (),
        _files(found, etags),
        (".cache/", ".huggingface/"),
    )


def _etags_of_tree(data: bytes) -> dict[str, str]:
    """The etag of each file that upstream lists."""
    files = part(object_of(data), "files") if data else {}
    return {path: hex_at(one, "lfs_sha256", 64) or hex_at(one, "blob_id", 40) or "" for path, one in files.items()}


def _etags_of_blobs(found: Found, around: Path) -> Iterator[tuple[str, str]]:
    """By the names of the repository's own blobs; a blob of the store that caches share is named otherwise."""
    for path in found.paths:
        folder, _, name = found.origin(path).rpartition("/")
        if folder.endswith(f"/{around.name}/blobs"):
            yield path, name


def _files(found: Found, etags: Mapping[str, str]) -> dict[str, SourceFile]:
    """Upstream's digest of each file. Raises SourceError for a file that is not what git's digest says."""
    files = {}
    for path, etag in etags.items():
        file = found.get(path)
        if file is None:
            continue
        if _SHA256.fullmatch(etag):
            files[path] = SourceFile(sha256=etag)
        elif _GIT.fullmatch(etag) and file.size <= MAX_SMALL_BYTES:
            digests = found.digests(path)
            if digests.git != etag:
                raise SourceError(f"{found.origin(path)!r} is not what upstream has: git calls that {etag}")
            files[path] = SourceFile(sha256=digests.sha256)
    return files


def _refs(folder: Folder, revision: str) -> Iterator[str]:
    """Upstream's names for a revision, as the cache knows them: ``main``, ``v1.0``, ``refs/pr/1``."""
    waiting = ["refs"]
    for _ in range(MOST_REFS):
        if not waiting:
            return
        path = waiting.pop()
        with suppress(OSError):
            if is_ref := _read(folder, path, 100).decode("ascii", "replace").strip():
                if is_ref == revision:
                    yield path.removeprefix("refs/")
                continue
        with suppress(OSError), folder.folders(path) as inner:
            waiting += [f"{path}/{name}" for name in inner.names()]


def _read(folder: Folder, path: str, most: int) -> bytes:
    """A file beside the snapshot, through no link; empty where there is none."""
    above, _, name = path.rpartition("/")
    with suppress(OSError), folder.folders(above) as holder:
        return holder.read(name, most)
    return b""


def _date(info: bytes, revision: str) -> str:
    """When upstream changed it last, where ``info.json`` speaks of this revision."""
    said = object_of(info) if info else {}
    if not said:
        return ""
    if text(said, "sha") != revision:
        raise LayoutError(f"{INFO_FILE} speaks of revision {text(said, 'sha') or '?'}, and the files are of {revision}")
    return date_of(text(said, "lastModified") or text(said, "last_modified")) or ""
