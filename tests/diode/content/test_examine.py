"""What a file is, by its content; what is sound; what is two things at once. Nothing raises, nothing is slurped."""

import io
import json
import pickle
import random
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diode.content.examine import BUDGET_BYTES, Examined, examine
from diode.content.kinds import KINDS
from diode.content.remote_code import Named
from diode.content.rules import Rules, decide
from tests.counted import Counted


def look(data: bytes, path: str = "file") -> Examined:
    """Examine bytes; the budget holds."""
    file = Counted(data)
    found = examine(file, len(data), path)
    assert file.count <= BUDGET_BYTES + (4 << 20)
    return found


# safetensors


def safetensors(tensors: dict[str, Any], data: bytes, pad: int = 0) -> bytes:
    """A file with this header and these data."""
    header = json.dumps(tensors).encode() + b" " * pad
    return struct.pack("<Q", len(header)) + header + data


def tensor(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, Any]:
    """One tensor of a header."""
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


GOOD = {"__metadata__": {"format": "pt"}, "a": tensor("F32", [2, 2], 0, 16), "b": tensor("BF16", [3], 16, 22)}


def test_sound_safetensors() -> None:
    """Padded by spaces, with metadata, scalars and empty tensors."""
    found = look(safetensors(GOOD, bytes(22), pad=7))
    assert ("safetensors", None, 2) == (found.kind, found.problem, found.facts["tensors"])
    more = {"s": tensor("I64", [], 0, 8), "e": tensor("F16", [0, 5], 8, 8), "q": tensor("F4", [4], 8, 10)}
    assert None is look(safetensors(more, bytes(10))).problem
    assert None is look(safetensors({}, b"")).problem


@pytest.mark.parametrize(
    ("tensors", "size", "what"),
    [
        ({"a": tensor("F32", [2], 0, 8), "b": tensor("F32", [2], 4, 12)}, 12, "overlaps"),
        ({"a": tensor("F32", [2], 0, 8), "b": tensor("F32", [2], 0, 8)}, 8, "overlaps"),
        ({"a": tensor("F32", [2], 0, 8), "b": tensor("F32", [2], 12, 20)}, 20, "hole"),
        ({"a": tensor("F32", [2], 4, 12)}, 12, "hole"),
        ({"a": tensor("F32", [2], 0, 8)}, 9, "follow the header"),
        ({"a": tensor("F32", [2], 0, 8)}, 7, "follow the header"),
        ({"a": tensor("F32", [3], 0, 8)}, 8, "shape needs"),
        ({"a": tensor("F32", [2], 8, 0)}, 8, "shape needs"),
        ({"a": tensor("F99", [2], 0, 8)}, 8, "unknown type"),
        ({"a": tensor("F32", [1 << 62, 1 << 62], 0, 0)}, 0, "impossible"),
        ({"a": tensor("F32", [-2], 0, 8)}, 8, "no counts"),
        ({"a": tensor("F32", [True], 0, 4)}, 4, "no counts"),
        ({"a": tensor("F32", [2.0], 0, 8)}, 8, "no counts"),  # type: ignore[list-item]
        ({"a": tensor("F4", [3], 0, 1)}, 1, "impossible"),
        ({"a": {**tensor("F32", [2], 0, 8), "more": 1}}, 8, "exactly"),
        ({"a": [1]}, 0, "exactly"),
        ({"__metadata__": {"a": 1}}, 0, "text to text"),
        ({"__metadata__": "a"}, 0, "text to text"),
    ],
)
def test_unsound_safetensors(tensors: dict[str, Any], size: int, what: str) -> None:
    """Each with its reason."""
    found = look(safetensors(tensors, bytes(size)))
    assert ("safetensors", True) == (found.kind, what in str(found.problem)), found


@pytest.mark.parametrize(
    ("header", "what"),
    [
        (
            b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
            "twice",
        ),
        (b'{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}', "twice"),
        (b'{"a":{"dtype":"U8","shape":[NaN],"data_offsets":[0,1]}}', "no JSON"),
        (b"{}\n", "padded by spaces"),
        (b" {}", "brace"),
        (b"\xef\xbb\xbf{}", "brace"),
        ("\ufeff{}".encode("utf-16-le"), "brace"),
        (b"{}\0\0", "no JSON"),
        (b'{"a\n":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', "no JSON"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "no JSON"),
        (b'{"a":' + b"1" * 5000 + b"}", "no JSON"),
        (b'{"\\ud800":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', "half a character"),
    ],
)
def test_headers(header: bytes, what: str) -> None:
    """What JSON lets pass and a loader may read otherwise."""
    found = look(struct.pack("<Q", len(header)) + header + b"\0")
    assert ("safetensors", True) == (found.kind, what in str(found.problem)), found


@pytest.mark.parametrize("header", [b"{" * 100_000, b'{"a":\xff}', b'{}  "', b"{\0\x02", b"[]", b"{} {}", b'{"a": }'])
def test_what_no_loader_takes_for_a_header(header: bytes) -> None:
    """It is no safetensors: a terminal's description may begin with a small number and a brace as well."""
    found = look(struct.pack("<Q", len(header)) + header + b"\0")
    assert ("unknown", None) == (found.kind, found.problem)


@pytest.mark.parametrize("magic", [b"#!", b"BZh", b"\x1f\x8b", b"\xff\xd8\xff", b"PK\x03\x04"])
def test_a_header_whose_length_spells_a_magic(magic: bytes) -> None:
    """Loaders read the length; so it is safetensors, or refused where it is too long."""
    length = int.from_bytes(magic, "little")
    found = look(magic.ljust(8, b"\0") + b"{}" + b" " * (length - 2))
    assert ("safetensors", length > 16 << 20) == (found.kind, found.problem is not None)


@pytest.mark.parametrize("length", [100_000_000, (1 << 63) - 1, 1 << 20])
def test_a_lying_header_length(length: int) -> None:
    """Larger than allowed, or than the file."""
    data = struct.pack("<Q", length) + b"{}" + bytes(100)
    found = look(data)
    assert found.kind != "safetensors" or found.problem


def test_a_header_of_100_mb_is_not_read() -> None:
    """It is refused by its length alone."""
    data = struct.pack("<Q", 100 << 20) + b'{"' + b"a" * (100 << 20)
    file = Counted(data)
    found = examine(file, len(data), "big")
    assert (True, True) == ("more than" in str(found.problem), file.count < 4 << 20)


def test_many_tensors_are_fine() -> None:
    """As large models have them."""
    tensors = {f"model.layers.{n}.weight": tensor("F16", [8], n * 16, n * 16 + 16) for n in range(50_000)}
    assert None is look(safetensors(tensors, bytes(800_000))).problem


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


def safetensors_of(header: bytes) -> bytes:
    """A file with this header."""
    return struct.pack("<Q", len(header)) + header


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


# GGUF


def text(value: bytes) -> bytes:
    """As GGUF writes it."""
    return struct.pack("<Q", len(value)) + value


def gguf(
    pairs: list[tuple[bytes, int, bytes]] = [],  # noqa: B006 - never changed
    tensors: list[tuple[bytes, list[int], int, int]] = [],  # noqa: B006
    data: int = 0,
    *,
    version: int = 3,
    counts: tuple[int, int] | None = None,
    alignment: int = 32,
) -> bytes:
    """A file with these keys and tensors, and so many bytes of data."""
    n_tensors, n_pairs = counts or (len(tensors), len(pairs))
    out = b"GGUF" + struct.pack("<IQQ", version, n_tensors, n_pairs)
    for key, kind, value in pairs:
        out += text(key) + struct.pack("<I", kind) + value
    for name, shape, kind, offset in tensors:
        out += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)
    return out + bytes(-len(out) % alignment) + bytes(data)


U32 = struct.Struct("<I").pack
Q4_0, F32 = 2, 0


def test_sound_gguf() -> None:
    """Keys of every type, arrays of arrays, quantised tensors, an alignment of its own."""
    words = struct.pack("<IQ", 8, 2) + text(b"a") + text(b"bc")
    nested = struct.pack("<IQ", 9, 1) + struct.pack("<IQ", 4, 2) + U32(1) + U32(2)
    pairs = [
        (b"general.alignment", 4, U32(64)),
        (b"t", 9, words),
        (b"n", 9, nested),
        (b"b", 7, b"\1"),
        (b"s", 8, text(b"x")),
    ]
    pairs += [(b"%d" % kind, kind, bytes(width)) for kind, width in ((0, 1), (3, 2), (6, 4), (10, 8), (12, 8))]
    tensors = [(b"w", [32, 2], Q4_0, 0), (b"v", [3], F32, 64)]
    for version in (2, 3):
        found = look(gguf(pairs, tensors, 64 + 64, version=version, alignment=64))
        assert ("gguf", None) == (found.kind, found.problem)
    assert None is look(gguf()).problem


@pytest.mark.parametrize(("length", "long"), [(63, None), (64, 1), (127, 1)])
def test_long_names_are_told(length: int, long: int | None) -> None:
    """Loaders that are built as usual take 63 bytes, others 127."""
    found = look(gguf(tensors=[(b"w" * length, [4], F32, 0)], data=16))
    assert (None, long) == (found.problem, found.facts.get("long_names"))


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (gguf(version=1), "version"),
        (gguf(version=4), "version"),
        (gguf(version=3 << 24), "big-endian"),
        (gguf(counts=(1 << 60, 0)), "more than"),
        (gguf(counts=(0, 1 << 60)), "more than"),
        (gguf(counts=(1, 0)), "ends early"),
        (gguf([(b"a", 4, U32(1)), (b"a", 4, U32(1))]), "twice"),
        (gguf([(b"a", 13, b"")]), "type 13"),
        (gguf([(b"a", 7, b"\2")]), "neither"),
        (gguf([(b"a", 8, struct.pack("<Q", 1 << 60))]), "more than"),
        (gguf([(b"a", 9, struct.pack("<IQ", 4, 1 << 60))]), "array"),
        (gguf([(b"a", 9, struct.pack("<IQ", 9, 1) * 8 + struct.pack("<IQ", 0, 0))]), "deep"),
        (gguf([(b"general.alignment", 4, U32(0))]), "power of two"),
        (gguf([(b"general.alignment", 4, U32(24))]), "power of two"),
        (gguf([(b"general.alignment", 4, U32(1 << 31))]), "power of two"),
        (gguf([(b"general.alignment", 10, bytes(8))]), "32-bit"),
        (gguf(tensors=[(b"w", [4], F32, 0)] * 2, data=32), "twice"),
        (gguf(tensors=[(b"w" * 128, [4], F32, 0)], data=32), "more than"),
        (gguf(tensors=[(b"w\0v", [4], F32, 0)], data=32), "where this name ends"),
        (gguf(tensors=[(b"w\xff", [4], F32, 0)], data=32), "where this name ends"),
        (gguf(tensors=[(b"w", [32], 9, 0)], data=40), "no file has"),
        (gguf(tensors=[(b"w", [4] * 5, F32, 0)], data=32), "dimensions"),
        (gguf(tensors=[(b"w", [], 2, 0)], data=32), "impossible shape"),
        (gguf(tensors=[(b"w", [1 << 40, 1 << 40], F32, 0)], data=32), "impossible"),
        (gguf(tensors=[(b"w", [0], F32, 0)], data=32), "impossible"),
        (gguf(tensors=[(b"w", [31], Q4_0, 0)], data=32), "impossible"),
        (gguf(tensors=[(b"w", [4], 99, 0)], data=32), "not known"),
        (gguf(tensors=[(b"w", [4], F32, 8)], data=32), "not aligned"),
        (gguf(tensors=[(b"w", [4], F32, 1 << 62)], data=32), "not in the file"),
        (gguf(tensors=[(b"w", [16], F32, 0), (b"v", [4], F32, 32)], data=64), "overlaps"),
        (gguf(tensors=[(b"w", [8], F32, 0)], data=16), "tensors end"),
        (gguf(tensors=[(b"w", [8], F32, 0)], data=96), "follow its last"),
    ],
)
def test_unsound_gguf(data: bytes, what: str) -> None:
    """Each with its reason."""
    found = look(data)
    assert ("gguf", True) == (found.kind, what in str(found.problem)), found


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


@settings(max_examples=300, deadline=None)
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


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(st.sampled_from(["F32", "F16", "U8", "I64"]), st.lists(st.integers(0, 5), max_size=3)), max_size=9
    ),
    st.integers(),
)
def test_generated_safetensors_are_sound(parts: list[tuple[str, list[int]]], seed: int) -> None:
    """In any order of names."""
    tensors, end = {}, 0
    for number, (dtype, shape) in enumerate(parts):
        size = {"F32": 4, "F16": 2, "U8": 1, "I64": 8}[dtype]
        for length in shape:
            size *= length
        tensors[f"t{number}"] = tensor(dtype, shape, end, end + size)
        end += size
    names = list(tensors)
    random.Random(seed).shuffle(names)
    assert None is look(safetensors({name: tensors[name] for name in names}, bytes(end))).problem


def test_kinds_are_those_of_the_page() -> None:
    """docs/content.md lists every kind that a channel may name."""
    page = (Path(__file__).parents[3] / "docs" / "content.md").read_text()
    listed = page.partition("## Kinds")[2].partition("A channel's `types`")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == KINDS
