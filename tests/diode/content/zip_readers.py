"""What other programs read in a zip archive: the oracles of the tests of zips.

A reading is the members' names, sorted, and all their bytes one behind the other; None: the reader complains, or
one that begins at the front finds nothing there.
Symbolic links and encrypted members are left to the tests to avoid. Nothing is unpacked to a disk.
"""

import json
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

Reading = tuple[tuple[str, ...], bytes] | None
Oracle = Callable[[Path], Reading]

_TORCH = """
import sys, json, base64, torch
for line in sys.stdin:
    try:
        reader = torch._C.PyTorchFileReader(line.rstrip("\\n"))
        names = list(reader.get_all_records())
        found = [names, base64.b16encode(b"".join(reader.get_record(name) for name in names)).decode()]
    except Exception:
        found = None
    print(json.dumps(found), flush=True)
"""
_JAVA = """
import java.io.*; import java.util.*; import java.util.zip.*;
public class Reads {
    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        boolean front = args[0].equals("front");
        for (String path; (path = in.readLine()) != null; ) {
            StringBuilder names = new StringBuilder(); ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            boolean good = true;
            try {
                if (front) try (ZipInputStream zip = new ZipInputStream(new FileInputStream(path))) {
                    for (ZipEntry entry; (entry = zip.getNextEntry()) != null; ) {
                        names.append(hex(entry.getName().getBytes("UTF-8"))).append(' '); zip.transferTo(bytes);
                    }
                } else try (ZipFile zip = new ZipFile(path)) {
                    for (ZipEntry entry : Collections.list(zip.entries())) {
                        names.append(hex(entry.getName().getBytes("UTF-8"))).append(' ');
                        zip.getInputStream(entry).transferTo(bytes);
                    }
                }
            } catch (Exception error) { good = false; }
            if (front && names.length() == 0) good = false;
            System.out.println(good ? names + "|" + hex(bytes.toByteArray()) : "");
        }
    }
    static String hex(byte[] data) { return HexFormat.of().formatHex(data); }
}
"""


def by_zipfile(path: Path) -> Reading:
    """Python's own."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _reading(archive.namelist(), b"".join(archive.read(info) for info in archive.infolist()))
    except Exception:  # noqa: BLE001 - zipfile raises anything on what is broken
        return None


def by_unzip(path: Path) -> Reading:
    """Info-ZIP's."""
    listed, taken = _run(["unzip", "-Z1", str(path)], ok=(0, 1)), _run(["unzip", "-p", str(path)], ok=(0, 1))
    return None if listed is None or taken is None else _reading(_lines(listed), taken)


def by_bsdtar(path: Path) -> Reading:
    """libarchive's, which seeks."""
    listed, taken = _run(["bsdtar", "-tf", str(path)]), _run(["bsdtar", "-xOf", str(path)])
    return None if listed is None or taken is None else _reading(_lines(listed), taken)


def by_bsdtar_of_a_pipe(path: Path) -> Reading:
    """libarchive's, from front to back."""
    data = path.read_bytes()
    listed, taken = _run(["bsdtar", "-tf", "-"], data), _run(["bsdtar", "-xOf", "-"], data)
    return None if not listed or taken is None else _reading(_lines(listed), taken)


def by_7z(path: Path) -> Reading:
    """7-Zip's."""
    listed = _run(["7z", "l", "-slt", "-ba", "-tzip", str(path)], ok=(0, 1))
    taken = _run(["7z", "x", "-so", "-tzip", str(path)], ok=(0, 1))
    if listed is None or taken is None:
        return None
    return _reading([line[7:] for line in _lines(listed) if line.startswith("Path = ")], taken)


@contextmanager
def by_torch(folder: str) -> Iterator[Oracle]:
    """PyTorch's, in a process of its own. It leaves the first ``folder`` out of names."""
    with _server(["/usr/bin/python3", "-c", _TORCH]) as ask:

        def read(path: Path) -> Reading:
            if (found := json.loads(ask(path))) is None:
                return None
            names, data = found
            return _reading([folder + name for name in names], bytes.fromhex(data))

        yield read


@contextmanager
def by_java(folder: Path, way: str) -> Iterator[Oracle]:
    """Java's; ``way``: "front" of ZipInputStream, "end" of ZipFile. ``folder`` takes its source."""
    source = folder / "Reads.java"
    source.write_text(_JAVA)
    with _server(["java", "-Xshare:auto", "-Dsun.stdout.encoding=UTF-8", str(source), way]) as ask:

        def read(path: Path) -> Reading:
            names, bar, data = ask(path).rstrip("\n").partition("|")
            if not bar:
                return None
            return _reading([bytes.fromhex(name).decode() for name in names.split()], bytes.fromhex(data))

        yield read


def simple_oracles() -> dict[str, Oracle]:
    """Those that are installed and need no process of their own."""
    programs = {"unzip": by_unzip, "bsdtar": by_bsdtar, "7z": by_7z}
    found: dict[str, Oracle] = {name: read for name, read in programs.items() if shutil.which(name)}
    if "bsdtar" in found:
        found["bsdtar of a pipe"] = by_bsdtar_of_a_pipe
    return {"zipfile": by_zipfile} | found


def spelled(names: Iterable[str]) -> tuple[str, ...]:
    """Sorted, without what readers spell in ways of their own."""
    return tuple(sorted(name.replace("\\", "/").rstrip("/").removeprefix("./") for name in names))


def _reading(names: Iterable[str], data: bytes) -> tuple[tuple[str, ...], bytes]:
    return spelled(names), data


def _lines(data: bytes) -> list[str]:
    return data.decode("utf-8", "surrogateescape").splitlines()


def _run(command: list[str], data: bytes = b"", ok: tuple[int, ...] = (0,)) -> bytes | None:
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    return done.stdout if done.returncode in ok else None


@contextmanager
def _server(command: list[str]) -> Iterator[Callable[[Path], str]]:
    """A program that answers a line with a line."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        asks, answers = server.stdin, server.stdout
        assert asks is not None
        assert answers is not None
        yield lambda path: _ask(asks, answers, path)
        asks.close()


def _ask(asks: IO[str], answers: IO[str], path: Path) -> str:
    asks.write(f"{path}\n")
    asks.flush()
    return answers.readline()
