"""Files that other libraries write are sound here; skipped where they are not installed (they are no dependencies)."""

from pathlib import Path

import numpy as np
import pytest

from diode.content import examine
from diode.content.gguf import BLOCKS


def test_safetensors_by_its_own_library(tmp_path: Path) -> None:
    """Scalars and empty tensors included."""
    library = pytest.importorskip("safetensors.numpy", reason="pip install safetensors")
    path = tmp_path / "x"
    arrays = {"a": np.ones((4, 5), np.float32), "b": np.zeros((0, 3), np.float16), "c": np.array(3.0)}
    library.save_file(arrays, path, metadata={"format": "np"})
    with path.open("rb") as file:
        found = examine(file, path.stat().st_size, "x")
    assert ("safetensors", None, 3) == (found.kind, found.problem, found.facts["tensors"])


def test_gguf_by_its_own_library(tmp_path: Path) -> None:
    """And the sizes of its blocks are the same, of all types that it writes."""
    library = pytest.importorskip("gguf", reason="pip install gguf")
    path = tmp_path / "x"
    writer = library.GGUFWriter(path, "llama")
    writer.add_array("words", ["a", "b"])
    writer.add_bool("flag", True)
    writer.add_tensor("w", np.ones((4, 32), np.float32))
    writer.add_tensor("v", np.ones((3, 5), np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with path.open("rb") as file:
        found = examine(file, path.stat().st_size, "x")
    assert ("gguf", None, 2) == (found.kind, found.problem, found.facts["tensors"])
    theirs = {int(kind): size for kind, size in library.constants.GGML_QUANT_SIZES.items()}
    assert {kind: theirs[kind] for kind in BLOCKS} == BLOCKS
