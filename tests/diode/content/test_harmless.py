"""What is harmless is not refused: this machine's own files, random bytes, and texts of machine learning."""

import io
import os
from collections import Counter
from pathlib import Path

import pytest

from diode.content.examine import Examined, examine
from diode.content.trouble import Trouble
from tests.corpora import random_blocks, reads_as_pickle, texts

# numpy's own tests hold an array of objects each; of them, a loader unpickles
HARMFUL_ARRAYS = ("py2-objarr.npy", "py3-objarr.npy", "py2-np0-objarr.npy", "py2-objarr.npz", "py3-objarr.npz")


def look(data: bytes, path: str) -> Examined:
    """Of bytes."""
    return examine(io.BytesIO(data), len(data), path)


def test_a_few_texts() -> None:
    """Vocabularies, merge lists and ignore files are texts."""
    assert [] == [(path, data[:40]) for path, data in texts(1, 300) if look(data, path).problem]


def test_a_few_blocks() -> None:
    """Random bytes are nothing that is known, and nothing that is refused."""
    kinds = Counter[str]()
    for block in random_blocks(2, 5000):
        found = look(block, "chunk")
        kinds[found.kind] += 1
        assert found.problem is None or reads_as_pickle(block), block
    assert kinds["unknown"] > 4980


@pytest.mark.slow
def test_ten_thousand_texts() -> None:
    """None is refused."""
    wrong = [(path, data[:60], str(found.problem)) for path, data, found in _seen(3, 10_000) if found.problem]
    assert [] == wrong


def _seen(seed: int, count: int) -> list[tuple[str, bytes, Examined]]:
    return [(path, data, look(data, path)) for path, data in texts(seed, count)]


@pytest.mark.slow
def test_a_million_blocks() -> None:
    """Of all of them, only what the standard library reads as a pickle may be refused."""
    kinds, refused = Counter[str](), []
    for block in random_blocks(4, 1_000_000):
        found = look(block, "chunk")
        kinds[found.kind] += 1
        if found.problem and not reads_as_pickle(block):
            refused.append((found.problem, block[:24]))
    print(kinds.most_common(), len(refused))
    assert [] == refused


@pytest.mark.slow
def test_this_machine() -> None:
    """Of all files below /usr none is refused as a pickle that is none, and none for anything else but its arrays."""
    refused, kinds = [], Counter[str]()
    for folder, _, names in os.walk("/usr"):
        for name in names:
            path = Path(folder, name)
            if path.is_symlink() or not path.is_file() or not os.access(path, os.R_OK):
                continue
            with path.open("rb", buffering=0) as file:
                found = examine(file, os.fstat(file.fileno()).st_size, str(path.relative_to("/usr")))
            kinds[found.kind] += 1
            if found.problem and not (found.trouble is Trouble.PICKLE and _is_harmful(path)):
                refused.append((str(path), found.problem))
    print(kinds.most_common(), len(refused))
    assert [] == refused


def _is_harmful(path: Path) -> bool:
    return path.name in HARMFUL_ARRAYS or reads_as_pickle(path.read_bytes())
