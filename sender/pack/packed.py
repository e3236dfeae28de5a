"""Packed bundles on disk: which files one has, and how it is read back.

A packed bundle is a folder: ``manifest.dsse.json``, ``files.jsonl``, ``slabs.bin`` (as they travel), ``sources.json``
(where the files lie) and ``stats.bin`` (what they looked like while they were hashed). The files stay where they are.
A ``source.json`` that was made here lies in the folder, too: ``made.source.json``.
"""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from diode.bundle.manifest import Manifest, bundle_id, padded_manifest
from diode.bundle.ref import hex_of
from diode.errors import ManifestError
from diode.formats.digest import digest
from diode.layouts.source import SOURCE_FILE

MANIFEST_FILE: Final = "manifest.dsse.json"
FILES_FILE: Final = "files.jsonl"
SLABS_FILE: Final = "slabs.bin"
SOURCES_FILE: Final = "sources.json"
STATS_FILE: Final = "stats.bin"
MADE_FILE: Final = f"made.{SOURCE_FILE}"


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
