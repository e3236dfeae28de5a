"""Zip archives by the programs that write them: read as zipfile reads them, and not refused."""

import io
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diode.content import zips
from diode.content.examine import examine
from diode.content.reader import Reader
from tests.needs import need, need_packer

Write = Callable[[Path, Path], None]


class Pipe(io.RawIOBase):
    """Takes bytes, and cannot go back."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Any) -> int:
        """One more piece."""
        self.data += bytes(data)
        return len(bytes(data))


def run(*command: str, packer: str = "") -> Write:
    """A command that writes the archive TO of what is in the folder in which it runs.

    ``packer``: the program that packs, if it is not the first word. Where it is not installed, the test is skipped.
    """

    def write(folder: Path, to: Path) -> None:
        need_packer(packer or command[0])
        subprocess.run([part.replace("TO", str(to)) for part in command], cwd=folder, check=True, capture_output=True)

    return write


def piped(*command: str) -> Write:
    """The same, through a pipe: nothing can be written again."""
    quoted = " ".join(command)
    return run("sh", "-c", f"{quoted} | cat > TO", packer=command[0])


def by_zipfile(*, method: int = zipfile.ZIP_DEFLATED, is_large: bool = False, is_piped: bool = False) -> Write:
    """Python's own."""

    def write(folder: Path, to: Path) -> None:
        out = Pipe()
        target = zipfile.ZipFile(out, "w", method) if is_piped else zipfile.ZipFile(to, "w", method)
        with target as archive:
            for file in sorted(folder.rglob("*")):
                if file.is_dir():
                    archive.write(file, str(file.relative_to(folder)))
                    continue
                with archive.open(str(file.relative_to(folder)), "w", force_zip64=is_large) as member:
                    member.write(file.read_bytes())
        if is_piped:
            to.write_bytes(out.data)

    return write


def by_numpy(save: Callable[..., None]) -> Write:
    """Arrays."""

    def write(_: Path, to: Path) -> None:
        save(to.with_suffix(".npz"), a=np.arange(1_000), b=np.zeros(3))
        to.with_suffix(".npz").rename(to)

    return write


ZIP = ("zip", "-qr")
GIT_ARCHIVE = "git init -q . && git add -A && git archive --format=zip $(git write-tree) > TO"
BSDTAR = ("bsdtar", "--format", "zip")
WRITERS: dict[str, Write] = {
    "zip": run(*ZIP, "TO", "."),
    "zip, piped": piped(*ZIP, "-", "."),
    "zip of a pipe": run("sh", "-c", "cat a.txt | zip -q TO -", packer="zip"),
    "zip, stored": run(*ZIP, "-0", "TO", "."),
    "zip, bzip2": run(*ZIP, "-Z", "bzip2", "TO", "."),
    "zip, zip64": run(*ZIP, "-fz", "TO", "."),
    "zip, with streams": run(*ZIP, "-fd", "TO", "."),
    "zip, encrypted": run(*ZIP, "-P", "secret", "TO", "."),
    "zip, links": run(*ZIP, "-y", "TO", "."),
    "zip, without Unicode": run("env", "LC_ALL=C", *ZIP, "TO", ".", packer="zip"),
    "zip, UTF-8": run("env", "LC_ALL=C.UTF-8", *ZIP, "-UN=UTF8", "TO", ".", packer="zip"),
    "zip, escaped": run(*ZIP, "-UN=escape", "TO", "."),
    "7z": run("7z", "a", "-tzip", "TO", "."),
    "7z, LZMA": run("7z", "a", "-tzip", "-mm=LZMA", "TO", "."),
    "7z, AES": run("7z", "a", "-tzip", "-psecret", "-mem=AES256", "TO", "."),
    "7z, UTF-8": run("7z", "a", "-tzip", "-mcu=on", "TO", "."),
    "bsdtar": run(*BSDTAR, "-cf", "TO", "."),
    "bsdtar, piped": piped(*BSDTAR, "-cf", "-", "."),
    "bsdtar, stored and piped": piped(
        "bsdtar", "--format", "zip", "--options", "zip:compression=store", "-cf", "-", "."
    ),
    "bsdtar, zip64": run("bsdtar", "--format", "zip", "--options", "zip:zip64", "-cf", "TO", "."),
    "jar": run("jar", "cf", "TO", "."),
    "jar, stored": run("jar", "cfM0", "TO", "."),
    "git": run("sh", "-c", GIT_ARCHIVE, packer="git"),
    "zipfile": by_zipfile(),
    "zipfile, zip64": by_zipfile(is_large=True),
    "zipfile, stored and piped": by_zipfile(method=zipfile.ZIP_STORED, is_piped=True),
    "zipfile, piped": by_zipfile(is_piped=True),
    "zipfile, zip64, piped": by_zipfile(is_large=True, is_piped=True),
    "zipfile, LZMA": by_zipfile(method=zipfile.ZIP_LZMA, is_piped=True),
    "zipfile, bzip2": by_zipfile(method=zipfile.ZIP_BZIP2),
    "numpy": by_numpy(np.savez),
    "numpy, compressed": by_numpy(np.savez_compressed),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files and folders of some kinds, among them an archive."""
    place = tmp_path / "folder"
    (place / "empty").mkdir(parents=True)
    (place / "a.txt").write_text("hello\n")
    (place / "nothing").touch()
    (place / "sub").mkdir()
    (place / "sub" / "é.txt").write_text("accents " * 500)
    (place / "random").write_bytes(bytes(range(256)) * 20)
    (place / "link").symlink_to("a.txt")
    with zipfile.ZipFile(place / "inner.zip", "w") as archive:
        archive.writestr("inner.txt", "inner")
    return place


@pytest.mark.parametrize("name", WRITERS)
def test_what_tools_write_is_read_as_zipfile_reads_it(name: str, folder: Path, tmp_path: Path) -> None:
    """Alone, with bytes behind, and as a self-extractor: every writer's archive is sound."""
    WRITERS[name](folder, tmp_path / "archive.zip")
    data = (tmp_path / "archive.zip").read_bytes()
    front = b"" if b"PK\x06\x07" in data else b"a self-extractor\n\x08"  # libarchive finds no zip64 record behind one
    for whole in (data, data + b"bytes behind", front + data):
        with zipfile.ZipFile(io.BytesIO(whole)) as archive:
            theirs = [(info.filename, info.compress_size, info.file_size) for info in archive.infolist()]
        ours = zips.read_directory(Reader(io.BytesIO(whole), len(whole), 256 << 20))
        assert theirs == [(member.name, member.packed, member.size) for member in ours]
        found = examine(io.BytesIO(whole), len(whole), "archive")
        assert ("zip", None) == (found.kind, found.problem)
    assert {"members": len(theirs)} == found.facts


_BY_TORCH = """
import sys, torch
from torch.package import PackageExporter
class Scale(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(2, 2)
    def forward(self, x):
        return self.linear(x)
to = sys.argv[2]
if sys.argv[1] == "save": torch.save({"w": torch.zeros(20000), "v": torch.ones(3)}, to)
if sys.argv[1] == "script": torch.jit.script(Scale()).save(to)
if sys.argv[1] == "lite": torch.jit.script(Scale())._save_for_lite_interpreter(to)
if sys.argv[1] == "package":
    with PackageExporter(to) as package: package.save_text("a", "b.txt", "hello")
"""


@pytest.mark.slow
@pytest.mark.parametrize("what", ["save", "script", "lite", "package"])
def test_what_torch_writes_is_read_and_known_as_its_own(what: str, tmp_path: Path) -> None:
    """Its directory is sound, and the file is refused as a pickle."""
    need("torch")
    script, to = tmp_path / "write.py", tmp_path / "archive"
    script.write_text(_BY_TORCH)
    subprocess.run(["/usr/bin/python3", str(script), what, str(to)], check=True)
    data = to.read_bytes()
    with zipfile.ZipFile(to) as archive:
        names = archive.namelist()
    assert names == [member.name for member in zips.read_directory(Reader(io.BytesIO(data), len(data), 256 << 20))]
    found = examine(io.BytesIO(data), len(data), "archive")
    assert "pytorch" == found.kind
    assert found.problem is not None


@pytest.mark.slow
def test_the_archives_of_this_machine_are_sound() -> None:
    """Those of Python and of the system, found by their first bytes: read as zipfile reads them."""
    met = 0
    for root in (Path(sys.base_prefix), Path("/usr/share"), Path("/usr/lib")):
        for path in sorted(root.rglob("*")):
            if not path.is_file() or path.is_symlink() or path.stat().st_size < 22:
                continue
            with path.open("rb") as file:
                if file.read(4) != b"PK\x03\x04" or not zipfile.is_zipfile(file):
                    continue
                with zipfile.ZipFile(file) as archive:
                    names = archive.namelist()
                found = zips.read_directory(Reader(file, path.stat().st_size, 256 << 20))
                assert names == [member.name for member in found], path
                met += 1
    if not met:
        pytest.skip("no archive is there")
