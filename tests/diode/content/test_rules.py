"""What a channel takes: each preset against each kind of content, and settings that make no sense."""

import io
import json
import re
import struct
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import pytest

from diode.config.init import init_pair
from diode.config.intake import ContentSettings
from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.config.sender import SenderConfig
from diode.content.allowance import Allowance
from diode.content.decision import Decision, decide, look
from diode.content.examine import Examined, Within
from diode.content.item import NOTHING_KNOWN
from diode.content.remote_code import Named
from diode.content.rules import ALSO, MAX_TYPES, PRESETS, WORDS, Rules
from diode.content.trouble import Trouble
from diode.content.words import KINDS, PICTURES
from diode.identity.material import Fault
from receiver.messages import questions
from tests import artefacts

DOCS = Path(__file__).parents[3] / "docs"
TAKEN = "taken"
WEIGHTS = {"safetensors", "gguf", "json", "text", "empty", *PICTURES}
PROGRAMS = {"script", "elf", "pe", "macho", "wasm", "pyc"}
ARCHIVE_PRESETS = ("packages", "images", "os")


def of(rules: Rules, kind: str, path: str = "a", **found: Any) -> str:
    """What becomes of a file of this kind in which nothing was found but this."""
    return decide(rules, Examined(kind, **found), path, Named()).trouble or TAKEN


@pytest.mark.parametrize("kind", sorted(KINDS | ALSO | PICTURES | {"pyc"}))
def test_each_kind_and_preset(kind: str) -> None:
    """``weights`` is a list of what is taken, also of what there will be; the others take any kind."""
    alone = TAKEN if kind in WEIGHTS else Trouble.CODE if kind in PROGRAMS else Trouble.KIND
    assert alone == of(Rules("weights"), kind)
    for content in ("any", *ARCHIVE_PRESETS):
        assert TAKEN == of(Rules(content), kind)
        assert (TAKEN if kind == "text" else Trouble.KIND) == of(Rules(content, types=("text",)), kind)
    if kind in ALSO:
        assert TAKEN == of(Rules("weights", also=(kind,)), kind)


# trouble, its file's kind, whether a member of an archive has it -> any or weights, and who takes archives
TROUBLES = [
    (Trouble.PICKLE, "pickle", False, Trouble.PICKLE, Trouble.PICKLE),
    (Trouble.PICKLE, "zip", False, Trouble.PICKLE, Trouble.PICKLE),
    (Trouble.PICKLE, "zip", True, Trouble.PICKLE, TAKEN),
    (Trouble.POLYGLOT, "safetensors", False, Trouble.POLYGLOT, Trouble.POLYGLOT),
    (Trouble.POLYGLOT, "tar", True, Trouble.POLYGLOT, TAKEN),
    (Trouble.AMBIGUOUS, "zip", False, Trouble.AMBIGUOUS, Trouble.AMBIGUOUS),
    (Trouble.AMBIGUOUS, "tar", True, Trouble.AMBIGUOUS, TAKEN),
    (Trouble.UNSOUND, "gguf", False, Trouble.UNSOUND, Trouble.UNSOUND),
    (Trouble.UNSOUND, "rpm", False, Trouble.UNSOUND, TAKEN),
    (Trouble.UNSOUND, "gzip", True, Trouble.UNSOUND, TAKEN),
    (Trouble.BUDGET, "gguf", False, Trouble.BUDGET, TAKEN),
    (Trouble.BUDGET, "zip", True, Trouble.BUDGET, TAKEN),
]


@pytest.mark.parametrize(("trouble", "kind", "is_inside", "strict", "lenient"), TROUBLES)
def test_each_trouble_and_preset(trouble: Trouble, kind: str, is_inside: bool, strict: str, lenient: str) -> None:
    """What is wrong with a file is refused; what is wrong in an archive is noted by who takes them as they are."""
    found: dict[str, Any] = {"problem": "p", "trouble": trouble}
    if is_inside:
        found |= {"member": "a!b", "inside": Counter({"zip": 1, "pickle": 1}), "within": {trouble: Within("b", "p")}}
    for content in PRESETS:
        expected = lenient if content in ARCHIVE_PRESETS else strict
        assert expected == of(Rules(content), kind, **found)
        if content != "weights":
            assert TAKEN == of(Rules(content, lint=False), kind, **found)


@pytest.mark.parametrize("content", ARCHIVE_PRESETS)
def test_what_is_taken_as_it_is_is_said(content: str) -> None:
    """The verdict says what was found in an archive, and which were not looked into to their end."""
    found = Examined("zip", "x.pkl: a pickle", {}, Trouble.PICKLE, "x.pkl")
    found.within = {Trouble.PICKLE: Within("x.pkl", "a pickle"), Trouble.BUDGET: Within("", "too much")}
    decision = decide(Rules(content), found, "a", Named())
    assert "x.pkl: a pickle; it is taken as it is; in it: too much; it is taken as it is" == decision.note
    assert {"zip": 1} == decision.unopened
    assert {"gguf": 1} == decide(Rules(content), Examined("gguf", "p", {}, Trouble.BUDGET), "a", Named()).unopened


@pytest.mark.parametrize("content", ARCHIVE_PRESETS)
def test_what_is_compressed_is_no_archive(content: str) -> None:
    """A pickle in a gzip file, or in two, is a pickle of the item; in a tar in them it is in an archive."""
    for inside, expected in (
        ({"pickle": 1}, Trouble.PICKLE),
        ({"gzip": 1, "pickle": 1}, Trouble.PICKLE),
        ({"gzip": 1, "tar": 1, "pickle": 1}, TAKEN),
    ):
        found: dict[str, Any] = {"trouble": Trouble.PICKLE, "member": "a!b", "inside": Counter(inside)}
        assert expected == of(Rules(content), "zlib", **found)


@pytest.mark.parametrize("content", sorted(PRESETS))
def test_what_may_surprise_is_said(content: str) -> None:
    """A file that is sound, and that not every loader takes."""
    decision = decide(Rules(content), Examined("gguf", facts={"tensors": 2, "long_names": 1}), "a", Named())
    assert (None, True) == (decision.trouble, "longer than 63 bytes" in decision.note)


@pytest.mark.parametrize("content", ["any", "weights"])
def test_a_spent_budget_names_the_setting(content: str) -> None:
    """Who refuses says what would take it."""
    decision = decide(Rules(content), Examined("zip", "zip: too much", {}, Trouble.BUDGET), "a", Named())
    assert 'content = "packages" or "images" or "os" would take it as not looked into' in decision.detail


@pytest.mark.parametrize("content", sorted(PRESETS))
def test_types_narrow_what_is_not_looked_into(content: str) -> None:
    """A channel that names its types takes no archive that holds others unopened, unless it names them too."""
    if content == "weights":
        return
    unopened: Counter[str] = Counter({"7z": 2, "encrypted": 1, "a method that nobody here knows": 1})
    assert TAKEN == of(Rules(content), "zip", unopened=unopened)
    assert Trouble.KIND == of(Rules(content, types=("zip", "7z", "encrypted")), "zip", unopened=unopened)
    assert TAKEN == of(Rules(content, types=("zip", "7z", "encrypted", "unopened")), "zip", unopened=unopened)


CODE_NAMES = [
    "evil.PTH",
    "lib.so.1.2",
    "a/.bashrc",
    "kernel.cl",
    "README.html",
    "x.cmake",
    "Justfile",
    "go.command",
    *("modeling_x.py", "sub/a.PY", "a.pyc", "run.sh", "kernel.cu", "libx.so", "notebook.ipynb", "x.js", "Makefile"),
    *("a.py.", "a.bat", "setup.ps1", "ext.cpp", "Dockerfile", "evil.pth", "card.html"),
]
OTHER_NAMES = [
    "config.json",
    "README.md",
    ".gitattributes",
    "vocab.txt",
    "py",
    "a.pytorch",
    "model.safetensors",
    "c.h5",
    "notes.so.txt",
    "x.so.1a",
]


@pytest.mark.parametrize("path", CODE_NAMES)
def test_code_by_its_name(path: str) -> None:
    """``weights`` takes no text that is called as code is, until ``code`` says so; programs it never takes."""
    assert Trouble.CODE == of(Rules("weights"), "text", path)
    assert TAKEN == of(Rules("weights", code=True), "text", path)
    assert TAKEN == of(Rules("weights", code=True), "script", path)
    assert Trouble.CODE == of(Rules("weights", code=True), "elf", path)
    assert Trouble.KIND == of(Rules("weights", code=True), "unknown", path)
    assert TAKEN == of(Rules(), "text", path)


@pytest.mark.parametrize("path", OTHER_NAMES)
def test_other_names_are_none(path: str) -> None:
    """What a repository of weights has beside them."""
    assert TAKEN == of(Rules("weights"), "text", path)


def looked(rules: Rules, path: str, data: bytes) -> Decision:
    """What becomes of a file with this content."""
    return look(rules, io.BytesIO(data), len(data), path, NOTHING_KNOWN, Allowance.for_item(len(data)))


LOCAL = {"auto_map": {"AutoModel": "modeling_x.XModel", "AutoTokenizer": ["tok_x.Slow", None]}, "layers": 1}
ELSEWHERE = [
    {"auto_map": {"AutoModel": "other/repo--modeling_x.XModel"}},
    {"text_config": {"sub": [{"auto_map": {"AutoConfig": "../channel/item--a.B"}}]}},
    {"auto_map": {"AutoModel": "/srv/inbox/other/a.B"}},
    {"custom_pipelines": {"pair": {"impl": "evil/repo--pair.Pipeline", "pt": ["AutoModel"]}}},
]


@pytest.mark.parametrize("path", ["config.json", "tokenizer_config.json", "sub/anything.json", "config"])
def test_code_that_a_model_names(path: str) -> None:
    """A class beside it is named in the verdict; a loader finds no such file where no code is taken."""
    data = json.dumps(LOCAL).encode()
    for rules in (Rules(), Rules("weights"), Rules("weights", code=True), Rules("packages")):
        decision = looked(rules, path, data)
        assert (None, {"modeling_x.XModel", "tok_x.Slow"}) == (decision.trouble, set(decision.auto_map))
    assert () == looked(Rules(lint=False), path, data).auto_map


@pytest.mark.parametrize("said", ELSEWHERE)
def test_code_that_lies_elsewhere(said: dict[str, object]) -> None:
    """What would be fetched from another repository or folder was looked at by nobody."""
    data = json.dumps(said).encode()
    decision = looked(Rules("weights"), "config.json", data)
    assert (Trouble.CODE, True) == (decision.trouble, "code = true" in decision.detail)
    for rules in (Rules("weights", code=True), Rules()):
        decision = looked(rules, "config.json", data)
        assert decision.trouble is None
        assert [name for name in decision.auto_map if "--" in name or name.startswith("/")]


def test_code_named_in_disguise() -> None:
    """A name that is spelled by numbers, said twice, or behind a thousand others."""
    spelled = rb'{"\u0061uto\u005Fmap": {"AutoModel": "a/b--c.D"}}'
    twice = b'{"auto_map": {"AutoModel": "a/b--c.D"}, "auto_map": {}}'
    many = {"auto_map": {f"Auto{n}": f"local{n}.X" for n in range(1000)} | {"AutoModel": "x" * 300 + "--a.B"}}
    for data in (spelled, twice, json.dumps(many).encode()):
        assert Trouble.CODE == looked(Rules("weights"), "config.json", data).trouble
    assert 17 == len(looked(Rules(), "config.json", json.dumps(many).encode()).auto_map)


def test_code_that_cannot_be_read() -> None:
    """JSON that a loader reads and we do not, since it is nested too deep, may name anything."""
    data = b'{"auto_map": {"AutoModel": "a/b--c.D"},' + b'"x": ' + b"[" * 950 + b"]" * 950 + b"}"
    assert "text" == looked(Rules(), "config.json", data).kind
    assert "mentions code" in looked(Rules(), "config.json", data).note
    for rules in (Rules("weights"), Rules("weights", code=True)):
        assert Trouble.CODE == looked(rules, "config.json", data).trouble
    assert looked(Rules("weights"), "README.md", b"its auto_map is a dictionary").trouble is None


def test_code_that_is_too_much() -> None:
    """Where what names code is more than a MiB, it is not said which, and refused where that matters."""
    data = b'{"auto_map": ["' + b"x" * (1 << 20) + b'", "a/b--c.D"]}'
    assert "json" == looked(Rules(), "config.json", data).kind
    assert "mentions code" in looked(Rules(), "config.json", data).note
    assert Trouble.CODE == looked(Rules("weights"), "config.json", data).trouble


def test_words_that_only_look_like_a_name_of_code() -> None:
    """What stands in a text of JSON is no key of it."""
    data = json.dumps({"doc": 'say {"auto_map": "a/b--c.D"} or , "auto_map" : "x--y.Z"', 'x"auto_map': "p/q--r.S"})
    assert () == looked(Rules("weights"), "config.json", data.encode()).auto_map
    assert looked(Rules("weights"), "config.json", data.encode()).trouble is None


def test_modules_of_sentence_transformers() -> None:
    """A class that is not the library's own is imported by its name, without being asked."""
    plain = [{"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"}]
    odd = [*plain, {"idx": 1, "path": "1", "type": "other/repo--custom.Module"}]
    assert () == looked(Rules("weights"), "modules.json", json.dumps(plain).encode()).auto_map
    assert Trouble.CODE == looked(Rules("weights"), "modules.json", json.dumps(odd).encode()).trouble


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"content": "weight"}, "Input should be 'any', 'weights', 'packages', 'images' or 'os'"),
        ({"types": ["safetensor"]}, "types: safetensor: unknown (meant: safetensors?)"),
        ({"types": ["text"] * (MAX_TYPES + 1)}, "types: 101 of them; a channel names 100 at most; without types"),
        ({"content": "weights", "lint": False}, "leave lint = false out"),
        ({"content": "weights", "types": ["text", "zip"]}, 'types: content = "weights" never takes zip'),
        ({"content": "weights", "types": ["onnx"]}, 'types: content = "weights" never takes onnx; name it in also'),
        ({"content": "weights", "also": ["hdf5"]}, "also: hdf5: there is npy, onnx"),
        ({"content": "weights", "also": ["onnx", "onnx"]}, "also: a kind is named twice"),
        ({"code": True}, 'code is a setting of content = "weights"; this channel has "any": write content'),
        ({"content": "images", "also": ["onnx"]}, 'also is a setting of content = "weights"'),
        ({"look": 1}, "Extra inputs"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, object], why: str) -> None:
    """A mistake is said when the configuration is read, and says what to write."""
    with pytest.raises(ValueError, match=re.escape(why)):
        ContentSettings.model_validate(settings)


def test_old_settings_mean_what_they_meant() -> None:
    """``types`` and ``lint`` alone; and nothing at all."""
    assert Rules("any", ("text",), lint=True) == ContentSettings(types=("text",)).rules
    assert ContentSettings(lint=False).rules.are_none
    assert not ContentSettings().rules.are_none
    assert not ContentSettings(lint=False, types=("deb",)).rules.are_none
    assert ContentSettings(content="weights", also=("onnx",), types=("onnx",)).rules.kinds


def test_one_list_of_presets() -> None:
    """Settings, rules, and messages of ``store`` know the same ones; and the same troubles."""
    assert (*PRESETS,) == questions.CONTENTS == get_args(ContentSettings.model_fields["content"].annotation)
    assert {*map(str, [*Trouble, *Fault]), "unanswered"} == {*questions.TROUBLES}
    assert len(WORDS) < MAX_TYPES


def test_a_preset_lints() -> None:
    """A safetensors file that the preset takes must be sound."""
    header = json.dumps({"w": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}}).encode()
    sound = struct.pack("<Q", len(header)) + header + bytes(4)
    assert looked(Rules("weights"), "model.safetensors", sound).trouble is None
    assert Trouble.UNSOUND == looked(Rules("weights"), "model.safetensors", sound + b"x").trouble


BLOCK = re.compile(r"```toml\n(.*?)```", re.DOTALL)
KEYS = {"content", "types", "lint", "code", "also"}


@pytest.mark.parametrize("page", sorted(path.name for path in DOCS.glob("*.md")))
def test_examples_of_the_pages_make_sense(page: str) -> None:
    """Whatever a page's example says of content can be configured, and takes an empty file."""
    for block in BLOCK.findall((DOCS / page).read_text()):
        for channel in tomllib.loads(block).get("channels", {}).values():
            settings = {key: value for key, value in channel.get("intake", channel).items() if key in KEYS}
            rules = ContentSettings.model_validate(settings).rules
            assert TAKEN == of(rules, "empty"), settings
            assert TAKEN == of(rules, "text"), settings


@pytest.mark.parametrize("side", ["sender", "receiver"])
def test_examples_of_init_make_sense(tmp_path: Path, side: str) -> None:
    """What ``diode init`` writes as comments is a configuration, comments taken away."""
    init_pair(tmp_path, to="127.0.0.1:1", listen="127.0.0.1:2", mtu=1500, rate=0, profile="clean", auth="gmac")
    path = tmp_path / side / f"{side}.toml"
    lines = path.read_text().splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("# [channels"))
    end = next((n for n, line in enumerate(lines) if n > begin and not line.startswith("# ")), len(lines))
    lines[begin:end] = [line.removeprefix("# ") for line in lines[begin:end]]
    path.write_text("\n".join([*lines[:begin], *lines[end:], *lines[begin:end]]) + "\n")
    config = load(SenderConfig, path) if side == "sender" else load(ReceiverConfig, path)
    channels: dict[str, Any] = dict(config.channels)
    (channel,) = channels.values()
    rules = getattr(channel, "intake", channel).rules
    assert (TAKEN, TAKEN) == (of(rules, "empty"), of(rules, "text"))


def test_what_comes_out_has_a_name_of_its_own() -> None:
    """A joblib file that is compressed was named twice, as if it held a file of its own name."""
    path, data = artefacts.wrapped("joblib-1.6-zlib.joblib", "alone")
    assert looked(Rules(), path, data).detail.startswith("unpacked: pickle: a pickle")
