"""What the demonstration sends must be what a sender takes."""

from pathlib import Path

from diode.content.judge import Judge
from diode.content.rules import Rules
from diode.lab import demo


def test_library_holds_nothing_that_intake_refuses(tmp_path: Path) -> None:
    """Python's library has pickles and links in it; they stay behind, and most of it does not."""
    demo._copy_library(tmp_path / "library")
    files = [path for path in (tmp_path / "library").rglob("*") if path.is_file()]
    assert len(files) > 500
    assert not any(path.is_symlink() for path in files)
    names = [str(path.relative_to(tmp_path / "library")) for path in files]
    judge = Judge(Rules(), names, sum(path.stat().st_size for path in files))
    for name, path in zip(names, files, strict=True):
        with path.open("rb") as file:
            assert judge.look(file, path.stat().st_size, name).trouble is None, name
