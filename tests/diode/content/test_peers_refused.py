"""What a loader of the trade would run when it opens a file is refused; the files are written by their own tools."""

import io
import subprocess
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from diode.content.examine import examine
from diode.content.trouble import Trouble
from tests.needs import SYSTEM_PYTHON, need

WITHOUT: Final = "pip install '.[artefacts]'"
TORCH: Final = """
import torch
class Net(torch.nn.Module):
    def forward(self, x):
        return x + 1
torch.save({"w": torch.zeros(2)}, "new.pt")
torch.save({"w": torch.zeros(2)}, "old.pt", _use_new_zipfile_serialization=False)
torch.save({"w": torch.zeros(2)}, "oldest.pt", _use_new_zipfile_serialization=False, pickle_protocol=0)
torch.save(Net(), "module.pt")
torch.save(torch.zeros(3), "protocol4.bin", pickle_protocol=4)
torch.jit.script(Net()).save("script.pt")
torch.save({f"layer{n}": torch.zeros(1) for n in range(300)}, "many.pt")
"""


def refused(data: bytes, path: str = "weights.bin") -> bool:
    """Whether it is refused as what runs code."""
    return examine(io.BytesIO(data), len(data), path).trouble is Trouble.PICKLE


def test_dumps_of_joblib(tmp_path: Path) -> None:
    """With arrays, which stand between the opcodes, and without."""
    joblib = pytest.importorskip("joblib", reason=WITHOUT)
    values: dict[str, Any] = {
        "array": {"a": np.arange(4)},
        "alone": np.ones((3, 3)),
        "several": [np.arange(4), "text", np.zeros(2, np.float32)],
        "objects": np.array([{}, 1], dtype=object),
    }
    for name, value in values.items():
        joblib.dump(value, tmp_path / name)
        assert refused((tmp_path / name).read_bytes()), name


@pytest.mark.long
def test_files_of_torch(tmp_path: Path) -> None:
    """Its three formats, and scripts, which hold pickles of their own."""
    need("torch")
    script = tmp_path / "write.py"  # a file: torch.jit reads the source of what it compiles
    script.write_text(TORCH)
    done = subprocess.run([SYSTEM_PYTHON, script.name], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
    script.unlink()
    written = sorted(tmp_path.iterdir())
    assert 7 == len(written)
    assert [] == [path.name for path in written if not refused(path.read_bytes())]


def test_arrays_of_objects_by_numpy() -> None:
    """They are a pickle behind a head."""
    out = io.BytesIO()
    np.save(out, np.array([{}, 1], dtype=object), allow_pickle=True)
    assert refused(out.getvalue())


def onnx_with(entries: dict[str, str], *, where: str = "initializer") -> bytes:
    """A model whose one tensor says that its data are elsewhere."""
    onnx = pytest.importorskip("onnx", reason=WITHOUT)
    tensor = onnx.TensorProto(name="w", data_type=1, dims=[2], data_location=onnx.TensorProto.EXTERNAL)
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    graph = onnx.helper.make_graph([], "g", [], [])
    if where == "initializer":
        graph.initializer.append(tensor)
    elif where == "attribute":
        graph.node.add(op_type="Constant").attribute.add(name="value", t=tensor)
    elif where == "sparse":
        graph.sparse_initializer.add(values=tensor)
    elif where == "subgraph":
        inner = graph.node.add(op_type="If").attribute.add(name="then_branch").g
        inner.name = "inner"
        inner.initializer.append(tensor)
    model = onnx.helper.make_model(graph)
    if where == "function":
        model.functions.add(name="f", domain="d").node.add(op_type="Constant").attribute.add(name="v", t=tensor)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("where", ["initializer", "attribute", "sparse", "subgraph", "function"])
@pytest.mark.parametrize(
    "entries",
    [
        {"location": "../../etc/passwd"},
        {"location": "/etc/passwd"},
        {"location": "a/../../b"},
        {"location": "a/.."},
        {"location": ""},
        {"location": "C:\\x"},
        {"location": "..\\x"},
        {"location": "*/_ORT_MEM_ADDR_/*", "offset": "4096"},
        {"location": "x\0y"},
        {"location": "x", "offset": "-1"},
        {"location": "x", "__class__": "y"},
    ],
    ids=range(11),
)
def test_data_of_onnx_outside_of_its_folder(entries: dict[str, str], where: str) -> None:
    """Wherever in the model the tensor is; it was a published way to read any file."""
    data = onnx_with(entries, where=where)
    found = examine(io.BytesIO(data), len(data), "model.onnx")
    assert ("onnx", Trouble.UNSOUND) == (found.kind, found.trouble)


def test_data_of_onnx_without_a_version() -> None:
    """The library loads such a model as well, so it is looked at as well."""
    onnx = pytest.importorskip("onnx", reason=WITHOUT)
    model = onnx.load_from_string(onnx_with({"location": "../x"}))
    model.ClearField("ir_version")
    model.ClearField("opset_import")
    data = model.SerializeToString() + b"\xfa\x3f\x01x"  # and with a field that nobody knows
    assert "onnx" == examine(io.BytesIO(data), len(data), "x").kind
    assert examine(io.BytesIO(data), len(data), "x").problem


GROUPS = {  # fields that no ONNX has, which its library goes over
    "an empty one": b"\x6b\x6c",
    "with fields": b"\x6b\x08\x01\x12\x02hi\x6c",
    "within each other": b"\x6b\x73\x74\x6c",
    "as deep as parsers go": b"\x6b" * 50 + b"\x6c" * 50,
}


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS)
def test_groups_hide_nothing_of_onnx(group: bytes) -> None:
    """The library loads a model with a group before or behind its fields; it is judged as that model."""
    onnx = pytest.importorskip("onnx", reason=WITHOUT)
    plain = onnx_with({"location": "../x"})
    for data in (group + plain, plain + group):
        assert onnx.load_from_string(data).graph.initializer
        found = examine(io.BytesIO(data), len(data), "x")
        assert ("onnx", Trouble.UNSOUND) == (found.kind, found.trouble)


@pytest.mark.parametrize("group", [b"\x6b", b"\x6c", b"\x6b\x74", b"\x6b\x6c\x6c", b"\x6b" * 200 + b"\x6c" * 200])
def test_groups_that_are_none(group: bytes) -> None:
    """What the library does not load is no model."""
    onnx = pytest.importorskip("onnx", reason=WITHOUT)
    data = onnx_with({"location": "x"}) + group
    with pytest.raises(Exception, match=r"."):
        onnx.load_from_string(data)
    assert "onnx" != examine(io.BytesIO(data), len(data), "x").kind


def test_the_ways_to_tensors_are_those_of_onnx() -> None:
    """Every message from which a tensor can be reached is walked into, as the library describes it."""
    onnx = pytest.importorskip("onnx", reason=WITHOUT)
    from diode.content.onnx import MESSAGES

    found: dict[str, dict[int, str]] = {}

    def reaches(message: Any, seen: frozenset[str]) -> bool:
        if message.name == "TensorProto":
            return True
        return any(
            reaches(field.message_type, seen | {message.name})
            for field in message.fields
            if field.message_type is not None and field.message_type.name not in seen
        )

    waiting = [onnx.ModelProto.DESCRIPTOR]
    while waiting:
        message = waiting.pop()
        if message.name in found or message.name == "TensorProto":
            continue
        below = [field for field in message.fields if field.message_type and reaches(field.message_type, frozenset())]
        found[message.name] = {field.number: field.message_type.name for field in below}
        waiting += [field.message_type for field in below]
    assert found | {"TensorProto": {13: "StringStringEntryProto"}} == MESSAGES


def test_a_normalizer_of_sentencepiece_that_points_outside() -> None:
    """Its table is read by offsets; a trie longer than its table was a published memory error."""
    library = pytest.importorskip("sentencepiece", reason=WITHOUT)
    out = io.BytesIO()
    library.SentencePieceTrainer.train(
        sentence_iterator=iter(["hello world"] * 9), model_writer=out, vocab_size=20, hard_vocab_limit=False,
        minloglevel=3,
    )  # fmt: skip
    pb2 = pytest.importorskip("sentencepiece.sentencepiece_model_pb2", reason=WITHOUT)
    model = pb2.ModelProto.FromString(out.getvalue())
    for trie in (b"\xff\xff\xff\x7f", b"\0\0\0\0", b"\x01\0\0\0"):
        model.normalizer_spec.precompiled_charsmap = trie + bytes(100)
        data = model.SerializeToString()
        found = examine(io.BytesIO(data), len(data), "tokenizer.model")
        assert ("sentencepiece", Trouble.UNSOUND) == (found.kind, found.trouble)
