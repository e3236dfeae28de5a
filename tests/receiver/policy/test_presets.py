"""Presets in the enclave: the receiver's own policy, whatever the sender let through."""

from pathlib import Path
from typing import Any

import pytest

from diode.config.receiver import Channel
from diode.errors import PolicyError
from receiver.messages.questions import Question
from receiver.policy.examine import examining_here
from tests import artefacts

BUNDLE = "0123456789abcdef"


def refusal(tmp_path: Path, files: dict[str, bytes], **settings: Any) -> str:
    """Why a channel with these settings does not publish these files; "": it does."""
    data = tmp_path / "spool" / BUNDLE / "tree" / "data"
    for path, content in files.items():
        (data / path).parent.mkdir(parents=True, exist_ok=True)
        (data / path).write_bytes(content)
    rules = Channel.model_validate(settings).rules
    taken = (rules.content, rules.types, int(rules.lint), int(rules.code), rules.also)
    size = sum(map(len, files.values()))
    try:
        examining_here(tmp_path / "spool")(Question(BUNDLE, "c", *taken, len(files), size))
    except PolicyError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("wrapping", artefacts.WRAPPINGS)
@pytest.mark.parametrize("name", artefacts.NAMES)
def test_what_a_loader_would_run(tmp_path: Path, name: str, wrapping: str) -> None:
    """Refused by ``any`` and by ``weights``, as by intake."""
    path, data = artefacts.wrapped(name, wrapping)
    for content in ("any", "weights"):
        assert refusal(tmp_path, {path: data}, content=content).startswith(f"{path}: "), content


def test_weights_and_what_is_none(tmp_path: Path) -> None:
    """The enclave has its own word about code, archives, and code that a model names."""
    sound = {"model.safetensors": artefacts.safetensors(), "config.json": b"{}", ".lock": b"", "vocab.txt": b"c a\n"}
    assert "" == refusal(tmp_path / "a", sound, content="weights")
    bad = sound | {"modeling_x.py": b"import os\n"}
    assert "takes it with code = true" in refusal(tmp_path / "b", bad, content="weights")
    assert "" == refusal(tmp_path / "c", bad, content="weights", code=True)
    bad = sound | {"config.json": b'{"auto_map": {"AutoModel": "a/b--c.D"}}'}
    assert "code that lies elsewhere" in refusal(tmp_path / "d", bad, content="weights")


def test_old_settings_mean_what_they_meant(tmp_path: Path) -> None:
    """``types`` and ``lint`` alone."""
    assert "types names text" in refusal(tmp_path / "a", {"a": b"{}"}, types=["text"])
    assert "" == refusal(tmp_path / "b", {"a": b"{}"}, types=["json"])
    path, data = artefacts.wrapped("torch-1.13-legacy.pt", "alone")
    assert "" == refusal(tmp_path / "c", {path: data}, lint=False)
