"""What lies inside of archives is judged as if it lay there alone, however it is wrapped."""

import gzip
import io
import lzma
import pickle
import random
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from diode.content.allowance import Allowance
from diode.content.examine import Examined, examine
from diode.content.inside import LOOKED_INTO, UNOPENED
from diode.content.kinds import KINDS
from diode.content.trouble import Trouble
from tests.archives import COMPRESS, PICKLE, TEXT, WRAP, arred, look, run, tarred, zipped
from tests.needs import need_packer

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

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
    """What is looked into, and what is not, are kinds that ``types`` can take or refuse."""
    assert LOOKED_INTO | UNOPENED <= KINDS
    assert set() == LOOKED_INTO & UNOPENED


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


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "zstd", "lz4"])
def test_several_frames(kind: str) -> None:
    """One behind the other they are one file, as loaders see it; zeros may follow, nothing else."""
    compress = COMPRESS[kind]
    found = look(compress(b"") + compress(PICKLE[:9]) + compress(PICKLE[9:] + TEXT))
    assert Trouble.PICKLE == found.trouble
    assert None is look(compress(TEXT) + compress(TEXT)).problem
    assert None is look(compress(TEXT) + bytes(512)).problem
    assert Trouble.AMBIGUOUS == look(compress(TEXT) + b"something").trouble
    assert Trouble.UNSOUND == look(compress(TEXT) + compress(TEXT)[:-3]).trouble


def test_frames_to_be_skipped() -> None:
    """Formats have them that share this magic, in front and between."""
    skipped = b"\x5a\x2a\x4d\x18\x05\x00\x00\x00abcde"
    for kind in ("zstd", "lz4"):
        assert Trouble.PICKLE == look(COMPRESS[kind](b"") + skipped + COMPRESS[kind](PICKLE)).trouble
    assert ("zstd", Trouble.PICKLE) == (
        look(skipped + zstd.compress(PICKLE)).kind,
        look(skipped + skipped + zstd.compress(PICKLE)).trouble,
    )
    assert Trouble.UNSOUND == look(b"\x5a\x2a\x4d\x18\xff\xff\xff\xff" + b"a" * 50).trouble


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


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "zstd"])
def test_checksums(kind: str) -> None:
    """Where the format has one, a byte that changed is seen."""
    compress = COMPRESS[kind]
    if kind == "zstd":
        compress = lambda data: zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1})
    data = bytearray(compress(random.Random(3).randbytes(1000)))
    data[500] ^= 1
    assert Trouble.UNSOUND == look(bytes(data)).trouble


def test_random_bytes_are_no_streams() -> None:
    """Of blocks that begin as zlib's and lzma's do, none is taken for one."""
    seeded = random.Random(4)
    for _ in range(3000):
        for magic in (b"\x78\x9c", b"\x78\x01", b"x^", b"\x5d\x00\x00\x80\x00" + b"\xff" * 8 + b"\0"):
            found = look(magic + seeded.randbytes(500))
            assert ("unknown", None) == (found.kind, found.problem)


def test_texts_are_no_streams() -> None:
    """Two bytes are as likely any text's."""
    for text in (b"x^2 + 1\n", b"hC = 5\n" * 50, b"BZh is a magic\n", b"ZF0x12 what\n", b"hsqs\n", bytes(5000)):
        assert look(text).kind in ("text", "unknown")


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


def test_windows_of_decoders() -> None:
    """A header of a few bytes asks for gigabytes: it gets none."""
    xz = bytearray(lzma.compress(b"x" * 1000, check=lzma.CHECK_CRC32))
    xz[16] = 40  # 4 GiB of dictionary
    length = (xz[12] + 1) * 4
    xz[12 + length - 4 : 12 + length] = zlib.crc32(xz[12 : 12 + length - 4]).to_bytes(4, "little")
    window = bytearray(zstd.compress(TEXT * 99, options={zstd.CompressionParameter.content_size_flag: 0}))
    window[5] = (31 - 10) << 3  # 2 GiB
    for data in (bytes(xz), bytes(window)):
        assert Trouble.BUDGET == look(data).trouble


@pytest.mark.parametrize("flag", [0x20, 0x40, 0x80])
def test_flags_of_gzip_that_have_no_meaning(flag: int) -> None:
    """Python reads such a file, and so does joblib; zlib does not."""
    data = bytearray(gzip.compress(PICKLE))
    data[3] |= flag
    assert PICKLE == gzip.decompress(bytes(data))
    for wrapped in (bytes(data), zipped({"a": bytes(data)}), gzip.compress(b"") + bytes(data)):
        assert Trouble.AMBIGUOUS == look(wrapped).trouble
    assert "unknown" == look(bytes(data[:4]) + random.Random(7).randbytes(500)).kind


@pytest.mark.parametrize("end", [None, -4])
def test_much_goes_in_before_anything_comes_out(end: int | None) -> None:
    """Empty blocks in front of a pickle, which a loader acts on before it sees that the stream is cut off."""
    blocks, deflated = b"\0\0\0\xff\xff" * 20_000, zlib.compress(PICKLE)
    data = deflated[:2] + blocks + deflated[2:]
    assert PICKLE == zlib.decompress(data)
    assert (Trouble.PICKLE if end is None else Trouble.UNSOUND) == look(data[:end], "x.joblib").trouble


@pytest.mark.parametrize("lc", range(5))
def test_a_pickle_that_begins_with_a_long_text(lc: int) -> None:
    """What comes out first is nothing that a loader knows, whatever the encoder's settings were."""
    filters = [{"id": lzma.FILTER_LZMA1, "lc": lc, "lp": 0}]
    data = lzma.compress(b"S'" + b"a" * 40_000 + b"'\n0" + PICKLE, lzma.FORMAT_ALONE, filters=filters)
    assert ("lzma", Trouble.PICKLE) == ((found := look(data)).kind, found.trouble)


def test_long_random_bytes_are_no_streams() -> None:
    """However much of them there is."""
    seeded = random.Random(8)
    for _ in range(100):
        for magic in (
            b"\x78\x9c",
            b"\x1f\x8b\x08\xe0",
            *(bytes([p]) + b"\0\x10\0\0" + b"\xff" * 8 + b"\0" for p in (0x5D, 0x5E)),
        ):
            assert "unknown" == look(magic + seeded.randbytes(20_000)).kind


@pytest.mark.parametrize("size", [100, 300_000])
@pytest.mark.parametrize("wrap", ["", "gzip"])
def test_checksums_of_stored_members(size: int, wrap: str) -> None:
    """A member that is stored as it is has one, too, whether it is read at once, as a window or from a stream."""
    data = bytearray(zipped({"a": random.Random(9).randbytes(size)}, zipfile.ZIP_STORED))
    assert look(COMPRESS[wrap](bytes(data)) if wrap else bytes(data)).trouble is None
    data[31 + size // 2] ^= 1
    assert Trouble.UNSOUND == look(COMPRESS[wrap](bytes(data)) if wrap else bytes(data)).trouble


def test_zstd_before_its_first_version() -> None:
    """Nobody here reads it; some readers do."""
    found = look(b"\x27\xb5\x2f\xfd" + random.Random(10).randbytes(500))
    assert ("zstd", {"zstd of an old form": 1}) == (found.kind, found.unopened)


def test_what_reads_from_a_window_leaves_it_its_memory() -> None:
    """A tar archive within a window of 128 MiB, whose members are larger than what is left beside it."""
    seeded = random.Random(11)
    tar = tarred({"a": seeded.randbytes(20 << 20), "b": seeded.randbytes(20 << 20), "c": PICKLE})
    options: dict[int, int] = {zstd.CompressionParameter.window_log: 27}
    compressor = zstd.ZstdCompressor(options=options)  # it does not know the size, which would narrow the window
    found = look(compressor.compress(tar) + compressor.flush())
    assert (Trouble.PICKLE, {"tar": 1, "unknown": 2, "pickle": 1}) == (found.trouble, found.inside)


def test_going_through_a_stream_costs_it_once() -> None:
    """Where readers of HDF5 look, far inside, is kept: nothing is unpacked again to look there."""
    size = 300 << 20
    compressor = zlib.compressobj(1, zlib.DEFLATED, 31)
    data = b"".join([*(compressor.compress(b"\1\2" * (1 << 19)) for _ in range(size >> 20)), compressor.flush()])
    allowance = Allowance(2 * size)
    assert look(data, allowance=allowance).trouble is None
    assert allowance.bytes > size - (size >> 3)


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "zstd", "lz4"])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("size", [9_000, 50_000, 100_000])
def test_a_stream_that_shows_the_end_of_an_archive(kind: str, method: int, size: int) -> None:
    """What does not compress stands in a stream as it is: readers of zip archives find an end there, and no archive."""
    seeded = random.Random(12)
    jar = zipped({name: seeded.randbytes(size) for name in "abcd"}, method)
    for held in (jar, tarred({"x.jar": jar}), tarred({"x.jar": jar, "y": TEXT})):
        found = look(COMPRESS[kind](held))
        assert (None, kind) == (found.problem, found.kind)
    assert (None, kind) == (
        (found := look(COMPRESS[kind](zipped({"a": seeded.randbytes(size)}, method)))).problem,
        found.kind,
    )


@pytest.mark.parametrize("is_whole", [True, False])
def test_an_archive_within_a_stream_as_it_is(is_whole: bool) -> None:
    """A reader of zip archives opens members of it, though what comes out of the stream is another thing."""
    jar = zipped({"a": PICKLE, "b": b"b"}, zipfile.ZIP_STORED)
    if not is_whole:
        jar = jar.replace(b"PK\x03\x04", b"PK\x03\x05", 2).replace(b"PK\x03\x05", b"PK\x03\x04", 1)
    with zipfile.ZipFile(
        io.BytesIO(hidden := COMPRESS["lz4"](TEXT) + b"\x50\x2a\x4d\x18" + len(jar).to_bytes(4, "little") + jar)
    ) as archive:
        assert PICKLE == archive.read("a")
    assert ("lz4", Trouble.PICKLE) == ((found := look(hidden)).kind, found.trouble)


@pytest.mark.parametrize(
    ("kind", "frame"), [("lz4", b"\x02\x21\x4c\x18" + bytes(20)), ("zstd", b"\x28\xb5\x2f\xfd\x21\x07" + bytes(20))]
)
def test_a_frame_that_nobody_opens_hides_none_before_it(kind: str, frame: bytes) -> None:
    """A loader acts on the first frame, and never comes to the one behind it."""
    assert Trouble.AMBIGUOUS == look(COMPRESS[kind](PICKLE) + frame).trouble
    assert (None, 1) == ((found := look(frame)).trouble, sum(found.unopened.values()))
    skipped = b"\x50\x2a\x4d\x18\4\0\0\0abcd"
    assert look(skipped + COMPRESS[kind](PICKLE)).trouble in (Trouble.PICKLE, Trouble.AMBIGUOUS)


@pytest.mark.parametrize(("mark", "at"), [(b"CD001", 0x8001), (b"ustar", 257)])
def test_a_mark_further_inside_hides_no_stream(mark: bytes, at: int) -> None:
    """Where a stream stores bytes as they are, it may spell any mark; its loader does not look for one."""
    data = b"S'" + b"a" * (at - 9) + mark + b"a" * 100 + b"'\n0" + PICKLE
    packed = zlib.compress(data, 0)
    assert mark == packed[at : at + len(mark)]
    assert ("zlib", Trouble.PICKLE) == ((found := look(packed, "x.joblib")).kind, found.trouble)
