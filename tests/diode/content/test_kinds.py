"""Kinds that are told by more than a mark: pictures, tables, compiled code, archives in front and in between."""

import io
import json
import marshal
import py_compile
import random
import shutil
import struct
import subprocess
import tarfile
import zipimport
from pathlib import Path

import pytest

from diode.content.examine import Examined, examine
from diode.content.trouble import Trouble


def look(data: bytes, path: str = "file") -> Examined:
    """Of bytes."""
    return examine(io.BytesIO(data), len(data), path)


def tar(layout: int = tarfile.USTAR_FORMAT) -> bytes:
    """An archive of one small file."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=layout) as archive:
        info = tarfile.TarInfo("data.pkl")
        info.size = 5
        archive.addfile(info, io.BytesIO(b"hello"))
    return out.getvalue()


def names_of(data: bytes) -> list[str]:
    """What Python's own reader finds."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return archive.getnames()


@pytest.mark.parametrize("layout", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_archives_of_tar(layout: int) -> None:
    """With their mark, and as the oldest ones without: readers go by the checksum."""
    data = tar(layout)
    assert "tar" == look(data).kind
    old = bytearray(data)
    old[257:265] = bytes(8)
    old[148:156] = b"%06o\0 " % (sum(old[:148]) + 256 + sum(old[156:512]))
    assert ["data.pkl"] == names_of(bytes(old))
    assert "tar" == look(bytes(old)).kind


def test_what_is_a_tar_archive_besides() -> None:
    """A sound safetensors whose header is a member's as well: torch.load tries archives of tar first."""
    block = bytearray(b" " * 512)
    block[:8] = (504).to_bytes(8, "little")
    block[8:100] = b'{"__metadata__":{"a":"'.ljust(92, b"x")  # the member's name
    block[100:156] = b"0000644 0000000 0000000 00000001000 00000000000 ".ljust(56)
    block[156:512] = b'0"}}'.ljust(356)
    block[148:156] = b"%06o  " % (sum(block[:148]) + 256 + sum(block[156:]))
    whole = bytes(block)
    assert 1 == len(names_of(whole + bytes(1536)))
    found = look(whole)
    assert ("safetensors", Trouble.POLYGLOT) == (found.kind, found.trouble)


@pytest.mark.parametrize("offset", [512, 1024, 2048, 1 << 16, 1 << 21])
def test_what_is_hdf5_besides(offset: int) -> None:
    """Readers of HDF5 look at 512, 1024, 2048 and so on; Keras runs code from there."""
    mark = b"\x89HDF\r\n\x1a\n"
    size = offset + 100
    header = json.dumps({"a": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    data = bytearray(struct.pack("<Q", len(header)) + header + bytes(size))
    assert None is look(bytes(data)).problem
    data[offset : offset + 8] = mark
    assert ("safetensors", Trouble.POLYGLOT) == (look(bytes(data)).kind, look(bytes(data)).trouble)
    assert "hdf5" == look(b"\x01" + bytes(offset - 1) + mark + bytes(99)).kind


def test_compiled_python(tmp_path: Path) -> None:
    """As this interpreter compiles it."""
    (tmp_path / "a.py").write_text("x = 1\n")
    path = py_compile.compile(str(tmp_path / "a.py"), cfile=str(tmp_path / "a.pyc"))
    assert "pyc" == look(Path(str(path)).read_bytes()).kind
    path = py_compile.compile(zipimport.__file__, cfile=str(tmp_path / "zipimport.pyc"))  # it has the mark of archives
    found = look(Path(str(path)).read_bytes())
    assert ("pyc", None) == (found.kind, found.trouble)
    assert "pyc" == look(b"\x03\xf3\r\n" + bytes(4) + marshal.dumps(compile("1", "a", "eval"))).kind


BMP = struct.pack("<2sIIIIiiHHIIiiII", b"BM", 58, 0, 54, 40, 1, 1, 1, 24, 0, 4, 0, 0, 0, 0) + bytes(4)
ICO = struct.pack("<HHH4B2H2I", 0, 1, 1, 1, 1, 0, 0, 1, 24, 9, 22) + bytes(9)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"RIFF\x10\0\0\0WEBPVP8 " + bytes(20), "webp"),
        (BMP, "bmp"),
        (BMP[:-1], "unknown"),
        (b"BM is a company.\n", "text"),
        (ICO, "ico"),
        (ICO[:-1], "unknown"),
        (b"II*\0\x08\0\0\0\0\0\0\0\0\0", "tiff"),
        (b"MM\0*\0\0\0\x08\0\0\0\0\0\0", "tiff"),
        (b"II*\0\xff\0\0\0" + bytes(9), "unknown"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"></svg>', "svg"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- <p> -->\n<!DOCTYPE svg [<!ENTITY a "b">]>\n<s:svg\n/>', "svg"),
        (b"<p>no <svg></p>", "text"),
        (b"<!--" * 9, "text"),
        (b"\x1c\0\0\0TFL3" + bytes(40), "tflite"),
        (b"PAR1" + bytes(30) + b"\x09\0\0\0PAR1", "parquet"),
        (b"PAR1 is a word, and so is PAR1", "text"),
        (b"ARROW1\0\0" + bytes(30), "arrow"),
        ("﻿text".encode(), "text"),
        ("text".encode("utf-16"), "unknown"),
        ("Grüße".encode("latin-1"), "unknown"),
    ],
)
def test_kinds(data: bytes, kind: str) -> None:
    """By what must fit, whatever the name."""
    assert (kind, None) == (look(data).kind, look(data).problem)


def test_a_byte_order_mark_is_named() -> None:
    """It is a fact, not a fault: some readers of JSON refuse it, others do not see it."""
    for text, kind in ((b'{"a": 1}', "json"), (b"a", "text")):
        found = look(b"\xef\xbb\xbf" + text)
        assert (kind, None, {"byte_order_mark": 1}) == (found.kind, found.problem, found.facts)
        assert {} == look(text).facts


def test_comments_before_a_picture_cost_little() -> None:
    """Thousands of them are walked over once."""
    assert "text" == look(b"<!---->" * 200_000 + b"<p/>").kind
    assert "svg" == look(b"<!---->" * 5_000 + b"<svg/>").kind


def test_descriptions_of_terminals(tmp_path: Path) -> None:
    """They begin with small numbers, and some have a brace where a header would begin."""
    if shutil.which("tic") is None:
        pytest.skip("needs tic, of ncurses")
    source = "\n".join(
        f"ibcs2{n}|{'x' * n},\n\tcols#80, kf1=\\E[{n}~,\n\tcup=\\E[%i%p1%d;%p2%dH," for n in range(1, 40)
    )
    (tmp_path / "source").write_text(source + "\n")
    subprocess.run(["tic", "-o", tmp_path / "db", tmp_path / "source"], check=True, capture_output=True)
    written = [path for path in (tmp_path / "db").rglob("*") if path.is_file()]
    assert written
    for path in [*written, *Path("/usr/share/terminfo").glob("i/ibcs2"), *Path("/lib/terminfo").glob("*/*")]:
        data = path.read_bytes()
        assert ("unknown", None) == (look(data).kind, look(data).problem), path
    like = (b"\x1a\x01\x38\0\0\0\0\0{\x01\xc2\0" + bytes(range(97, 123)) * 40)[:1020]  # sizes of ibcs2 of ncurses-term
    assert ("unknown", None) == (look(like).kind, look(like).problem)


def test_messages_cut_anywhere() -> None:
    """Of protocol buffers: never an exception."""
    sentencepiece = pytest.importorskip("sentencepiece", reason="pip install '.[artefacts]'")
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["hello world"] * 9),
        model_writer=out,
        vocab_size=20,
        hard_vocab_limit=False,
        normalization_rule_name="identity",
        minloglevel=3,
    )
    data, rng = out.getvalue(), random.Random(1)
    for length in range(len(data)):
        look(data[:length])
    for _ in range(500):
        changed = bytearray(data)
        changed[rng.randrange(len(changed))] = rng.randrange(256)
        look(bytes(changed))
