"""A slice of ``make fuzz-loaders``: a few thousand changed files, and proof that a lint that sleeps is noticed."""

import random

import pytest

from diode.content.examine import Examined
from tests.fuzz import artefacts, loaders
from tests.fuzz.mutations import mutate
from tests.recording_loaders import bounded_memory

FORMATS = ("safetensors", "gguf", "npy", "zip", "tar", "json", "onnx", "sentencepiece", "pickle")


@pytest.mark.parametrize("name", FORMATS)
def test_a_few_changed_files(name: str) -> None:
    """None is loaded by a reference loader as something else than what it is called."""
    if name not in artefacts.by_format():
        pytest.skip("needs the extra artefacts: pip install '.[artefacts]'")
    with bounded_memory():
        assert [] == loaders.run(seed=1, seconds=30, names=(name,), most=300)


def test_the_oracles_bite(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were every file called a sound text, each loader that takes one would say so."""
    monkeypatch.setattr(loaders, "examine", lambda *_, **__: Examined("text"))
    with bounded_memory():
        for name, files in artefacts.by_format().items():
            wrongs = [wrong for data in files for wrong in loaders.judge(data)]
            assert any(wrong.startswith(name) for wrong in wrongs), name


def test_changes_are_repeatable() -> None:
    """The same seed changes files in the same way; a file that was found can be made again."""
    whole = [data for files in artefacts.by_format().values() for data in files if len(data) < 4096]
    changed = [[mutate(data, whole, random.Random(n)) for n, data in enumerate(whole)] for _ in range(2)]
    assert changed[0] == changed[1]
