"""Bundles as they lie in an inbox, published by nobody: data, sums and manifest, each as a receiver writes it."""

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner

from diode.bundle.checksums import B3SUMS, SHA256SUMS, sum_lines
from diode.bundle.files import FileEntry
from diode.bundle.ref import hex_of
from diode.formats.digest import digest
from diode.protocol.sizes import Kind, ObjectType
from receiver.describe.manifest import MANIFEST_FILE
from receiver.messages.questions import DescribeBundle
from tests.link import make_bundle

BUILT = "2026-11-01T00:00:00Z"
SIGNER = CryptoSigner.generate_ed25519()


def publish(
    inbox: Path,
    files: Mapping[str, bytes],
    *,
    executable: Collection[str] = (),
    empty: Collection[str] = (),
    place: tuple[str, str, str] = ("c", "org--name", "v1"),
    serve: tuple[str, ...] = (),
    sequence: int = 1,
    **fields: Any,
) -> DescribeBundle:
    """Put a bundle into its place. ``empty``: folders, with a slash at their end. Returns what ``store`` asks of it."""
    entries = [_entry(path, content, path in executable) for path, content in files.items()]
    entries = sorted([*entries, *map(FileEntry, empty)], key=lambda entry: entry.path.encode())
    table = b"".join(entry.line() for entry in entries)
    named = dict(zip(("channel", "name", "version"), place, strict=True))
    bundle = make_bundle(
        dict(files), signer=SIGNER, table=table, entries=len(entries), sequence=sequence,
        **{"created": BUILT, **named, **fields},
    )  # fmt: skip
    version = inbox.joinpath(*place)
    for entry in entries:
        path = version / "data" / entry.path
        (path if entry.is_directory else path.parent).mkdir(parents=True, exist_ok=True)
        if not entry.is_directory:
            path.write_bytes(files[entry.path])
            path.chmod(0o755 if entry.executable else 0o644)
    (version / "data").mkdir(parents=True, exist_ok=True)
    (version / SHA256SUMS).write_bytes(b"".join(sum_lines(entries, "sha256")))
    (version / B3SUMS).write_bytes(b"".join(sum_lines(entries, "blake3")))
    sealed = bundle.parts[Kind.OBJECT, int(ObjectType.MANIFEST)].rstrip(b"\0")
    (version / MANIFEST_FILE).write_bytes(sealed)
    size = sum(map(len, files.values()))
    content = bundle.manifest.files.blake3
    return DescribeBundle(hex_of(bundle.number), *place, content, serve, len(entries), size)


def _entry(path: str, content: bytes, is_executable: bool) -> FileEntry:
    return FileEntry(path, len(content), digest(content).hex(), hashlib.sha256(content).hexdigest(), is_executable)
