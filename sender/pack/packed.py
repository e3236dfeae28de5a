"""Packed bundles: writes one from files that were hashed, and reads it back.

A packed bundle is a folder: ``manifest.dsse.json``, ``files.jsonl``, ``slabs.bin`` (as they travel), ``sources.json``
(where the files lie) and ``stats.bin`` (what they looked like while they were hashed). The files stay where they are.
A ``source.json`` that was made here lies in the folder, too: ``made.source.json``.
"""

import base64
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from diode.bundle.manifest import MAX_TABLE_BYTES, Labels, Manifest, Shape, Table, bundle_id, padded_manifest
from diode.bundle.ref import hex_of, label_of
from diode.bundle.times import write_times
from diode.errors import LimitError, ManifestError
from diode.formats.digest import digest
from diode.formats.signers import Signer
from diode.layouts.source import SOURCE_FILE
from diode.protocol.geometry import Profile, slab_count, stream_geometry
from diode.storage.folder import Folder, real_path
from diode.trust.roles import seal_manifest
from sender.outbox.hashing import Content
from sender.outbox.scan import Source, fingerprint

MANIFEST_FILE: Final = "manifest.dsse.json"
FILES_FILE: Final = "files.jsonl"
SLABS_FILE: Final = "slabs.bin"
SOURCES_FILE: Final = "sources.json"
STATS_FILE: Final = "stats.bin"
MADE_FILE: Final = f"made.{SOURCE_FILE}"


@dataclass(frozen=True, slots=True)
class Identity:
    """The names and dates of a bundle, and its place in the channel's sequence."""

    channel: str
    name: str
    version: str
    sequence: int
    previous: str | None
    created: str
    supersedes: str | None = None
    expires: str | None = None
    labels: Labels | None = None

    @property
    def label(self) -> str:
        """The name that people use, channel/name/version: a bundle has no id before it is packed."""
        return label_of(self)


@dataclass(frozen=True, slots=True)
class Packed:
    """A packed bundle on disk."""

    id: int
    folder: Path
    manifest: Manifest
    sealed: bytes

    @property
    def hex_id(self) -> str:
        """The bundle id as 16 hexadecimal digits."""
        return hex_of(self.id)

    @property
    def travelling_bytes(self) -> int:
        """Length of the manifest object on the wire, padding included."""
        return len(padded_manifest(self.sealed, self.manifest.shape.symbol_bytes))


def load_packed(state: Path, number: int) -> Packed:
    """Read a packed bundle back. This sender wrote it, so its signature is not verified: the enclave does that."""
    folder = state / "bundles" / hex_of(number)
    sealed = (folder / MANIFEST_FILE).read_bytes()
    payload = base64.b64decode(json.loads(sealed)["payload"])
    return Packed(number, folder, Manifest.model_validate_json(payload), sealed)


def check_packed(state: Path, number: int) -> None:
    """Raise ManifestError, OSError, ValueError or LookupError when a packed bundle is not as it was written."""
    packed = load_packed(state, number)
    manifest, folder = packed.manifest, packed.folder
    if bundle_id(base64.b64decode(json.loads(packed.sealed)["payload"])) != number:
        raise ManifestError("its manifest is another one's")
    for name, table in ((FILES_FILE, manifest.files), (SLABS_FILE, manifest.slabs)):
        data = (folder / name).read_bytes()
        if (len(data), digest(data).hex()) != (table.size, table.blake3):
            raise ManifestError(f"{name} is not what the manifest says")
    origins = json.loads((folder / SOURCES_FILE).read_text())
    if (len(origins), (folder / STATS_FILE).stat().st_size) != (manifest.files.entries, 32 * manifest.files.entries):
        raise ManifestError(f"{SOURCES_FILE} or {STATS_FILE} does not fit its manifest")


def write_packed(
    state: Path,
    identity: Identity,
    profile: Profile,
    symbol_bytes: int,
    sources: Sequence[Source],
    content: Content,
    signers: Iterable[Signer],
    attestation: str | None = None,
    made: bytes | None = None,
    times: Sequence[int] = (),
) -> Packed:
    """Write a packed bundle below ``state``, complete or not at all, its manifest signed by ``signers``.

    There may be no signers yet: people sign it later. ``made``: the content of the source ``source.json``, if it was
    made here. It is then kept beside the manifest. ``times``: of its table of times, if it has one.
    """
    full = stream_geometry(symbol_bytes, profile)
    stream_bytes, files = sum(entry.size for entry in content.entries), content.files + write_times(times)
    if len(files) > MAX_TABLE_BYTES:
        raise LimitError(f"files table and times have {len(files)} bytes, more than {MAX_TABLE_BYTES}")
    links = content.links
    manifest = Manifest(
        format="diode-bundle-2" if links or times else "diode-bundle-1",
        channel=identity.channel,
        name=identity.name,
        version=identity.version,
        sequence=identity.sequence,
        previous=identity.previous,
        created=identity.created,
        expires=identity.expires,
        supersedes=identity.supersedes,
        labels=identity.labels,
        attestation=attestation,
        shape=Shape(profile=profile.name, symbol_bytes=symbol_bytes, columns=full.columns, k=full.k, r=full.r),  # type: ignore[arg-type]  # validated
        stream_bytes=stream_bytes,
        files=_table(files, len(content.entries)),
        slabs=_table(content.slabs, slab_count(full, stream_bytes)),
        content=content.content_digest if links or times else None,
        links=links,
        times=len(times),
    )
    payload, sealed = seal_manifest(manifest, signers)
    number = bundle_id(payload)
    folder = state / "bundles" / hex_of(number)
    partial = folder.with_suffix(".partial")
    partial.mkdir(parents=True, exist_ok=True)
    (partial / MANIFEST_FILE).write_bytes(sealed)
    (partial / FILES_FILE).write_bytes(files)
    (partial / SLABS_FILE).write_bytes(content.slabs)
    origins, stats = [source.origin for source in sources], content.stats
    if made is not None:
        (partial / MADE_FILE).write_bytes(made)
        number_of_it = [source.path for source in sources].index(SOURCE_FILE)
        origins[number_of_it] = os.path.join(_real(folder), MADE_FILE)
        stats = content.stats.copy()
        stats[number_of_it] = fingerprint(os.stat(partial / MADE_FILE))  # which renaming its folder does not change
    (partial / SOURCES_FILE).write_text(json.dumps(origins))
    (partial / STATS_FILE).write_bytes(stats.tobytes())
    shutil.rmtree(folder, ignore_errors=True)  # a run that was killed may have left one that the ledger does not know
    partial.rename(folder)
    return Packed(number, folder, manifest, sealed)


def adopt(folder: Path, place: Path) -> None:
    """Note where a ``source.json`` that was made here will lie, and what it looks like: a backup is put back.

    ``folder``: the packed bundle as it was copied; it will be renamed to ``place``.
    """
    if not (folder / MADE_FILE).exists():
        return
    origins: list[str] = json.loads((folder / SOURCES_FILE).read_text())
    ours = [i for i, origin in enumerate(origins) if origin.endswith(f"/bundles/{place.name}/{MADE_FILE}")]
    if not ours:
        return
    stats = np.fromfile(folder / STATS_FILE, dtype=np.int64).reshape(-1, 4)
    stats[ours[0]] = fingerprint(os.stat(folder / MADE_FILE))
    origins[ours[0]] = os.path.join(_real(place), MADE_FILE)
    _replace(folder / STATS_FILE, stats.tobytes())
    _replace(folder / SOURCES_FILE, json.dumps(origins).encode())


def relocate(folder: Path, old: Path, holder: Folder, name: str) -> None:
    """Note in the packed bundle in ``folder`` that its item was moved from ``old`` to ``name`` in ``holder``.

    A rename changes the ctime of the renamed file. For an item of a single file, the new ctime is taken over if nothing
    else has changed.
    """
    origins: list[str] = json.loads((folder / SOURCES_FILE).read_text())
    old, place = _real(old), real_path(holder.fd) / name
    moved = [str(place) + origin.removeprefix(str(old)) if _is_below(origin, old) else origin for origin in origins]
    if moved == [str(place)]:
        stats = np.fromfile(folder / STATS_FILE, dtype=np.int64).reshape(-1, 4)
        now = fingerprint(os.stat(name, dir_fd=holder.fd, follow_symlinks=False))
        if tuple(stats[0, :3].tolist()) == now[:3]:
            stats[0] = now
            _replace(folder / STATS_FILE, stats.tobytes())
    _replace(folder / SOURCES_FILE, json.dumps(moved).encode())


def _replace(path: Path, data: bytes) -> None:
    """Replace a file by a rename, because a backup may be reading the old one."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(data)
    partial.replace(path)


def _real(path: Path) -> Path:
    """The path as :func:`collect` had named it, with links above the item resolved. It is compared, and not opened."""
    return Path(os.path.realpath(path.parent)) / path.name


def _is_below(origin: str, top: Path) -> bool:
    return origin == str(top) or origin.startswith(f"{top}/")


def _table(data: bytes, entries: int) -> Table:
    return Table(entries=entries, size=len(data), blake3=digest(data).hex())
