"""What a real clamd passes without having opened it, in files by their own tools, and what the verdict says of them."""

import bz2
import gzip
import lzma
import subprocess
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diode.config.intake import Clamd
from sender.intake.clamd import EICAR, ENCRYPTED
from sender.intake.scanning import check_scanned
from sender.intake.unopened import Unopened
from sender.intake.verdict import Reason
from tests.clamd import real_clamd
from tests.needs import need_packer
from tests.sender.intake.conftest import Judge, MakeCandidate
from tests.sender.intake.test_pipeline import outcome
from tests.sender.intake.test_scanning import scan_of

WRITTEN = Path(__file__).parents[2] / "vectors" / "unopened"
Maker = Callable[[Path], bytes]


@pytest.fixture(scope="module")
def alerts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A clamd that alerts on encrypted archives."""
    with real_clamd(tmp_path_factory.mktemp("alerts")) as (path, _):
        yield path


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One that does not, as clamd.conf has it by default."""
    with real_clamd(tmp_path_factory.mktemp("silent"), alert=False) as (path, _):
        yield path


def tool(program: str, *arguments: str, made: str = "made") -> Maker:
    """What a program makes of ``eicar.com`` as the file ``made``, or on its standard output."""

    def make(folder: Path) -> bytes:
        need_packer(program)
        (folder / "eicar.com").write_bytes(EICAR)
        done = subprocess.run([program, *arguments], cwd=folder, check=True, capture_output=True)
        return (folder / made).read_bytes() if (folder / made).exists() else done.stdout

    return make


def package(folder: Path) -> bytes:
    """A package of Debian."""
    (folder / "p/DEBIAN").mkdir(parents=True)
    fields = "Package: x\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: x\n"
    (folder / "p/DEBIAN/control").write_text(fields)
    (folder / "p/eicar.com").write_bytes(EICAR)
    return tool("dpkg-deb", "--root-owner-group", "-Zgzip", "-b", "p", "made")(folder)


def zipped(method: int) -> Maker:
    """Python's own zip archive."""

    def make(folder: Path) -> bytes:
        with zipfile.ZipFile(folder / "made", "w", method) as archive:
            archive.writestr("eicar.com", EICAR)
        return (folder / "made").read_bytes()

    return make


def small_window(data: bytes) -> bytes:
    """A zlib stream that begins with other bytes than most."""
    packing = zlib.compressobj(9, zlib.DEFLATED, 9)
    return packing.compress(data) + packing.flush()


PASSED: dict[str, tuple[Maker, str]] = {
    "zstd": (tool("zstd", "-c", "eicar.com"), "zstd"),
    "zstd behind a frame to skip": (
        lambda folder: b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + tool("zstd", "-c", "eicar.com")(folder),
        "zstd or lz4",
    ),
    "lz4": (tool("lz4", "-c", "eicar.com"), "lz4"),
    "legacy lz4": (tool("lz4", "-l", "-c", "eicar.com"), "lz4"),
    "lzma": (tool("xz", "--format=lzma", "-c", "eicar.com"), "lzma"),
    "lzma by Python": (lambda _: lzma.compress(EICAR, lzma.FORMAT_ALONE), "lzma"),
    "zlib": (lambda _: zlib.compress(EICAR), "zlib"),
    "zlib of a small window": (lambda _: small_window(EICAR), "zlib"),
    "gzip behind zeros": (
        lambda _: gzip.compress(b"first") + bytes(512) + gzip.compress(EICAR),
        "gzip of several members, with zeros between",
    ),
    "deb": (package, "deb"),
    "ar": (tool("ar", "rc", "made", "eicar.com"), "ar"),
    "wim": (tool("7z", "a", "-twim", "made.wim", "eicar.com", made="made.wim"), "wim"),
    "openssl": (
        tool("openssl", "enc", "-aes-256-cbc", "-pbkdf2", "-pass", "pass:x", "-in", "eicar.com"),
        "encrypted by OpenSSL",
    ),
    "zip by LZMA": (zipped(zipfile.ZIP_LZMA), "member of zip packed by method 14"),
    "zip by PPMd": (
        tool("7z", "a", "-tzip", "-mm=PPMd", "made.zip", "eicar.com", made="made.zip"),
        "member of zip packed by method 98",
    ),
    "two streams of bzip2": (
        lambda _: bz2.compress(b"first") + bz2.compress(EICAR),
        "bzip2 of several streams, but for the first",
    ),
}


@pytest.mark.parametrize("name", PASSED)
def test_what_clamd_does_not_open(judge: Judge, silent: Path, tmp_path: Path, name: str) -> None:
    """EICAR in each passes a real scanner, and the verdict says that nobody opened it."""
    make, kind = PASSED[name]
    check = scan_of(judge({"a": b"a", "packed": make(tmp_path)}, clamd={"socket": silent}, lint=False))
    assert ("passed", 1) == (check.outcome, check.counts["unopened"])
    assert check.detail.endswith(f"passed unopened: 1: {kind} ('packed')")


FOUND: dict[str, Maker] = {
    "zip": zipped(zipfile.ZIP_DEFLATED),
    "zip by bzip2": zipped(zipfile.ZIP_BZIP2),
    "7z": tool("7z", "a", "made.7z", "eicar.com", made="made.7z"),
    "tar": tool("tar", "-cf", "made", "eicar.com"),
    "gzip": lambda _: gzip.compress(EICAR),
    "bzip2": lambda _: bz2.compress(EICAR),
    "xz": lambda _: lzma.compress(EICAR),
}


@pytest.mark.parametrize("name", FOUND)
def test_what_clamd_opens(judge: Judge, silent: Path, tmp_path: Path, name: str) -> None:
    """The archives that are not called unopened are opened."""
    content = FOUND[name](tmp_path)
    assert "" == kind_of(content)
    verdict = judge({"packed": content}, clamd={"socket": silent}, lint=False)
    assert ("clamd", "rejected", Reason.MALWARE) == outcome(verdict)


by_zip = tool("zip", "-q", "-P", "x", "made.zip", "eicar.com", made="made.zip")


def nested(folder: Path) -> bytes:
    """An encrypted archive, stored in another."""
    with zipfile.ZipFile(folder / "outer.zip", "w") as outer:
        outer.writestr("inner.zip", by_zip(folder))
    return (folder / "outer.zip").read_bytes()


ENCRYPTED_BY: dict[str, Maker] = {
    "zip": by_zip,
    "zip by AES": tool("7z", "a", "-px", "-mem=AES256", "-tzip", "made.zip", "eicar.com", made="made.zip"),
    "zip in zip": nested,
    "7z": tool("7z", "a", "-px", "made.7z", "eicar.com", made="made.7z"),
    "7z with its names": tool("7z", "a", "-px", "-mhe=on", "made.7z", "eicar.com", made="made.7z"),
    "pdf": lambda _: (WRITTEN / "password.pdf").read_bytes(),
    "the canary": lambda _: ENCRYPTED,
}


@pytest.mark.parametrize("name", ENCRYPTED_BY)
def test_encrypted(judge: Judge, alerts: Path, silent: Path, tmp_path: Path, name: str) -> None:
    """With AlertEncrypted they are refused; without it they pass, which the verdict says, or nothing passes."""
    files = {"locked": ENCRYPTED_BY[name](tmp_path)}
    for encrypted in ("record", "reject"):
        verdict = judge(files, clamd={"socket": alerts, "encrypted": encrypted}, lint=False)
        assert ("clamd", "rejected", Reason.UNSCANNED) == outcome(verdict)
        assert scan_of(verdict).detail.startswith("not scanned: encrypted: 'locked': Heuristics.Encrypted.")
    check = scan_of(judge(files, clamd={"socket": silent}, lint=False))
    assert "passed" == check.outcome
    assert check.detail.startswith("clamd passes encrypted archives unopened (AlertEncrypted is not set)")
    seen = "zip" in name or name == "the canary"
    assert ("encrypted member of zip ('locked')" in check.detail) == seen
    verdict = judge(files, clamd={"socket": silent, "encrypted": "reject"}, lint=False)
    assert ("clamd", "error", Reason.SCANNER_BLIND) == outcome(verdict)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("office.xlsx", "encrypted office document"),
        ("symmetric.gpg", "encrypted by OpenPGP"),
        ("armoured.asc", "encrypted by OpenPGP"),
        ("rsa.gpg", "encrypted by OpenPGP"),
        ("curve.gpg", "encrypted by OpenPGP"),
        ("salted.gpg", "encrypted by OpenPGP"),
        ("openssl.txt", "encrypted by OpenSSL"),
    ],
)
def test_encrypted_files_that_no_alert_is_for(judge: Judge, alerts: Path, name: str, kind: str) -> None:
    """No alert is for them, and clamd says OK; they are named in the verdict, or refused where the channel wants it."""
    files = {name: (WRITTEN / name).read_bytes()}
    check = scan_of(judge(files, clamd={"socket": alerts}, lint=False))
    assert ("passed", f"passed unopened: 1: {kind} ({name!r})") == (check.outcome, check.detail)
    verdict = judge(files, clamd={"socket": alerts, "encrypted": "reject"}, lint=False)
    assert ("clamd", "rejected", Reason.UNSCANNED) == outcome(verdict)


def test_many_are_counted(judge: Judge, alerts: Path) -> None:
    """All are counted; of each kind the first are named."""
    files = {f"{n}.rpm": (WRITTEN / "harmless.rpm").read_bytes() for n in range(5)} | {"z": zlib.compress(b"text")}
    check = scan_of(judge(files, clamd={"socket": alerts}, lint=False))
    assert {"scanned": 6, "unscanned": 0, "unopened": 6} == check.counts
    assert "passed unopened: 6: rpm ('0.rpm', '1.rpm' and 3 more), zlib ('z')" == check.detail


def test_what_archives_hold(candidate: MakeCandidate, alerts: Path) -> None:
    """What the check of content has met within archives is not opened there either, and the verdict says so."""
    asked = candidate({"a": b"a"})
    asked.inside.update(zstd=3, text=4, zip=1, deb=2)
    found = check_scanned(Clamd(socket=alerts), asked)
    assert "within archives, passed unopened: 2 deb, 3 zstd" == found.detail


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_more_than_clamd_unpacks(judge: Judge, tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    """What becomes larger than clamd's own limits is refused as not scanned, with AlertExceedsMax."""
    content = pack(bytes(3 << 20) + EICAR)
    with real_clamd(tmp_path / "c", "1M") as (path, _):
        verdict = judge({"packed": content}, clamd={"socket": path}, lint=False)
    assert ("clamd", "rejected", Reason.UNSCANNED) == outcome(verdict)
    assert scan_of(verdict).detail.startswith("not scanned: more than clamd's own limits: 'packed': Heuristics.Limits")


def kind_of(content: bytes, piece: int = 1 << 20) -> str:
    """What it says of a file that comes in pieces."""
    look = Unopened()
    pieces = [memoryview(content[at : at + piece]) for at in range(0, len(content), piece)]
    assert content == b"".join(look.watched(pieces))
    return look.kind


@pytest.mark.parametrize("content", [b"", b"x^2 + y^2 = z^2\n", b"x\x01", b"PK\x03\x04", b"BZh9", b"BZh91AY&SY"])
def test_what_only_looks_alike(content: bytes) -> None:
    """A text that begins as zlib does, a lone magic: nothing is said of them."""
    assert "" == kind_of(content)


@given(before=st.integers(0, 3000), piece=st.integers(600, 1200))
def test_pieces_make_no_difference(before: int, piece: int) -> None:
    """What is searched for is found wherever the pieces end."""
    assert "encrypted member of zip" == kind_of(b"x" * before + ENCRYPTED, piece)
    two = bz2.compress(b"") + bz2.compress(b"text")
    assert kind_of(two) == kind_of(two, 7) == "bzip2 of several streams, but for the first"
