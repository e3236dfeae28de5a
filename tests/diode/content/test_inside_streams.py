"""Compressed streams are opened as their loaders open them, and only what is one is taken for one."""

import gzip
import io
import lzma
import random
import sys
import zipfile
import zlib

import pytest

from diode.content.allowance import Allowance
from diode.content.trouble import Trouble
from tests.archives import COMPRESS, PICKLE, TEXT, look, tarred, zipped

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


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
