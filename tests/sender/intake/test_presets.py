"""Presets at intake: files by real tools, and trees as a hub of models really has them."""

import gzip
import io
import json
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest

from diode.config.init import init_pair
from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.config.sender import SenderConfig
from diode.errors import UsageError
from sender.intake.verdict import Reason, Verdict
from tests import artefacts
from tests.sender.intake.conftest import Judge


def refused(verdict: Verdict) -> Reason | None:
    """Why check ``content`` refused; None: it did not."""
    (check,) = [check for check in verdict.checks if check.name == "content"]
    return check.reason


def facts(verdict: Verdict) -> dict[str, Any]:
    """What the verdict's JSON says of check ``content``."""
    return next(check for check in verdict.facts()["checks"] if check["name"] == "content")


@pytest.mark.parametrize("wrapping", artefacts.WRAPPINGS)
@pytest.mark.parametrize("name", artefacts.NAMES)
def test_what_a_loader_would_run(judge: Judge, name: str, wrapping: str) -> None:
    """A real file that unpickles is refused by ``any`` and ``weights``, alone and hidden, and whatever it is called."""
    path, data = artefacts.wrapped(name, wrapping)
    for settings in ({}, {"content": "weights"}):
        assert refused(judge({path: data}, **settings)) in (Reason.CONTENT, Reason.TYPE), settings
    assert Reason.CONTENT == refused(judge({path: data}))


@pytest.mark.parametrize("content", ["packages", "images", "os"])
@pytest.mark.parametrize("name", artefacts.NAMES)
def test_a_pickle_is_no_package(judge: Judge, content: str, name: str) -> None:
    """An item's own file is refused there as well; within an archive it is taken, and said in the verdict."""
    path, data = artefacts.wrapped(name, "in a zip")
    verdict = judge({path: data}, content=content)
    assert (None, True) == (refused(verdict), name in facts(verdict).get("detail", ""))
    verdict = judge({"model.bin": artefacts.wrapped(name, "alone")[1]}, content=content)
    assert (None if name.endswith(".npz") else Reason.CONTENT) == refused(verdict)  # that one is an archive


@pytest.mark.parametrize("content", ["packages", "images", "os"])
@pytest.mark.parametrize("end", [-1, -4, -12])
def test_a_compressed_file_that_breaks_off_is_no_package(judge: Judge, content: str, end: int) -> None:
    """Its loader acts on the beginning before it finds that the end is missing; so who takes archives refuses it."""
    _, data = artefacts.wrapped("joblib-1.6-array.joblib", "alone")
    assert Reason.CONTENT == refused(judge({"x.joblib": gzip.compress(data)[:end]}, content=content))


PNG = b"\x89PNG\r\n\x1a\n" + b"".join(
    len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
    for kind, data in (
        (b"IHDR", bytes([0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0])),
        (b"IDAT", zlib.compress(b"\0\0")),
        (b"IEND", b""),
    )
)
MERGES = "#version: 0.2\nĠ t\nĠ a\nh e\ni n\nr e\no n\nĠt he\n. .\nc a\nt h\n"
# a repository as huggingface_hub leaves it in a folder, without its weights' size
HUB = {
    ".gitattributes": "*.safetensors filter=lfs diff=lfs merge=lfs -text\n*.bin filter=lfs -text\n",
    ".gitignore": "Pods\n.DS_Store\ncoverage\ndist\n.env\n",
    ".cache/huggingface/.gitignore": "*",
    ".cache/huggingface/download/config.json.lock": "",
    ".cache/huggingface/download/config.json.metadata": "0e1d2f\n5f3a\n1700000000.5\n",
    "README.md": "---\nlicense: mit\ntags:\n- text-generation\n---\n# A model\n![a picture](assets/a.png)\n",
    "LICENSE": "MIT License\n\nCopyright (c) 2024\n",
    "USE_POLICY.md": "# Use\n",
    "config.json": '{"architectures": ["LlamaForCausalLM"], "hidden_size": 4096}',
    "generation_config.json": '{"eos_token_id": [1, 2]}',
    "model.safetensors.index.json": '{"metadata": {"total_size": 64}, "weight_map": {"w": "model.safetensors"}}',
    "special_tokens_map.json": '{"bos_token": "<s>"}',
    "tokenizer_config.json": '{"chat_template": "{% for m in messages %}{{ m }}{% endfor %}"}',
    "tokenizer.json": json.dumps({"version": "1.0", "model": {"type": "BPE", "vocab": {"é\u007f": 0}, "merges": []}}),
    "vocab.json": '{"!": 0, "\\u0120the": 1}',
    "vocab.txt": "[PAD]\n[UNK]\nthe\n##s\n",
    "merges.txt": MERGES,
    "added_tokens.json": "{}",
}


def hub() -> dict[str, bytes]:
    """All of it."""
    tree = {path: text.encode() for path, text in HUB.items()}
    tree |= {"model.safetensors": artefacts.safetensors(), "assets/a.png": PNG, "1_Pooling/config.json": b"{}"}
    return tree | {"modules.json": b'[{"idx": 0, "type": "sentence_transformers.models.Transformer"}]'}


def test_a_repository_of_a_hub(judge: Judge) -> None:
    """What is really there beside weights is taken: lock files, ignore files, vocabularies, licences, pictures."""
    verdict = judge(hub(), content="weights")
    assert (None, True) == (verdict.failed, verdict.accepted)
    assert {"empty", "json", "png", "safetensors", "text"} == set(facts(verdict)["counts"])
    assert judge({}, types=["safetensors", "json", "text", "empty", "png"]).accepted


def test_what_a_repository_may_have_besides(judge: Judge, item: Path) -> None:
    """Its code, its pickles and its archives are refused, each with the setting that decides in the detail."""
    for path, data, reason, hint in (
        ("modeling_x.py", b"import os\n", Reason.CODE, "code = true"),
        ("handler.sh", b"#!/bin/sh\nls\n", Reason.CODE, "code = true"),
        ("pytorch_model.bin", b"\x80\x02}q\x00.", Reason.CONTENT, "pickle"),
        ("data.zip", artefacts._zip("a", b"text"), Reason.TYPE, 'content = "weights"'),
        ("weights.npy", npy(), Reason.TYPE, 'also = ["npy"]'),
        ("paper.pdf", b"%PDF-1.7\n", Reason.TYPE, 'also = ["pdf"]'),
        ("x.bin", bytes(range(256)), Reason.TYPE, "unknown"),
    ):
        verdict = judge(hub() | {path: data}, content="weights")
        assert (reason, True) == (refused(verdict), hint in facts(verdict)["detail"]), path
        (item / path).unlink()


def npy() -> bytes:
    """An array of plain numbers, as numpy writes it."""
    import numpy as np

    made = io.BytesIO()
    np.save(made, np.arange(4))
    return made.getvalue()


def test_code_is_taken_where_it_is_asked_for(judge: Judge) -> None:
    """The verdict names what a loader would run, and where that comes from."""
    config = {"auto_map": {"AutoModel": "modeling_x.XModel", "AutoConfig": "other/repo--configuration_x.XConfig"}}
    tree = hub() | {"config.json": json.dumps(config).encode(), "modeling_x.py": b"import torch\n"}
    verdict = judge(tree, content="weights", code=True)
    assert (None, True) == (verdict.failed, verdict.accepted)
    named = facts(verdict)["auto_map"]
    assert {"config.json: modeling_x.XModel", "config.json: other/repo--configuration_x.XConfig"} == set(named)
    assert Reason.CODE == refused(judge(content="weights"))


def test_also_takes_what_it_names(judge: Judge) -> None:
    """And nothing else that the preset leaves out."""
    assert judge({"a.npy": npy()}, content="weights", also=["npy"]).accepted
    assert Reason.TYPE == refused(judge({"a.pdf": b"%PDF-1.7\n"}, content="weights", also=["npy"]))


def test_a_tokenizer_and_a_graph(judge: Judge) -> None:
    """As their own tools write them: taken where ``also`` names them, and else refused with that hint."""
    sentencepiece = pytest.importorskip("sentencepiece", reason="needs sentencepiece")
    onnx = pytest.importorskip("onnx", reason="needs onnx")
    tokenizer = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["hello world, this is a test", "the quick brown fox jumps over it"] * 20),
        model_writer=tokenizer,
        vocab_size=40,
        hard_vocab_limit=False,
        minloglevel=3,
    )
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [value], [])
    files = {"tokenizer.model": tokenizer.getvalue(), "a.onnx": onnx.helper.make_model(graph).SerializeToString()}
    verdict = judge(hub() | files, content="weights", also=["onnx", "sentencepiece"])
    assert (None, True) == (verdict.failed, verdict.accepted)
    for kind in ("onnx", "sentencepiece"):
        (left,) = {"onnx", "sentencepiece"} - {kind}
        verdict = judge({}, content="weights", also=[kind])
        assert (Reason.TYPE, True) == (refused(verdict), f'also = ["{left}"]' in facts(verdict)["detail"])


def test_a_wheel_with_a_pickle(judge: Judge) -> None:
    """Wheels of numpy and scikit-learn have such files for their tests: ``packages`` takes them, and says so."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as wheel:
        wheel.writestr("sklearn/__init__.py", "import os\n")
        wheel.writestr("sklearn/tests/data/old.pkl", (artefacts.FOLDER / "joblib-1.6-array.joblib").read_bytes())
    files = {"scikit_learn-1.0-py3-none-any.whl": made.getvalue()}
    verdict = judge(files, content="packages")
    assert (True, True) == (verdict.accepted, "old.pkl" in facts(verdict).get("detail", ""))
    assert {"zip": 1} == facts(verdict)["counts"]
    assert facts(verdict)["inside"]["text"] >= 1
    assert Reason.CONTENT == refused(judge())


def test_what_is_not_looked_into_is_said(judge: Judge) -> None:
    """By the name of its kind, which ``types`` can leave out."""
    files = {"a.7z": b"7z\xbc\xaf\x27\x1c" + bytes(26)}
    for content in ("any", "packages"):
        verdict = judge(files, content=content)
        assert {"7z": 1} == facts(verdict).get("unopened")
        assert "not looked into: 1 7z" in facts(verdict)["detail"]
    assert Reason.TYPE == refused(judge(types=["zip"]))


def test_a_bomb(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    """``any`` refuses it and names the setting; who takes archives as they are says that it was not looked into."""
    monkeypatch.setattr("diode.content.allowance.LEAST_BYTES", 1 << 20)
    verdict = judge({"a.tar.gz": gzip.compress(bytes(16 << 20))})
    assert (Reason.BUDGET, True) == (refused(verdict), 'content = "packages"' in facts(verdict).get("detail", ""))
    verdict = judge(content="packages")
    assert verdict.accepted
    assert facts(verdict)["unopened"]["gzip"] == 1


@pytest.mark.parametrize(
    ("side", "table"), [("sender", "[channels.weights.intake]"), ("receiver", "[channels.weights]")]
)
def test_a_mistake_is_said_at_the_start(tmp_path: Path, side: str, table: str) -> None:
    """With the place in the configuration, and what to write instead."""
    init_pair(tmp_path, to="127.0.0.1:1", listen="127.0.0.1:2", mtu=1500, rate=0, profile="clean", auth="gmac")
    path, kind = tmp_path / side / f"{side}.toml", SenderConfig if side == "sender" else ReceiverConfig
    before = path.read_text()
    for text, said in (
        ('types = ["safetensor"]', "safetensor: unknown"),
        ('content = "weigths"', "'weights'"),
        ('content = "weights"\nlint = false', "leave lint = false out"),
        ("code = true", 'code is a setting of content = "weights"'),
        (f"types = {['text'] * 101}", "a channel names 100 at most"),
    ):
        path.write_text(f"{before}\n{table}\n{text}\n")
        with pytest.raises(UsageError) as caught:
            load(kind, path)
        assert said in str(caught.value)
        assert "channels.weights" in str(caught.value)
    path.write_text(f'{before}\n{table}\ncontent = "weights"\nalso = ["onnx", "sentencepiece"]\ncode = true\n')
    load(kind, path)


@pytest.mark.parametrize(
    ("side", "text", "said"),
    [
        ("sender", '[channels.weights]\ncontent = "weights"', "it belongs to [channels.weights.intake]"),
        ("receiver", '[channels.weights.intake]\ncontent = "weights"', "belong to [channels.weights] itself"),
        ("receiver", '[channels.weights]\ntypes = "text"', 'a list is wanted: ["..."]'),
        ("receiver", "[channels.weights]\nlook = true", "channels.weights.look: unknown key"),
    ],
)
def test_a_setting_in_the_wrong_place(tmp_path: Path, side: str, text: str, said: str) -> None:
    """The two sides have the same settings in different tables: the message names the right one."""
    init_pair(tmp_path, to="127.0.0.1:1", listen="127.0.0.1:2", mtu=1500, rate=0, profile="clean", auth="gmac")
    path, kind = tmp_path / side / f"{side}.toml", SenderConfig if side == "sender" else ReceiverConfig
    path.write_text(f"{path.read_text()}\n{text}\n")
    with pytest.raises(UsageError, match=re.escape(said)):
        load(kind, path)
