"""Which safetensors files are sound."""

import random
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diode.content.examine import examine
from tests.counted import Counted
from tests.diode.content.model_files import GOOD, look, safetensors, tensor


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


@pytest.mark.long
def test_many_tensors_are_fine() -> None:
    """As large models have them."""
    tensors = {f"model.layers.{n}.weight": tensor("F16", [8], n * 16, n * 16 + 16) for n in range(50_000)}
    assert None is look(safetensors(tensors, bytes(800_000))).problem


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
