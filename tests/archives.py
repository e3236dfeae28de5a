"""Archives for tests, written by the tools of their formats, and what is found in them."""

import bz2
import gzip
import io
import lzma
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import lz4.frame

from diode.content.allowance import MEMORY_BYTES, Allowance
from diode.content.examine import Examined, examine
from tests.needs import need_packer

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PICKLE = b"cposix\nsystem\nX\x04\x00\x00\x00true\x85R."  # no protocol, a call
TEXT = b"Once upon a time, there was a harmless text.\n" * 20


def look(data: bytes, path: str = "file", allowance: Allowance | None = None) -> Examined:
    """Examine bytes, archives included; what was borrowed is given back, whatever is found."""
    if allowance is None:
        allowance = Allowance.for_item(len(data))
    depth, memory = allowance.depth, allowance.memory
    found = examine(io.BytesIO(data), len(data), path, allowance=allowance)
    assert (depth, memory) == (allowance.depth, allowance.memory)
    assert memory <= MEMORY_BYTES
    return found


def zipped(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """By Python's zipfile."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def tarred(members: Mapping[str, bytes], mode: str = "w", form: int = tarfile.PAX_FORMAT) -> bytes:
    """By Python's tarfile."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=form) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def arred(members: Mapping[str, bytes]) -> bytes:
    """As ``ar`` does; its names are short."""
    out = b"!<arch>\n"
    for name, data in members.items():
        out += f"{name + '/':16}{0:<12}{0:<6}{0:<6}{644:<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
    return out


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "zstd": zstd.compress,
    "lz4": lz4.frame.compress,
    "zlib": zlib.compress,
}

WRAP: dict[str, Callable[[str, bytes], bytes]] = {
    "zip": lambda name, data: zipped({"read.me": TEXT, name: data}),
    "zip stored": lambda name, data: zipped({"read.me": TEXT, name: data}, zipfile.ZIP_STORED),
    "zip bzip2": lambda name, data: zipped({"read.me": TEXT, name: data}, zipfile.ZIP_BZIP2),
    "zip lzma": lambda name, data: zipped({"read.me": TEXT, name: data}, zipfile.ZIP_LZMA),
    "tar pax": lambda name, data: tarred({"read.me": TEXT, "long" * 80 + name: data}),
    "tar gnu": lambda name, data: tarred({"read.me": TEXT, "long" * 80 + name: data}, form=tarfile.GNU_FORMAT),
    "tar ustar": lambda name, data: tarred({"read.me": TEXT, name: data}, form=tarfile.USTAR_FORMAT),
    "tar.gz": lambda name, data: tarred({"read.me": TEXT, name: data}, "w:gz"),
    "tar.xz": lambda name, data: tarred({"read.me": TEXT, name: data}, "w:xz"),
    "ar": lambda name, data: arred({"read.me": TEXT, name[-15:]: data}),
    **{kind: lambda name, data, compress=compress: compress(data) for kind, compress in COMPRESS.items()},  # type: ignore[misc]
}


def run(*command: str | Path, folder: Path) -> None:
    """A tool in a folder. The test is skipped where there is none of that name."""
    need_packer(str(command[0]))
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
