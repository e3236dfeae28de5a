"""Small files to begin with, each by its own library: what is installed of the extra `artefacts`, and Python's own."""

import bz2
import functools
import importlib
import io
import json
import lzma
import pickle
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

REAL: Final = Path(__file__).parents[1] / "vectors" / "artefacts"  # by tools that may not be here
MAX_BYTES: Final = 32 << 10


class _Calls:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return print, ("unpickled",)


class _HasState:
    def __init__(self) -> None:
        self.a = 1


@functools.cache
def by_format() -> dict[str, list[bytes]]:
    """Files of each format; a format whose library is not installed is left out."""
    files = {"npy": _npy(), "pickle": _pickle(), "zip": _zip(), "tar": _tar(), "json": _json()}
    for name, module, write in (
        ("safetensors", "safetensors.numpy", _safetensors),
        ("gguf", "gguf", _gguf),
        ("onnx", "onnx", _onnx),
        ("sentencepiece", "sentencepiece", _sentencepiece),
    ):
        try:
            files[name] = write(importlib.import_module(module))
        except ImportError:
            continue
    if REAL.is_dir():
        real = [path.read_bytes() for path in sorted(REAL.iterdir()) if path.suffix not in (".md", "")]
        files["pickle"] += [data for data in real if len(data) <= MAX_BYTES and not data.startswith(b"PK")]
        files["zip"] += [data for data in real if len(data) <= MAX_BYTES and data.startswith(b"PK")]
    return files


def _safetensors(library: Any) -> list[bytes]:
    arrays = {"a": np.ones((2, 3), np.float32), "b": np.zeros((0, 3), np.float16), "c": np.array(3, np.int64)}
    plain = {"a": np.arange(4, dtype=np.uint8), "b": np.arange(2, dtype=np.int16)}
    bare = b'{"a":["U8",[1],[0,1]]}'
    return [
        library.save(arrays, {"format": "pt", "note": "é"}),
        library.save(plain),
        library.save({}),
        len(bare).to_bytes(8, "little") + bare + b"\0",
    ]


def _gguf(library: Any) -> list[bytes]:
    files = []
    for alignment in (32, 64):
        with tempfile.TemporaryDirectory(prefix="diode-fuzz-") as folder:
            path = Path(folder) / "x"
            writer = library.GGUFWriter(path, "llama")
            writer.add_custom_alignment(alignment)
            writer.add_array("words", ["a", "bc"])
            writer.add_array("numbers", [1, 2, 3])
            writer.add_bool("flag", True)
            writer.add_tensor("w", np.ones((4, 32), np.float32))
            writer.add_tensor("v", np.ones((3, 5), np.float16))
            writer.add_tensor("q", np.zeros((2, 36), np.uint8), raw_dtype=library.GGMLQuantizationType.Q4_0)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
            writer.close()
            files.append(path.read_bytes())
    return files


def _npy() -> list[bytes]:
    arrays = [np.arange(4), np.zeros(2, [("a", "<i4"), ("b", "<f8", (3,))]), np.array("é"), np.array([{}, 1], object)]
    files = []
    for array in arrays:
        for version in ((1, 0), (2, 0), (3, 0)):
            out = io.BytesIO()
            np.lib.format.write_array(out, array, version)
            files.append(out.getvalue())
    return files


def _pickle() -> list[bytes]:
    values = [_Calls(), {"a": [1, _Calls()]}, _HasState(), {"w": [0.5] * 9}, "text" * 9, np.arange(4), [None, 1 << 90]]
    return [pickle.dumps(value, protocol) for value in values for protocol in range(6)]


def _zip() -> list[bytes]:
    files = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as archive:
            archive.writestr("a.txt", b"hello " * 9)
            archive.writestr("b/c.json", b'{"a": 1}')
            archive.comment = b"a comment"
        files.append(out.getvalue())
    for save in (np.savez, np.savez_compressed):
        out = io.BytesIO()
        save(out, a=np.arange(4), b=np.ones(2))
        files.append(out.getvalue())
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, archive.open("big", "w", force_zip64=True) as file:
        file.write(b"x")
    return [*files, out.getvalue()]


def _tar() -> list[bytes]:
    files = []
    for layout in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=layout) as archive:
            info = tarfile.TarInfo("é/a.txt")
            info.size = 5
            archive.addfile(info, io.BytesIO(b"hello"))
        files.append(out.getvalue())
    return [*files, zlib.compress(b"hello " * 9), bz2.compress(b"hello"), lzma.compress(b"hello")]


def _json() -> list[bytes]:
    config = {"architectures": ["X"], "auto_map": {"AutoModel": "modeling.X"}, "eps": 1e-5, "n": None, "é": ["\x7f"]}
    return [
        json.dumps(config).encode(),
        json.dumps(config, ensure_ascii=False, indent=2).encode(),
        b"\xef\xbb\xbf" + json.dumps(config).encode(),
        json.dumps([1, [2, [3]]]).encode("utf-16"),
        b'<?xml version="1.0"?><!-- a --><svg xmlns="http://www.w3.org/2000/svg"/>',
        b"#version: 0.2\nt h\nc a\n. .\n",
    ]


def _onnx(library: Any) -> list[bytes]:
    helper = library.helper
    value = helper.make_tensor_value_info("y", library.TensorProto.FLOAT, [2])
    inside = helper.make_tensor("w", library.TensorProto.FLOAT, [2], [0.5, 1.5])
    files = []
    for location in ("w.bin", "weights/w.bin", "../w.bin", "/etc/passwd"):
        beside = library.TensorProto(name="v", data_type=1, dims=[2], data_location=1)
        beside.external_data.add(key="location", value=location)
        beside.external_data.add(key="length", value="8")
        node = helper.make_node("Constant", [], ["y"], value=beside)
        graph = helper.make_graph([node], "g", [], [value], [inside, beside])
        files.append(helper.make_model(graph).SerializeToString())
    return files


def _sentencepiece(library: Any) -> list[bytes]:
    out = io.BytesIO()
    library.SentencePieceTrainer.train(
        sentence_iterator=iter(["hello world", "grüße"] * 9),
        model_writer=out,
        vocab_size=25,
        hard_vocab_limit=False,
        normalization_rule_name="identity",
        minloglevel=3,
    )
    return [out.getvalue()]
