"""What a file is, by its content; what is sound; what is two things at once. Nothing raises, nothing is slurped."""

import io
import pickle
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diode.content.decision import decide
from diode.content.examine import Examined
from diode.content.remote_code import Named
from diode.content.rules import Rules
from diode.content.words import KINDS
from tests.diode.content.model_files import GOOD, Q4_0, gguf, look, safetensors, safetensors_of, tensor, text

# pickles and what hides them


class Evil:
    """What it does when it is unpickled does not matter here: it never is."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return print, ("unpickled",)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("value", [Evil(), {"a": [1, Evil()]}, {"weights": [0.5] * 50}, "text" * 9, [None] * 30])
@pytest.mark.parametrize("name", ["model.safetensors", "README.md", "weights.bin"])
def test_pickles_by_any_name(protocol: int, value: Any, name: str) -> None:
    """Whatever their protocol."""
    found = look(pickle.dumps(value, protocol), name)
    assert ("pickle", True) == (found.kind, "runs code" in str(found.problem))


def test_a_pickle_before_anything() -> None:
    """Loaders stop at its end and do not care for what follows."""
    for protocol in range(6):
        assert "pickle" in str(look(pickle.dumps(Evil(), protocol) + bytes(5000)).problem)


def torch_file(compression: int = zipfile.ZIP_STORED) -> bytes:
    """As torch.save lays it out."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        archive.writestr("model/data.pkl", pickle.dumps(Evil(), 2))
        archive.writestr("model/data/0", bytes(64))
    return out.getvalue()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors"])
def test_torch_files(name: str) -> None:
    """An archive with a pickle in it."""
    found = look(torch_file(), name)
    assert ("pytorch", True) == (found.kind, "runs code" in str(found.problem))


def test_a_zip_is_not_opened() -> None:
    """A bomb costs as much as its directory."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(64 << 20))
    found = look(out.getvalue())
    assert ("zip", None) == (found.kind, found.problem)


def test_polyglots() -> None:
    """A sound front, and an archive behind it that readers of archives find from the end."""
    front = safetensors(GOOD, bytes(22))
    for back in (torch_file(), torch_file(zipfile.ZIP_DEFLATED), torch_file() + b"trailing"):
        for whole in (front + back, b"A text.\n" + back, front[:-22] + back):
            assert None is not look(whole, "model.safetensors").problem
    inside = {"a": tensor("U8", [len(torch_file())], 0, len(torch_file()))}
    assert "archive" in str(look(safetensors(inside, torch_file())).problem)
    text = b'{"a": 1}\n'
    assert ("json", None) == (look(text).kind, look(text).problem)


def test_a_header_that_is_a_pickle() -> None:
    """The length and the header are at once opcodes: text that is swallowed, then a call."""
    header = b'{"__metadata__":{"a":"\nbuiltins\nprint\n"}}'
    for opcode in (b"V", b"c", b"S"):
        body = struct.pack("<Q", len(header))
        data = opcode + body[1:] + header + pickle.dumps(Evil(), 0)
        assert look(data).problem or look(data).kind == "unknown"


def npy(descr: str, version: int = 1, pad: int = 0) -> bytes:
    """An array of numpy of one type."""
    header = (" " * pad + f"{{'descr': {descr}, 'fortran_order': False, 'shape': (1,), }}\n").encode()
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(header)) + header


@pytest.mark.parametrize(
    "descr",
    [
        "'|O'",
        "'O'",
        "'O8'",
        "'|O8'",
        '"|O"',
        "'object'",
        "('|O',(2,))",
        "[('a]', 'O')]",
        "[('a', [('b', '|O')])]",
        "'\\x7cO'",
        "7",
    ],
)
def test_arrays_of_objects(descr: str) -> None:
    """Numpy loads them by unpickling, however they are spelled."""
    for data in (npy(descr), npy(descr, 2, 5000), npy(descr, 3)):
        assert "pickle" in str(look(data).problem)


@pytest.mark.parametrize(
    "descr", ["'<f4'", "'|b1'", "'|S12'", "'<U3'", "'<M8[ns]'", "[('a', '<i4'), ('b', '<f8', (3,))]"]
)
def test_arrays_of_numbers(descr: str) -> None:
    """They are plain."""
    assert ("npy", None) == (look(npy(descr)).kind, look(npy(descr)).problem)


@pytest.mark.parametrize(
    "front",
    [
        b"I1\n0" * 6000,
        b"\x80\x04" + b"(" * 10_050 + b"1" * 10_050,
        b"I0x1\n0",
        b"L0x1L\n0",
        "S'é'\n0".encode(),
        b"X" + struct.pack("<I", 1 << 20) + bytes(1 << 20) + b"0",
        b"I1\n0" * 300_000,
    ],
    ids=range(7),
)
def test_pickles_that_only_loaders_read(front: bytes) -> None:
    """They take what the standard library's own disassembler does not."""
    assert "pickle" in str(look(front + b"cos\ngetpid\n(tR.").problem)


def test_archives_whose_end_is_odd() -> None:
    """A comment that does not fit, a size that is elsewhere: readers of archives do not mind."""
    front, back = safetensors(GOOD, bytes(22)), bytearray(torch_file())
    back[-2:] = b"\xff\xff"
    assert "archive" in str(look(inside(bytes(back))).problem)
    end = len(back) - 22
    size = struct.unpack_from("<I", back, end + 12)[0]
    record = b"PK\x06\x06" + struct.pack("<Q", 44) + bytes(28) + struct.pack("<QQ", size, 0)
    locator = b"PK\x06\x07" + bytes(16)
    ending = bytearray(back[end:])
    struct.pack_into("<I", ending, 12, 0xFFFFFFFF)
    whole = bytes(back[:end]) + record + locator + bytes(ending)
    assert "archive" in str(look(inside(whole)).problem)
    assert "pytorch" == look(whole).kind
    assert None is look(front).problem


def inside(data: bytes) -> bytes:
    """As a tensor of a sound file."""
    return safetensors({"a": tensor("U8", [len(data)], 0, len(data))}, data)


@pytest.mark.long
def test_what_costs_too_much() -> None:
    """Millions of empty values take memory and time without being long."""
    assert "text" == look(b"[" + b"[[[]]]," * 2_200_000 + b"0]").kind
    assert "values" in str(look(safetensors_of(b'{"a":[' + b"[]," * 3_000_000 + b"0]}")).problem)
    words = struct.pack("<IQ", 8, 3_000_000) + bytes(24_000_000)
    assert "more than" in str(look(gguf([(b"t", 9, words)])).problem)


def test_pickles_behind_much_else() -> None:
    """Thousands of opcodes, or a text longer than is looked at, in front of the call."""
    call = b"cposix\ngetpid\n(tR."
    long = bytes(2 << 20)
    for front in (
        b"N0" * 5001,
        b"T" + struct.pack("<I", len(long)) + long + b"0",
        b"X" + struct.pack("<I", len(long)) + long + b"0",
    ):
        assert "pickle" in str(look(front + call).problem)
    for whole in (b"The quick brown fox. " * 100_000, b"Xylophones\n" * 200_000, b"Because.\n" * 200_000):
        assert ("text", None) == (look(whole).kind, look(whole).problem)


# everything else


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "empty"),
        (b"Hello.\nN. Smith\n", "text"),
        (b"N. Smith wrote it.", "text"),
        (b"bee.", "text"),
        (b"N.", "text"),
        (b"\x88.", "unknown"),
        ("Grüße\n".encode(), "text"),
        (b'{"a": [1, 2]}', "json"),
        (b" [1]", "json"),
        (b"{broken", "text"),
        (b'\xef\xbb\xbf{"a": [1]}', "json"),
        ('{"\x7f\x85\x9b": 1}'.encode(), "json"),
        ("{\x85".encode(), "unknown"),
        ("a\x9b31m".encode(), "unknown"),
        (b"\x00\x01\x02", "unknown"),
        (b"text\x00", "unknown"),
        (b"\xff\xfe\xfa", "unknown"),
        (b"\x7fELF" + bytes(60), "elf"),
        (b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0", "pe"),
        (b"#!/bin/sh\n", "script"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (bytes(257) + b"ustar\0", "tar"),
        (b"!<arch>\ndebian-binary   ", "deb"),
        (b"\x28\xb5\x2f\xfd" + bytes(9), "zstd"),
        (b"%PDF-1.7", "pdf"),
    ],
)
def test_kinds(data: bytes, kind: str) -> None:
    """By content, whatever the name."""
    found = look(data, "model.safetensors")
    assert (kind, None) == (found.kind, found.problem)


def test_policy() -> None:
    """None named: any."""

    def allowed(kind: str, types: list[str]) -> bool:
        return decide(Rules(types=tuple(types)), Examined(kind), "file", Named()).trouble is None

    assert (True, True, False) == (allowed("elf", []), allowed("gguf", ["gguf"]), allowed("elf", ["gguf"]))


SAMPLES = [
    safetensors(GOOD, bytes(22)),
    gguf([(b"t", 9, struct.pack("<IQ", 8, 2) + text(b"a") + text(b"bc"))], [(b"w", [32, 2], Q4_0, 0)], 36),
    torch_file(),
    pickle.dumps({"a": [1, Evil()]}, 4),
    b'{"a": [1, 2]}',
]


@pytest.mark.parametrize("sample", SAMPLES, ids=["safetensors", "gguf", "pytorch", "pickle", "json"])
def test_cut_anywhere(sample: bytes) -> None:
    """Never an exception, and a cut lint is never sound."""
    for length in range(len(sample)):
        found = look(sample[:length])
        assert found.kind not in ("safetensors", "gguf") or found.problem


@settings(max_examples=300)
@given(st.sampled_from(SAMPLES), st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=8))
def test_changed_anywhere(sample: bytes, changes: list[tuple[int, int]]) -> None:
    """Whatever it is then: an answer."""
    data = bytearray(sample)
    for place, value in changes:
        data[place % len(data)] = value
    look(bytes(data))


@given(st.binary(max_size=2000))
def test_anything(data: bytes) -> None:
    """Whatever it is: an answer."""
    look(data)


def test_kinds_are_those_of_the_page() -> None:
    """docs/content.md lists every kind that a channel may name."""
    page = (Path(__file__).parents[3] / "docs" / "content.md").read_text()
    listed = page.partition("## Kinds")[2].partition("A channel's `types`")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == KINDS
