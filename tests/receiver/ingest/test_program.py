"""The kind ``exec``: a program is called for each step, and its exit code decides."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from diode.config.ingest import ProgramTarget
from diode.errors import FullError, ReplayError, StorageError
from receiver.ingest.journal import Journal
from receiver.ingest.work import Work
from tests.enclave import Enclave
from tests.receiver.ingest.scenes import (
    CHANNEL,
    Kill,
    files_of,
    item_of,
    lawful,
    line_of,
    points,
    two_versions,
    was_killed,
    work_at,
)

STEPS: Final = ("put", "check", "publish", "point", "clean")
CODES: Final = {1: StorageError, 4: ReplayError, 5: FullError}
# keeps what it is given in a folder of its own; `fails` in it names a step and the code that it ends with
SCRIPT = """#!/usr/bin/python3
import json, os, shutil, sys
store = {store!r}
asked = json.loads(sys.stdin.readline())
with open(store + "/asked", "a") as file:
    file.write(json.dumps(asked) + chr(10))
step = asked["step"]
if os.path.exists(store + "/fails"):
    wanted, code = open(store + "/fails").read().split()
    if wanted == step:
        print("no, says the store")
        sys.exit(int(code))
version = store + "/" + asked["version"]
link = store + "/current"
if step in ("look", "holds"):
    sys.exit(0 if os.path.exists(version) else 3)
if step == "put":
    shutil.rmtree(version + ".new", ignore_errors=True)
    shutil.copytree(asked["data"], version + ".new")
elif step == "publish" and os.path.exists(version + ".new"):
    os.rename(version + ".new", version)
elif step == "current":
    if not os.path.exists(link):
        sys.exit(3)
    print(open(link).read())
elif step == "point":
    open(link, "w").write(asked["to"]) if asked["to"] else os.unlink(link)
elif step == "take":
    shutil.rmtree(version, ignore_errors=True)
elif step == "clean" and asked["undone"]:
    shutil.rmtree(version + ".new", ignore_errors=True)
"""


@pytest.fixture(scope="module")
def enclave(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Enclave]:
    """Two versions; the second is in use."""
    with two_versions(tmp_path_factory.mktemp("made") / "receiver") as made:
        yield made


@pytest.fixture
def work(enclave: Enclave, tmp_path: Path) -> Work:
    """A target that keeps everything in a folder."""
    (tmp_path / "store").mkdir()
    program = tmp_path / "push"
    program.write_text(SCRIPT.format(store=str(tmp_path / "store")))
    program.chmod(0o755)
    settings = ProgramTarget(kind="exec", command=(str(program),), channels=(CHANNEL,))
    return work_at(enclave, settings, tmp_path / "state")


def push(enclave: Enclave, work: Work, version: str) -> tuple[str, ...]:
    """The command."""
    item = item_of(enclave, version)
    with item.data:
        return work.do(item, lawful, may_replace=False).steps


def there(tmp_path: Path) -> list[str]:
    """What the program keeps, without its notes."""
    return sorted(path.name for path in (tmp_path / "store").iterdir() if path.name not in ("asked", "fails"))


def test_a_program_is_given_one_version(enclave: Enclave, work: Work, tmp_path: Path) -> None:
    """It holds what was signed, and leads to it; undone, it has nothing any more."""
    push(enclave, work, "v2")
    kept = {str(path.relative_to(tmp_path / "store" / "v2")): path for path in (tmp_path / "store" / "v2").rglob("*")}
    assert files_of(2) == {name: path.read_bytes() for name, path in kept.items() if path.is_file()}
    assert "v2" == (tmp_path / "store" / "current").read_text()
    work.undo(line_of(enclave, "v2").id)
    assert [] == there(tmp_path)


def killable(work: Work, kill: Kill) -> Work:
    """The target after a new start of the command; a kill may come before each call of the program, or each record."""
    target: Any = work.target
    target._ask = kill.before(type(target)._ask.__get__(target))
    journal = Journal(work.journal.path.parent.parent, work.journal.path.name)
    for name in ("put", "drop"):
        setattr(journal, name, kill.before(getattr(journal, name)))
    return work._replace(journal=journal)


@pytest.mark.long
def test_a_push_that_is_killed_anywhere(enclave: Enclave, work: Work, tmp_path: Path) -> None:
    """The next run ends it, the one after that does nothing; and the next undoing ends an undoing that was killed."""
    kill, bundle = Kill(), line_of(enclave, "v2").id
    work = killable(work, kill)

    def one(number: int) -> bool:
        with kill.at(number):
            killed = was_killed(lambda: push(enclave, work, "v2"))
        push(enclave, work, "v2")
        assert (["current", "v2"], ()) == (there(tmp_path), push(enclave, work, "v2"))
        with kill.at(number):
            killed |= was_killed(lambda: work.undo(bundle))
        work.undo(bundle)
        assert ([], []) == (there(tmp_path), list(work.journal.all())), number
        return killed

    assert 8 < points(one, stride=1)


@pytest.mark.long
def test_a_program_is_asked_step_by_step(enclave: Enclave, work: Work, tmp_path: Path) -> None:
    """Twice does nothing more; undone, it has nothing any more."""
    for version in ("v1", "v2"):
        assert ("put", "check", "publish", "point") == push(enclave, work, version)
    assert () == push(enclave, work, "v2")
    assert (["current", "v1", "v2"], "v2") == (there(tmp_path), (tmp_path / "store" / "current").read_text())
    asked = [json.loads(line) for line in (tmp_path / "store" / "asked").read_text().splitlines()]
    assert {"bundle", "channel", "name", "version", "sha256sums", "step"} <= asked[0].keys()
    work.undo(line_of(enclave, "v2").id)
    assert "v1" == (tmp_path / "store" / "current").read_text()
    work.undo(line_of(enclave, "v1").id)
    assert [] == there(tmp_path)


@pytest.mark.long
@pytest.mark.parametrize(
    ("step", "code", "error"),
    [
        ("look", 1, StorageError),  # other codes of it are answers, or none that the step has
        *((step, code, error) for step in STEPS for code, error in CODES.items()),
    ],
)
def test_a_step_that_fails_is_taken_again(
    enclave: Enclave, work: Work, tmp_path: Path, step: str, code: int, error: type[Exception]
) -> None:
    """What the program said is shown; the same command goes on, and undone nothing is left."""
    (tmp_path / "store" / "fails").write_text(f"{step} {code}")
    with pytest.raises(error, match="no, says the store"):
        push(enclave, work, "v2")
    (tmp_path / "store" / "fails").unlink()
    push(enclave, work, "v2")
    assert ["current", "v2"] == there(tmp_path)
    work.undo(line_of(enclave, "v2").id)
    assert [] == there(tmp_path)
