"""The targets, and their corpora: ``python -m tests.fuzz.corpus`` writes what each target's ``seeds()`` says.

A corpus may hold more: an input that once broke something is kept beside the seeds, named after what it broke.
"""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
CORPUS: Final = HERE / "corpus"
TARGETS: Final = tuple(sorted(path.stem for path in (HERE / "targets").glob("*.py") if path.stem != "__init__"))


def target(name: str) -> Any:
    """The module: ``one_input(data)`` raises when something is wrong, ``seeds()`` gives inputs by name."""
    return importlib.import_module(f"tests.fuzz.targets.{name}")


def inputs(name: str) -> Iterator[tuple[str, bytes]]:
    """(name, content) of each file of a target's corpus."""
    for path in sorted((CORPUS / name).iterdir()):
        yield path.name, path.read_bytes()


def write() -> None:
    """All seeds to their places."""
    for name in TARGETS:
        folder = CORPUS / name
        folder.mkdir(parents=True, exist_ok=True)
        for seed, data in target(name).seeds().items():
            (folder / seed).write_bytes(data)


if __name__ == "__main__":
    write()
