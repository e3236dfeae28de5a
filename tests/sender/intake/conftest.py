"""Items to be judged: files in a folder, hashed as the packer does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from diode.config.intake import Intake
from sender.intake.candidate import Candidate, Progress, make_candidate
from sender.intake.examiner import examine_here
from sender.intake.pipeline import Pipeline
from sender.intake.verdict import Verdict
from sender.outbox.hashing import hash_content
from sender.outbox.scan import collect

MakeCandidate = Callable[..., Candidate]
Judge = Callable[..., Verdict]


@pytest.fixture
def item(tmp_path: Path) -> Path:
    """A folder to fill."""
    folder = tmp_path / "item"
    folder.mkdir()
    return folder


@pytest.fixture
def candidate(item: Path) -> MakeCandidate:
    """Hash ``item``, with these files in it besides what lies there."""

    def make(files: dict[str, bytes] | None = None) -> Candidate:
        for path, content in (files or {}).items():
            (item / path).parent.mkdir(parents=True, exist_ok=True)
            (item / path).write_bytes(content)
        sources = collect([item], "refuse")
        return make_candidate("weights", "model", "1", sources, hash_content(sources, 1 << 20), Progress())

    return make


@pytest.fixture
def judge(candidate: MakeCandidate, tmp_path: Path) -> Judge:
    """The verdict on ``item`` under these settings, all of it by this process."""

    def judged(files: dict[str, bytes] | None = None, **settings: Any) -> Verdict:
        pipeline = Pipeline(Intake.model_validate(settings), tmp_path / "copies", examine=examine_here)
        return pipeline.run(candidate(files))

    return judged
