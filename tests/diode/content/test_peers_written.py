"""What the trade's own libraries write plainly is taken for what it is: every type of data that they know."""

import io
import json
import struct
from collections.abc import Callable
from operator import methodcaller
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diode.content.examine import Examined, examine
from diode.content.gguf import BLOCKS, USUAL_NAME_BYTES
from diode.content.safetensors import BITS

WITHOUT = "pip install '.[artefacts]'"


def look(data: bytes, path: str = "model.bin") -> Examined:
    """As it comes from a disk."""
    return examine(io.BytesIO(data), len(data), path)


def look_at(path: Path) -> Examined:
    """A file that a library wrote."""
    return look(path.read_bytes(), path.name)


def test_safetensors_by_its_own_library(tmp_path: Path) -> None:
    """Scalars and empty tensors included, and every type that numpy has."""
    library = pytest.importorskip("safetensors.numpy", reason=WITHOUT)
    arrays = {"a": np.ones((4, 5), np.float32), "b": np.zeros((0, 3), np.float16), "c": np.array(3.0)}
    arrays |= {f"of {code}": np.ones(6, code) for code in "?bBhHiIlLefd"} | {"complex": np.ones(3, np.complex64)}
    library.save_file(arrays, tmp_path / "x", metadata={"format": "np", "ü": "\x7f"})
    found = look_at(tmp_path / "x")
    assert ("safetensors", None, len(arrays)) == (found.kind, found.problem, found.facts["tensors"])


def test_types_of_safetensors_are_those_of_its_library() -> None:
    """Each with so many bits; the library names them all when it meets one that it does not know."""
    deserialize = pytest.importorskip("safetensors", reason=WITHOUT).deserialize
    with pytest.raises(Exception, match="unknown variant") as raised:
        deserialize(of_safetensors("F99", 8))
    known = str(raised.value).partition("expected one of ")[2].replace("`", "").split(" at line")[0].split(", ")
    assert set(BITS) == set(known)
    for dtype, bits in BITS.items():
        whole = of_safetensors(dtype, bits)
        assert dtype == deserialize(whole)[0][1]["dtype"]
        assert ("safetensors", None) == (look(whole).kind, look(whole).problem)


def of_safetensors(dtype: str, size: int) -> bytes:
    """Eight elements of a type, of so many bytes."""
    header = json.dumps({"a": {"dtype": dtype, "shape": [8], "data_offsets": [0, size]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(size)


def of_gguf(path: Path, fill: Callable[[Any], None]) -> Path:
    """What the library writes of it."""
    library = pytest.importorskip("gguf", reason=WITHOUT)
    writer = library.GGUFWriter(path, "llama")
    fill(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_gguf_by_its_own_library(tmp_path: Path) -> None:
    """Keys of every kind, an alignment of its own, tensors of every type, one name that is long."""
    library = pytest.importorskip("gguf", reason=WITHOUT)
    in_memory_only = {library.GGMLQuantizationType.Q8_1}
    types = [kind for kind in library.GGMLQuantizationType if kind not in in_memory_only]

    def fill(writer: Any) -> None:
        writer.add_custom_alignment(64)
        writer.add_array("words", ["a", "b"])
        writer.add_array("numbers", [1.5, 2.5])
        writer.add_array("flags", [True, False])
        writer.add_bool("flag", True)
        for width in (8, 16, 32, 64):
            getattr(writer, f"add_uint{width}")(f"u{width}", 7)
            getattr(writer, f"add_int{width}")(f"i{width}", -7)
        writer.add_float32("f32", 0.5)
        writer.add_float64("f64", 0.5)
        for kind in types:
            _, block_bytes = library.GGML_QUANT_SIZES[kind]
            writer.add_tensor(f"of {kind.name}", np.zeros((2, 3 * block_bytes), np.uint8), raw_dtype=kind)
        writer.add_tensor("w" * (USUAL_NAME_BYTES + 1), np.ones((3, 5), np.float16))

    path = of_gguf(tmp_path / "x", fill)
    found = look_at(path)
    assert ("gguf", None, len(types) + 1) == (found.kind, found.problem, found.facts["tensors"])
    assert 1 == found.facts["long_names"]
    assert len(types) + 1 == len(library.GGUFReader(path).tensors)


def test_types_of_gguf_are_those_of_its_library() -> None:
    """And so are the sizes of their blocks. Of Q8_1 the two reference loaders say different ones; no file has it."""
    library = pytest.importorskip("gguf", reason=WITHOUT)
    theirs = {int(kind): size for kind, size in library.constants.GGML_QUANT_SIZES.items()}
    theirs.pop(int(library.GGMLQuantizationType.Q8_1))
    assert theirs == BLOCKS


def test_a_single_number_of_gguf(tmp_path: Path) -> None:
    """It has no dimensions, and its loader takes it so."""
    path = of_gguf(tmp_path / "x", lambda writer: writer.add_tensor("scale", np.array(3.0, np.float32)))
    found = look_at(path)
    assert ("gguf", None, 1) == (found.kind, found.problem, found.facts["tensors"])


def test_every_file_type_of_gguf(tmp_path: Path) -> None:
    """It is a number among the keys."""
    library = pytest.importorskip("gguf", reason=WITHOUT)
    for number, kind in enumerate(library.LlamaFileType):
        path = of_gguf(tmp_path / f"{number}", methodcaller("add_file_type", kind))
        assert ("gguf", None) == (look_at(path).kind, look_at(path).problem)


@pytest.mark.parametrize("code", "?bBhHiIlLefdFDSU")
def test_arrays_of_numpy(code: str) -> None:
    """Alone, and several in an archive."""
    array = np.zeros(3, f"{code}4" if code in "SU" else code)
    for save, kind in ((np.save, "npy"), (np.savez, "zip"), (np.savez_compressed, "zip")):
        out = io.BytesIO()
        save(out, array)
        found = look(out.getvalue())
        assert (kind, None) == (found.kind, found.problem)


def test_records_and_dates_of_numpy() -> None:
    """They have fixed widths as well."""
    for array in (np.zeros(2, [("a", "<i4"), ("b", "<f8", (3,))]), np.zeros(2, "M8[ns]"), np.zeros(2, "m8[25s]")):
        out = io.BytesIO()
        np.save(out, array)
        assert ("npy", None) == (look(out.getvalue()).kind, look(out.getvalue()).problem)


def test_models_of_onnx() -> None:
    """With tensors of every type, in their own bytes and in fields; with functions, and graphs within nodes."""
    onnx = pytest.importorskip("onnx", reason=WITHOUT)
    tensors = []
    for name, kind in onnx.TensorProto.DataType.items():
        if name not in ("UNDEFINED", "STRING"):
            tensors.append(onnx.TensorProto(name=name, data_type=kind, dims=[8], raw_data=bytes(128)))
    tensors.append(onnx.helper.make_tensor("words", onnx.TensorProto.STRING, [2], [b"a", b"b"]))
    tensors.append(onnx.helper.make_tensor("floats", onnx.TensorProto.FLOAT, [2], [0.5, 1.5]))
    value = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [2])
    inner = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["floats"], ["y"])], "inner", [], [value])
    branch = onnx.helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    graph = onnx.helper.make_graph([branch], "outer", [], [value], tensors)
    function = onnx.helper.make_function(
        "own", "f", ["x"], ["y"], [onnx.helper.make_node("Identity", ["x"], ["y"])], [onnx.helper.make_opsetid("", 20)]
    )
    model = onnx.helper.make_model(graph, functions=[function])
    found = look(model.SerializeToString())
    assert ("onnx", None, 4, len(tensors)) == (
        found.kind,
        found.problem,
        found.facts["nodes"],
        found.facts["tensors"],
    )


def test_models_of_onnx_with_data_beside_them(tmp_path: Path) -> None:
    """As the library splits large ones; it names the files."""
    onnx = pytest.importorskip("onnx", reason=WITHOUT)
    data = onnx.numpy_helper.from_array(np.ones((64, 64), np.float32), "w")
    value = onnx.helper.make_tensor_value_info("w", onnx.TensorProto.FLOAT, [64, 64])
    model = onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [value], [data]))
    (tmp_path / "weights").mkdir()
    onnx.save_model(model, tmp_path / "x.onnx", save_as_external_data=True, location="weights/x.data")
    found = look_at(tmp_path / "x.onnx")
    assert ("onnx", None, 1) == (found.kind, found.problem, found.facts["external"])


@pytest.mark.parametrize("model_type", ["bpe", "unigram", "char", "word"])
def test_models_of_sentencepiece(model_type: str) -> None:
    """Trained on the spot."""
    library = pytest.importorskip("sentencepiece", reason=WITHOUT)
    lines = ["hello world, this is a test", "the quick brown fox jumps over it", "grüße an alle"] * 20
    out = io.BytesIO()
    library.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=out,
        vocab_size=40,
        hard_vocab_limit=False,
        model_type=model_type,
        minloglevel=3,
    )
    loaded = library.SentencePieceProcessor(model_proto=out.getvalue())
    found = look(out.getvalue(), "tokenizer.model")
    assert ("sentencepiece", None, loaded.get_piece_size()) == (found.kind, found.problem, found.facts["pieces"])


def test_what_a_repository_of_hugging_face_has_besides(tmp_path: Path) -> None:
    """Its card, its settings, its index of shards, its lists: texts and JSON, each as its library writes it."""
    hub = pytest.importorskip("huggingface_hub", reason=WITHOUT)
    data = hub.ModelCardData(language="en", license="mit", model_name="Grüße")
    card = hub.ModelCard(f"---\n{data.to_yaml()}\n---\n# Grüße\n")
    card.save(tmp_path / "README.md")
    files = {
        "tokenizer.json": json.dumps({"model": {"vocab": {chr(n): n for n in range(32, 0x2FF)}}}, ensure_ascii=False),
        "merges.txt": "#version: 0.2\nĠ t\nĠ a\nh e\ni n\n",
        "vocab.txt": "[PAD]\n[UNK]\n##s\n.\nc\n",
        "qwen.tiktoken": "IQ== 0\nIg== 1\nIw== 2\n",
        "generation_config.json": "{\n}\n",
        ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / ".lock").touch()
    for path in tmp_path.iterdir():
        kind = {".json": "json", ".lock": "empty"}.get(path.suffix or path.name, "text")
        assert (kind, None) == (look_at(path).kind, look_at(path).problem), path.name
