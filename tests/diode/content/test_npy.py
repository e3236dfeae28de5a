"""Headers of numpy's arrays, as numpy itself reads and writes them."""

import io
import pickle
import random
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from diode.content import npy
from diode.content.examine import BUDGET_BYTES
from diode.content.reader import Reader
from diode.content.trouble import Trouble, UnsoundError


def is_plain(data: bytes) -> bool:
    """Whether no pickle is in it."""
    return npy.is_plain(Reader(io.BytesIO(data), len(data), BUDGET_BYTES))


def saved(array: Any) -> bytes:
    """As numpy saves it."""
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of versions and of metadata that is lost
        np.save(out, array, allow_pickle=True)
    return out.getvalue()


def header(text: str, version: int = 1, encoding: str = "latin-1") -> bytes:
    """An array whose header says this, and no data."""
    body = text.encode(encoding)
    return b"\x93NUMPY" + bytes([version, 0]) + len(body).to_bytes(2 if version == 1 else 4, "little") + body


def descr(of: str, shape: str = "(0,)") -> str:
    """A header with this type."""
    return f"{{'descr': {of}, 'fortran_order': False, 'shape': {shape}, }}\n"


TYPES = [
    *("?", "i1", "<u2", ">i4", "u8", "f2", "f4", "f8", "f16", "c8", "c16", "c32", "S5", "S0", "U3", "U0", "V7"),
    *("M8[ns]", "M8[25us]", "M8[D]", "M8", "m8[s]", "m8[7h]", "m8"),
    [("a", "<i4"), ("b", "<f8", (3,)), ("c", [("d", "U2"), ("e", "?", (2, 2))])],
    [(("title", "name"), "i4"), ("é", "f4")],
    {"names": ["a", "b"], "formats": ["i1", "f8"], "offsets": [3, 16], "itemsize": 40},
    [],
]


def test_the_number_of_arrays_is_bounded() -> None:
    """A file of tiny ones takes no time without end."""
    with pytest.raises(UnsoundError) as caught:
        is_plain(header(descr("'<f4'")) * (npy.MAX_ARRAYS + 1))
    assert Trouble.BUDGET is caught.value.trouble


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_what_numpy_saves(dtype: Any) -> None:
    """Every type that is no object, with padding, titles and names of other scripts."""
    for shape in ((), (0,), (3,), (2, 0, 3)):
        assert is_plain(saved(np.zeros(shape, dtype)))
    assert is_plain(saved(np.zeros((4, 5), dtype, order="F")))
    assert is_plain(saved(np.zeros(3, [("日本", "f4")])))  # of version 3


@settings(max_examples=60)
@given(
    arrays.scalar_dtypes() | arrays.array_dtypes(max_size=3) | arrays.nested_dtypes(max_itemsize=200),
    arrays.array_shapes(max_dims=3, min_side=0, max_side=3),
)
def test_generated_types(dtype: Any, shape: tuple[int, ...]) -> None:
    """Fields in fields in arrays; and one object among them is found."""
    assert is_plain(saved(np.zeros(shape, dtype)))
    assert not is_plain(saved(np.zeros(shape, [("a", dtype), ("b", "O")])))


def test_objects() -> None:
    """In any form that numpy saves: objects, fields of objects, texts of its newer type, which are a pickle too."""
    for dtype in ("O", [("a", "i4"), ("b", "O")], [("a", [("b", "O", (2,))])], np.dtypes.StringDType()):
        assert not is_plain(saved(np.zeros(2, dtype)))


@pytest.mark.parametrize("version", [1, 2])
def test_headers_of_python_2(version: int) -> None:
    """Latin-1, and long numbers with an L behind."""
    for text in (descr("[('caf\u00e9', '<f4')]"), descr("'<f4'", "(0L,)"), descr("[('a', '<f4', (3L,))]", "(0L, 12L)")):
        data = header(text, version)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            np.load(io.BytesIO(data))
        assert is_plain(data)
    assert not is_plain(header(descr("'|O'", "(3L,)"), version))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_behind_an_array(protocol: int) -> None:
    """What is read next from the same handle is loaded by its first bytes, whatever it is."""
    assert not is_plain(saved(np.arange(3)) * 2 + pickle.dumps(slice(3), protocol) + b"more")
    assert is_plain(saved(np.arange(3)) + random.Random(protocol).randbytes(500))


def test_headers_of_version_3() -> None:
    """UTF-8, and no L."""
    assert is_plain(header(descr("[('日', '<f4')]"), 3, "utf-8"))
    assert not is_plain(header(descr("[('\u00e9', '<f4')]"), 3))
    assert not is_plain(header(descr("'<f4'", "(0L,)"), 3))


@pytest.mark.parametrize(
    "text",
    [
        descr("'object'"),
        descr("'f4,O'"),
        descr("('O', (2,))"),
        descr("{'names': ['a'], 'formats': ['O']}"),
        descr("[('a', ('O', 2))]"),
        descr("'<f4'", "[1]"),
        descr("'<f4'", "(-1,)"),
        "{'descr': '<f4', 'descr': 'O', 'fortran_order': False, 'shape': ()}",
        "{'descr': '<f4'}",
        "['descr']",
        "(" * 5000,
        "",
    ],
)
def test_other_headers(text: str) -> None:
    """Objects however they are spelled, and what numpy does not read."""
    for version in (1, 2, 3):
        assert not is_plain(header(text, version))


def test_arrays_that_follow_each_other() -> None:
    """Numpy reads them one by one from one handle."""
    plain, objects = saved(np.arange(5)), saved(np.array([{}]))
    assert is_plain(plain * 3)
    assert is_plain(plain + b"something else")
    assert not is_plain(plain * 2 + objects)
    assert is_plain(header(descr("'<f8'", f"({1 << 62}, {1 << 62})")) + objects)  # far behind the file's end
    assert not is_plain(saved(np.zeros(3, [("a", "U3"), ("b", "M8[s]", 2), ("c", "?")])) + objects)


@given(st.binary(max_size=300))
def test_anything(data: bytes) -> None:
    """An answer, whatever it is."""
    is_plain(b"\x93NUMPY" + data)
    is_plain(b"\x93NUMPY\x01\x00" + len(data).to_bytes(2, "little") + data)
