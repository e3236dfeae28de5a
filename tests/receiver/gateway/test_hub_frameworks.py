"""What is built upon the client of Hugging Face, against the gateway. Apart, since to install it takes minutes."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from tests.hub_stage import REASON, Stage

WITH_TRANSFORMERS: Final = ("huggingface_hub", "transformers", "datasets")


@pytest.mark.clients
def test_transformers_and_datasets_work_as_they_are(tmp_path: Path) -> None:
    """A tokenizer and a configuration without torch, rows loaded and streamed; files written by the libraries."""
    with ExitStack() as stack:
        _work_as_they_are(Stage(tmp_path, stack))


def _work_as_they_are(place: Stage) -> None:
    place.client(*WITH_TRANSFORMERS, steps=[{"do": "make", "folder": str(place.folder / "made")}])
    model = {one.name: one.read_bytes() for one in (place.folder / "made" / "model").iterdir()}
    place.serving.publish("weights", "acme--words", "1", model)
    rows = {"data/train-00000-of-00001.parquet": (place.folder / "made" / "train.parquet").read_bytes()}
    place.serving.publish("weights", "acme--rows", "1", {**rows, "README.md": "# rows"})
    steps: list[dict[str, Any]] = [
        {"do": "tokens", "name": "acme/words", "text": "hello world"},
        {"do": "width", "name": "acme/words"},
        {"do": "rows", "name": "acme/rows"},
        {"do": "rows", "name": "acme/rows", "streaming": True},
        {"do": "snapshot", "repo_id": "acme/rows", "repo_type": "dataset"},
    ]
    found = place.client(*WITH_TRANSFORMERS, steps=steps)
    assert [one.get("got", one) for one in found[:4]] == [[0, 1], 48, [1, 2, 3], [1, 2, 3]]
    assert "got" in found[4]
    for one in list(place.serving.listed.values()):
        if one.name in ("acme--words", "acme--rows"):
            place.serving.recall(one.id, REASON)
    again = place.client(*WITH_TRANSFORMERS, steps=steps)
    assert [("got" in one) for one in again] == [False] * 5, again
    assert [REASON in one["chain"] for one in (again[0], again[1], again[4])] == [True] * 3, again
