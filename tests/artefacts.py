"""Small files by the trade's own tools, each of which runs code when its own loader opens it; and ways to hide one."""

import io
import json
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "vectors" / "artefacts"
NAMES: Final = sorted(path.name for path in FOLDER.iterdir() if path.suffix in (".pt", ".joblib", ".npz"))
WRAPPINGS: Final = ("alone", "in a zip", "in a tar.gz", "behind safetensors")


def wrapped(name: str, wrapping: str) -> tuple[str, bytes]:
    """A path and a content: the sample, or what it is hidden in."""
    data = (FOLDER / name).read_bytes()
    match wrapping:
        case "in a zip":
            return f"{name}.zip", _zip(name, data)
        case "in a tar.gz":
            return f"{name}.tar.gz", _tar(name, data)
        case "behind safetensors":
            return "model.safetensors", safetensors() + data
    return name, data


def safetensors(data: bytes = bytes(64)) -> bytes:
    """A sound file, with one tensor of this content."""
    header = json.dumps({"w": {"dtype": "U8", "shape": [len(data)], "data_offsets": [0, len(data)]}}).encode()
    return struct.pack("<Q", len(header)) + header + data


def _zip(name: str, data: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", "a text")
        archive.writestr(f"sub/{name}", data)
    return made.getvalue()


def _tar(name: str, data: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        entry = tarfile.TarInfo(f"sub/{name}")
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return made.getvalue()
