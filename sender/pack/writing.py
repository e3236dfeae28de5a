"""Writes a packed bundle of files that were hashed: the signed manifest, two tables, and where the files lie."""

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from diode.bundle.manifest import MAX_TABLE_BYTES, Labels, Manifest, Shape, Table, bundle_id
from diode.bundle.ref import hex_of, label_of
from diode.bundle.times import write_times
from diode.errors import LimitError
from diode.formats.digest import digest
from diode.formats.signers import Signer
from diode.layouts.source import SOURCE_FILE
from diode.protocol.geometry import Profile, slab_count, stream_geometry
from diode.trust.roles import seal_manifest
from sender.outbox.hashing import Content
from sender.outbox.scan import Source, fingerprint
from sender.pack.moved import real_place
from sender.pack.packed import FILES_FILE, MADE_FILE, MANIFEST_FILE, SLABS_FILE, SOURCES_FILE, STATS_FILE, Packed


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
    files = content.files + write_times(times)
    if len(files) > MAX_TABLE_BYTES:
        raise LimitError(f"files table and times have {len(files)} bytes, more than {MAX_TABLE_BYTES}")
    manifest = _manifest(identity, profile, symbol_bytes, content, files, attestation, len(times))
    payload, sealed = seal_manifest(manifest, signers)
    number = bundle_id(payload)
    folder = state / "bundles" / hex_of(number)
    partial = folder.with_suffix(".partial")
    partial.mkdir(parents=True, exist_ok=True)
    (partial / MANIFEST_FILE).write_bytes(sealed)
    (partial / FILES_FILE).write_bytes(files)
    (partial / SLABS_FILE).write_bytes(content.slabs)
    _write_origins(partial, folder, sources, content, made)
    shutil.rmtree(folder, ignore_errors=True)  # a run that was killed may have left one that the ledger does not know
    partial.rename(folder)
    return Packed(number, folder, manifest, sealed)


def _manifest(
    identity: Identity,
    profile: Profile,
    symbol_bytes: int,
    content: Content,
    files: bytes,
    attestation: str | None,
    times: int,
) -> Manifest:
    full, stream_bytes = stream_geometry(symbol_bytes, profile), sum(entry.size for entry in content.entries)
    links = content.links
    return Manifest(
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
        times=times,
    )


def _write_origins(
    partial: Path, folder: Path, sources: Sequence[Source], content: Content, made: bytes | None
) -> None:
    """Write where each file lies and what it looks like. ``folder``: what ``partial`` will be called."""
    origins, stats = [source.origin for source in sources], content.stats
    if made is not None:
        (partial / MADE_FILE).write_bytes(made)
        number_of_it = [source.path for source in sources].index(SOURCE_FILE)
        origins[number_of_it] = os.path.join(real_place(folder), MADE_FILE)
        stats = content.stats.copy()
        stats[number_of_it] = fingerprint(os.stat(partial / MADE_FILE))  # which renaming its folder does not change
    (partial / SOURCES_FILE).write_text(json.dumps(origins))
    (partial / STATS_FILE).write_bytes(stats.tobytes())


def _table(data: bytes, entries: int) -> Table:
    return Table(entries=entries, size=len(data), blake3=digest(data).hex())
