"""What lies in a bundle, packed or published, shown and checked offline, on either side."""

import base64
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from blake3 import blake3

from diode.digest import digest
from diode.durable import read_bounded
from diode.envelope import read_envelope
from diode.errors import IntegrityError, UsageError
from diode.manifest import MAX_MANIFEST_BYTES, PAYLOAD_TYPE, FileEntry, Manifest, bundle_id, read_manifest
from diode.trust import Opened, Trust, open_manifest

MANIFEST_FILE: Final = "manifest.dsse.json"
_CHUNK_BYTES: Final = 1 << 20

Progress = Callable[[int], None]  # bytes read since the last call


class Unverified(NamedTuple):
    """A manifest as it lies there, and the ids of the keys that claim to have signed it. Nothing was verified."""

    manifest: Manifest
    number: int
    key_ids: tuple[str, ...]


def find_envelope(path: Path) -> Path:
    """The envelope that ``path`` is, or that lies in the folder ``path``. Raises UsageError."""
    found = path / MANIFEST_FILE if path.is_dir() else path
    if not found.is_file():
        raise UsageError(f"{path} is neither a manifest envelope nor a folder with a {MANIFEST_FILE}")
    return found


def read_sealed(path: Path) -> bytes:
    """The bytes of an envelope, bounded. Raises UsageError."""
    try:
        return read_bounded(path, MAX_MANIFEST_BYTES)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def inspect(sealed: bytes) -> Unverified:
    """What an envelope says of itself. Raises ManifestError."""
    envelope = read_envelope(sealed, PAYLOAD_TYPE, MAX_MANIFEST_BYTES)
    return Unverified(read_manifest(envelope.payload), bundle_id(envelope.payload), tuple(envelope.signatures))


def describe(manifest: Manifest, number: int) -> dict[str, Any]:
    """A manifest for people: names, sizes, dates and labels, in the order they are read."""
    labels = manifest.labels
    return {
        "bundle": f"{number:016x}",
        "channel": manifest.channel,
        "name": manifest.name,
        "version": manifest.version,
        "supersedes": manifest.supersedes,
        "sequence": manifest.sequence,
        "created": manifest.created,
        "expires": manifest.expires,
        "classification": labels.classification if labels else None,
        "releasable_to": labels.releasable_to if labels else None,
        "files": manifest.files.entries,
        "bytes": manifest.stream_bytes,
        "content": manifest.files.blake3,
    }


def verify_published(folder: Path, trust: Trust, progress: Progress = lambda _: None) -> tuple[Opened, list[FileEntry]]:
    """Check a published bundle whole: signatures, and every byte below ``data``. Raises TrustError or IntegrityError.

    The files table is made anew from what lies there, and returned; its digest must be the signed one.
    """
    opened = open_manifest(read_sealed(find_envelope(folder)), trust)
    data = folder / "data"
    if not data.is_dir():
        raise IntegrityError(f"{folder} holds no data: this is no published bundle")
    try:
        entries = sorted(_entries(data, progress), key=lambda entry: entry.path.encode())
    except UnicodeEncodeError:
        raise IntegrityError("a file's name is not UTF-8, and was not signed") from None
    table = b"".join(entry.line() for entry in entries)
    if digest(table).hex() != opened.manifest.files.blake3:
        raise IntegrityError(_difference(folder, entries))
    return opened, entries


def _entries(data: Path, progress: Progress) -> Iterator[FileEntry]:
    for folder, directories, files in os.walk(data):
        relative = os.path.relpath(folder, data)
        prefix = "" if relative == "." else f"{relative}/"
        if prefix and not directories and not files:
            yield FileEntry(prefix)
        for name in files:
            yield _entry(Path(folder, name), prefix + name, progress)
        for name in directories:
            if os.path.islink(os.path.join(folder, name)):
                raise IntegrityError(f"{prefix + name} is a link; a published bundle has none")


def _entry(path: Path, name: str, progress: Progress) -> FileEntry:
    if path.is_symlink() or not path.is_file():
        raise IntegrityError(f"{name} is no regular file; a published bundle has nothing else")
    ours, theirs, size = blake3(), hashlib.sha256(), 0
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK_BYTES):
            ours.update(chunk)
            theirs.update(chunk)
            size += len(chunk)
            progress(len(chunk))
        executable = bool(os.fstat(file.fileno()).st_mode & 0o100)
    return FileEntry(name, size, ours.hexdigest(), theirs.hexdigest(), executable)


def _difference(folder: Path, entries: list[FileEntry]) -> str:
    """Which file is not as signed, as far as SHA256SUMS, which is not signed itself, can tell."""
    try:
        lines = (folder / "SHA256SUMS").read_text().splitlines()
        listed = {line[66:]: line[:64] for line in lines if not line.startswith("\\")}
    except (OSError, ValueError):
        listed = {}
    here = {f"data/{entry.path}": entry.sha256 for entry in entries if not entry.is_directory}
    for name in sorted({*listed, *here}):
        if name not in here:
            return f"{name} is missing"
        if listed and name not in listed and "\\" not in name:
            return f"{name} does not belong there"
        if name in listed and here[name] != listed[name]:
            return f"{name} has other content than was signed"
    return "the files are not those that were signed: one was added, taken away, renamed, or its mode was changed"


def attested(manifest: Manifest) -> dict[str, Any] | None:
    """The statement inside a manifest's attestation, not verified; None where there is none that can be read."""
    if manifest.attestation is None:
        return None
    try:
        envelope = json.loads(manifest.attestation)
        statement = json.loads(base64.b64decode(envelope["payload"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return statement if isinstance(statement, dict) else None
