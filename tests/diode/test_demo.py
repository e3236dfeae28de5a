"""What the demonstration sends must be what a sender takes."""

from pathlib import Path

from diode import demo
from diode.content import examine


def test_library_holds_nothing_that_intake_refuses(tmp_path: Path) -> None:
    """Python's library has pickles and links in it; they stay behind, and most of it does not."""
    demo._copy_library(tmp_path / "library")
    files = [path for path in (tmp_path / "library").rglob("*") if path.is_file() and not path.is_symlink()]
    assert len(files) > 500
    for path in files:
        with path.open("rb") as file:
            assert None is examine(file, path.stat().st_size, path.name).problem
