"""Which GGUF files are sound."""

import struct

import pytest

from tests.diode.content.model_files import F32, Q4_0, U32, gguf, look, text


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
