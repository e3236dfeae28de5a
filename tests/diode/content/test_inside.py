"""What lies inside of archives is judged as if it lay there alone, however it is wrapped."""

import io
import pickle
import random
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from diode.content import kinds
from diode.content.allowance import Allowance
from diode.content.archives import streams
from diode.content.examine import Examined, examine
from diode.content.trouble import Trouble
from diode.content.words import COMPRESSED, KINDS, LOOKED_INTO, UNOPENED
from tests.archives import COMPRESS, PICKLE, TEXT, WRAP, arred, look, run, tarred, zipped
from tests.needs import need_packer

if sys.version_info >= (3, 14):
    pass
else:
    pass

SAMPLES = Path(__file__).parents[2] / "vectors" / "artefacts"
HARMLESS = {
    "text": TEXT,
    "numbers": random.Random(1).randbytes(5000),
    "nothing": b"",
    "json": b'{"a": [1, 2, 3]}',
    "large text": TEXT * 1500,
}


def samples() -> list[Path]:
    """What real tools wrote, each dangerous."""
    return sorted(path for path in SAMPLES.glob("*") if path.suffix != ".md")


@pytest.mark.parametrize("wrap", WRAP)
@pytest.mark.parametrize("sample", samples(), ids=lambda path: path.name)
def test_samples_in_every_wrapping(sample: Path, wrap: str) -> None:
    """Each sample is refused in each kind of archive, and the member is named."""
    found = look(WRAP[wrap](sample.name, sample.read_bytes()), sample.name)
    assert Trouble.PICKLE == found.trouble
    assert sample.name[-15:] in found.member
    assert sample.name[-15:] in (found.problem or "")


@pytest.mark.parametrize("sample", samples(), ids=lambda path: path.name)
def test_samples_three_deep(sample: Path) -> None:
    """A zip archive in a tar.gz in a zip archive."""
    inner = zipped({sample.name: sample.read_bytes()})
    found = look(zipped({"b.tgz": tarred({"c.zip": inner}, "w:gz")}))
    assert (Trouble.PICKLE, f"b.tgz!b.tar!c.zip!{sample.name}") == (
        found.trouble,
        "!".join(found.member.split("!")[:4]),
    )


@pytest.mark.parametrize("wrap", WRAP)
def test_a_pickle_in_every_wrapping(wrap: str) -> None:
    """Also where no sample of a real tool is at hand."""
    found = look(WRAP[wrap]("x.pkl", PICKLE))
    assert (Trouble.PICKLE, True) == (found.trouble, found.member.endswith(("x.pkl", "file")))


@pytest.mark.parametrize("outer", WRAP)
@pytest.mark.parametrize("inner", WRAP)
def test_wrapped_twice(inner: str, outer: str) -> None:
    """Every kind of archive in every other one: what is harmless passes, and what is not is found."""
    bad = look(WRAP[outer]("inner", WRAP[inner]("x.pkl", PICKLE)))
    good = look(WRAP[outer]("inner", WRAP[inner]("x.txt", TEXT)))
    assert (Trouble.PICKLE, None) == (bad.trouble, good.problem)


@pytest.mark.parametrize("what", HARMLESS)
@pytest.mark.parametrize("wrap", WRAP)
def test_harmless_ones_pass(wrap: str, what: str) -> None:
    """Sound archives of harmless members, and nothing is left unopened."""
    found = look(WRAP[wrap]("x.txt", HARMLESS[what]))
    assert (None, 0) == (found.problem, found.unopened.total())
    assert found.inside or (wrap, what) == ("lzma", "nothing")  # that has nothing to tell it by


@pytest.mark.parametrize("compress", [0, "zlib", "gzip", "bz2", "xz", "lzma", "lz4"])
def test_joblib(compress: int | str, tmp_path: Path) -> None:
    """Whatever joblib writes is a pickle, compressed or not."""
    joblib = pytest.importorskip("joblib", reason="pip install joblib")
    path = tmp_path / "x.joblib"
    joblib.dump([print, {"a": list(range(3000))}], path, compress=(compress, 3) if compress else 0)
    assert Trouble.PICKLE == look(path.read_bytes(), "x.joblib").trouble


@pytest.mark.parametrize("space", [b"", b" "])
def test_old_joblib(space: bytes) -> None:
    """Before 0.9.3: two letters, the length as text, and zlib."""
    data = b"ZF" + f"{len(PICKLE):#x}".ljust(19).encode() + space + zlib.compress(PICKLE)
    assert ("zlib", Trouble.PICKLE) == (look(data).kind, look(data).trouble)


def test_a_pickle_that_runs_before_its_stream_ends() -> None:
    """Loaders unpickle as the bytes come: a stream that is cut off has run by then."""
    for compress in (zlib.compress, COMPRESS["lzma"]):
        data = compress(PICKLE + random.Random(2).randbytes(100_000))[:-50_000]
        assert look(data).trouble in (Trouble.PICKLE, Trouble.UNSOUND)


def test_numpy_archives() -> None:
    """Arrays of numbers pass, compressed or not, also a thousand times smaller than they are; objects do not."""
    for save in (np.savez, np.savez_compressed):
        plain, objects = io.BytesIO(), io.BytesIO()
        save(plain, a=np.zeros(1 << 20), b=np.arange(5))
        save(objects, a=np.arange(5), b=np.array([{}], dtype=object))
        assert (None, {"npy": 2}) == (look(plain.getvalue()).problem, dict(look(plain.getvalue()).inside))
        assert (Trouble.PICKLE, "b.npy") == (look(objects.getvalue()).trouble, look(objects.getvalue()).member)


@pytest.mark.parametrize(
    "command",
    [
        "tar -cf x d",
        "tar -czf x d",
        "tar -cJf x d",
        "tar -cjf x d",
        "tar --zstd -cf x d",
        "tar --format=v7 -cf x d",
        "tar --format=oldgnu -cf x d",
        "tar --format=posix -cf x d",
        "tar --format=posix --sparse -cf x d",
        "tar --format=posix --sparse --sparse-version=0.0 -cf x d",
        "tar --format=posix --sparse --sparse-version=0.1 -cf x d",
        "tar --format=gnu --sparse -cf x d",
        "zip -qr x.zip d",
        "zip -q0r x.zip d",
        "ar rc x d/x.pkl",
        "gzip -k d/x.pkl",
        "bzip2 -k d/x.pkl",
        "xz -k d/x.pkl",
        "xz -9e -k d/x.pkl",
        "xz --format=lzma -k d/x.pkl",
        "xz -T2 --block-size=4096 -k d/x.pkl",
        "zstd -q d/x.pkl",
        "zstd -q --ultra -22 --long=27 d/x.pkl",
        "lz4 -q d/x.pkl d/x.lz4",
        "lz4 -q -B4D --content-size d/x.pkl d/x.lz4",
        "7z a -tzip x.zip d",
        "7z a -tzip -mm=BZip2 x.zip d",
        "7z a -tzip -mm=LZMA x.zip d",
    ],
)
def test_tools(command: str, tmp_path: Path) -> None:
    """What each tool writes of a folder with a harmless file, a sparse one and a pickle: opened, and the pickle found.

    Without the pickle the same archive passes.
    """
    need_packer("zstd" if "--zstd" in command else command.split(maxsplit=1)[0])
    for name, pickled in (("x.pkl", PICKLE + bytes(9000)), ("x.pkl", TEXT * 9)):
        folder = tmp_path / str(len(pickled))
        (folder / "d").mkdir(parents=True)
        (folder / "d" / "a.txt").write_bytes(TEXT)
        (folder / "d" / name).write_bytes(pickled)
        with (folder / "d" / "holes").open("wb") as file:
            for at in range(0, 3 << 20, 64 << 10):
                file.seek(at)
                file.write(b"x" * 4096)
        run(*command.split(), folder=folder)
        made = next(path for path in sorted(folder.rglob("x*")) if path.suffix != ".pkl")
        found = look(made.read_bytes(), made.name)
        assert ((Trouble.PICKLE if pickled[:1] == b"c" else None), 0) == (found.trouble, found.unopened.total())
        assert pickled[:1] != b"c" or found.member.endswith("x.pkl") or found.kind in ("lz4", "lzma")


def test_debian_packages(tmp_path: Path) -> None:
    """``dpkg-deb`` writes two archives of tar's into one of ar's."""
    package = tmp_path / "p"
    (package / "DEBIAN").mkdir(parents=True)
    (package / "DEBIAN" / "control").write_text(
        "Package: x\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: x\n"
    )
    (package / "x.pkl").write_bytes(PICKLE)
    run("dpkg-deb", "-b", "p", "x.deb", folder=tmp_path)
    found = look((tmp_path / "x.deb").read_bytes())
    assert ("deb", Trouble.PICKLE, True) == (found.kind, found.trouble, found.member.endswith("!./x.pkl"))


def test_old_archives_of_torch() -> None:
    """A tar archive with pickles; ``torch.load`` tries this first, and takes it by its first header alone."""
    members = {"sys_info": pickle.dumps({}), "pickle": PICKLE, "storages": b"", "tensors": b""}
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT):
        assert ("tar", Trouble.PICKLE) == (look(tarred(members, form=form)).kind, look(tarred(members)).trouble)


def test_a_tar_archive_that_begins_as_something_else() -> None:
    """Its first member's name is another format's first bytes: two loaders, two files."""
    data = bytearray(tarred({"GIF89a.txt": TEXT}, form=tarfile.USTAR_FORMAT))
    assert Trouble.POLYGLOT == look(bytes(data)).trouble


def test_a_zip_archive_behind_others() -> None:
    """Behind a script, or a program, it is looked into as well; behind a picture it is refused for itself."""
    archive = zipped({"x.pkl": PICKLE})
    for before in (b"#!/usr/bin/python3\n", b"\x7fELF" + bytes(100), COMPRESS["gzip"](TEXT)):
        found = look(before + archive)
        assert found.trouble in (Trouble.PICKLE, Trouble.AMBIGUOUS)
        assert None is look(before.replace(TEXT, b"") + b"").problem
    assert Trouble.POLYGLOT == look(b"\x89PNG\r\n\x1a\n" + archive).trouble


def test_zip_archives_across_members() -> None:
    """Those that are members are lawful, many and at the end; one that is none, and yet found, is not."""
    archive = zipped({"x.txt": TEXT})
    cut = archive.index(b"PK\x01\x02")
    end = archive.index(b"PK\x05\x06")
    for make in (tarred, arred):
        assert None is look(make({"a.zip": archive, "b.zip": archive, "c.txt": TEXT})).problem
        assert None is look(make({"a.zip": archive, "b.bin": b"\xff" + archive[end:]})).problem
        torn = make({"a.bin": b"\xff\xfe" + archive[:end], "b.bin": archive[end:]})
        size = torn.index(b"PK\x05\x06") - torn.index(b"PK\x01\x02")
        torn = torn.replace(archive[end:], archive[end : end + 12] + size.to_bytes(4, "little") + archive[end + 16 :])
        assert Trouble.POLYGLOT == look(torn).trouble
        two = make({"a.bin": b"\xff\xfe" + archive[cut:end], "b.zip": archive})
        place = two.index(b"PK\x01\x02").to_bytes(4, "little")
        assert look(two.replace(archive[end:], archive[end : end + 16] + place + archive[end + 20 :])).trouble in (
            Trouble.POLYGLOT,
            Trouble.AMBIGUOUS,
            Trouble.UNSOUND,
        )


def test_unsound_members() -> None:
    """The same judgement as outside."""
    found = look(zipped({"a/b.gguf": b"GGUF" + bytes(100)}))
    assert (Trouble.UNSOUND, "a/b.gguf") == (found.trouble, found.member)


def test_what_is_not_looked_into() -> None:
    """Encrypted members, unknown methods and other kinds of archives are counted, by why."""
    encrypted = bytearray(zipped({"a": TEXT}))
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        encrypted[encrypted.index(signature) + at] |= 1
    unknown = bytearray(zipped({"a": TEXT}))
    for signature, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        unknown[unknown.index(signature) + at] = 98
    seven = b"7z\xbc\xaf\x27\x1c" + bytes(100)
    found = look(tarred({"a.zip": bytes(encrypted), "b.zip": bytes(unknown), "c.7z": seven}))
    assert (None, {"encrypted": 1, "a method that nobody here knows": 1, "7z": 1}) == (
        found.problem,
        dict(found.unopened),
    )
    assert {"7z": 1} == dict(look(seven).unopened)
    assert {"hdf5": 1} == dict(look(b"\x89HDF\r\n\x1a\n" + bytes(100)).unopened)
    assert {"zstd with a dictionary": 1} == dict(look(b"\x28\xb5\x2f\xfd\x21\x07\x10" + bytes(50)).unopened)


def test_every_kind_is_one() -> None:
    """What the tables of marks and of streams name are kinds; what is looked into is not left unopened."""
    marks = {kind for *_, kind in (*kinds._MAGICS, *kinds._PATTERNS)}
    assert (True, True) == (marks <= KINDS, LOOKED_INTO.isdisjoint(UNOPENED))
    assert COMPRESSED == streams.FORMATS.keys()


def test_without_an_allowance_nothing_is_opened() -> None:
    """Channels without lint pay nothing."""
    data = zipped({"x.pkl": PICKLE})
    found = examine(io.BytesIO(data), len(data), "x.zip")
    assert (None, 0) == (found.problem, found.inside.total())


def test_every_trouble_of_members_is_told() -> None:
    """A pickle does not end the search: channels that let pickles in archives pass want to know of the rest."""
    found = look(zipped({"a.pkl": PICKLE, "b.gguf": b"GGUF" + bytes(100), "c.tar": tarred({"d.pkl": PICKLE})}))
    assert (Trouble.PICKLE, "a.pkl") == (found.trouble, found.member)
    assert {Trouble.PICKLE: "a.pkl", Trouble.UNSOUND: "b.gguf"} == {k: v.member for k, v in found.within.items()}
    assert {"pickle": 2, "gguf": 1, "tar": 1} == dict(found.inside)


def test_kinds_inside() -> None:
    """Of all members, at any depth."""
    found = look(arred({"a": COMPRESS["xz"](tarred({"x": TEXT, "y": b""})), "b": TEXT}))
    assert {"xz": 1, "tar": 1, "text": 2, "empty": 1} == dict(found.inside)


def test_names_of_strangers_are_escaped_and_cut() -> None:
    """A name may be a megabyte of escape sequences."""
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        found = look(tarred({"\x1b[31m" + "a" * 5000 + "/../../x.pkl": PICKLE}, form=form))
        assert found.problem is not None
        assert (True, True) == (found.problem.isprintable(), len(found.problem) < 400)


def test_declared_sizes_are_not_believed() -> None:
    """More or less than the archive says is unsound, for every method."""
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2):
        for change in (-1, 1):
            data = bytearray(zipped({"a": TEXT}, method))
            for signature, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
                place = data.index(signature) + at
                size = int.from_bytes(data[place : place + 4], "little") + change
                data[place : place + 4] = size.to_bytes(4, "little")
            assert look(bytes(data)).trouble in (Trouble.UNSOUND, Trouble.AMBIGUOUS)


def test_too_deep() -> None:
    """A budget, not a recursion."""
    data = TEXT
    for _ in range(9):
        data = COMPRESS["gzip"](data)
    assert Trouble.BUDGET == look(data).trouble


def test_the_allowance_is_the_items() -> None:
    """Small bombs together are a large one, and a spent allowance stays spent."""
    bomb = zipped({"a": bytes(60_000)})
    allowance = Allowance(100_000)
    assert [None, Trouble.BUDGET, Trouble.BUDGET] == [look(bomb, "x", allowance).trouble for _ in range(3)]
    allowance = Allowance(1 << 30, members=3)
    assert [None, Trouble.BUDGET] == [look(zipped({"a": b"", "b": b""}), "x", allowance).trouble for _ in range(2)]


def test_a_spent_budget_does_not_hide_a_pickle() -> None:
    """Whoever lets a spent budget pass still hears of what was found."""
    allowance = Allowance(100_000)
    found: Examined = look(zipped({"a.pkl": PICKLE, "b": bytes(1_000_000)}), "x", allowance)
    assert (Trouble.PICKLE, True) == (found.trouble, Trouble.BUDGET in found.within)


@pytest.mark.parametrize("size", [100, 300_000])
@pytest.mark.parametrize("wrap", ["", "gzip"])
def test_checksums_of_stored_members(size: int, wrap: str) -> None:
    """A member that is stored as it is has one, too, whether it is read at once, as a window or from a stream."""
    data = bytearray(zipped({"a": random.Random(9).randbytes(size)}, zipfile.ZIP_STORED))
    assert look(COMPRESS[wrap](bytes(data)) if wrap else bytes(data)).trouble is None
    data[31 + size // 2] ^= 1
    assert Trouble.UNSOUND == look(COMPRESS[wrap](bytes(data)) if wrap else bytes(data)).trouble
