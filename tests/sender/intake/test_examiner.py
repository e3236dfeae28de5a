"""The child that looks at content on staging: it says what the code says, and whoever takes it over has nothing."""

import json
import mmap
import os
import struct
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from diode.config.intake import Intake
from diode.content.rules import Rules
from diode.process import confined
from diode.process.nursery import Nursery
from sender.intake import examiner, spare
from sender.intake.candidate import Candidate, StoppedError
from sender.intake.examiner import WINDOW, _Child, examine_apart, examine_here
from sender.intake.pipeline import Pipeline
from sender.intake.verdict import Reason, RefusedError
from sender.outbox.hashing import PIECE_BYTES
from tests.patience import PATIENCE_S
from tests.sandbox.attacks import ATTACKS
from tests.sender.intake import dying
from tests.sender.intake.conftest import MakeCandidate

REFUSED = {"EPERM", "EACCES"}
PICKLE = b"\x80\x04\x95\x0f\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94."


def safetensors(size: int) -> bytes:
    """A sound file with one tensor of so many bytes."""
    header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(size)


def both(rules: Rules, asked: Candidate) -> Any:
    """What is found here and apart, which is the same; or why it is refused."""
    said: list[Any] = []
    for examine in (examine_here, examine_apart):
        try:
            said.append(examine(rules, asked))
        except RefusedError as refusal:
            said.append((refusal.reason, refusal.detail))
    assert said[0] == said[1]
    return said[0]


def test_it_says_what_the_code_says(candidate: MakeCandidate) -> None:
    """Of many small files and large ones between them; and of the first file that is not taken."""
    files = {f"d/{n:03}.txt": b"a text" for n in range(2 * WINDOW)}
    files |= {"d/050.safetensors": safetensors(3 * PIECE_BYTES), "d/a": b"", "z.json": b'{"auto_map": {"a": "b.C"}}'}
    files |= {"z.bin": os.urandom(PIECE_BYTES + 1), "e.bin": b"\x00" * PIECE_BYTES}
    found = both(Rules(), candidate(files))
    assert {"text": 2 * WINDOW, "safetensors": 1, "empty": 1, "json": 1, "unknown": 2} == found.kinds
    assert ["z.json: b.C"] == found.auto_map
    assert Reason.TYPE == both(Rules("weights"), candidate())[0]
    assert Reason.CODE == both(Rules("weights"), candidate({"a.py": b"import os\n"}))[0]
    assert (Reason.CONTENT, True) == ((said := both(Rules(), candidate({"d/1": PICKLE})))[0], "'d/1'" in said[1])


def test_no_file_is_no_trouble(candidate: MakeCandidate) -> None:
    """An item of empty folders holds nothing to look at."""
    assert 0 == both(Rules(), candidate()).files


@pytest.mark.parametrize("at", [0, PIECE_BYTES + 5, 2 * PIECE_BYTES + 5])
def test_what_is_judged_is_what_was_hashed(item: Path, candidate: MakeCandidate, at: int) -> None:
    """The child holds each piece against its digest, whoever writes into the file while it is handed over."""
    (item / "a.txt").write_bytes(b"text " * PIECE_BYTES)
    with (item / "a.txt").open("r+b") as file:
        mapped = mmap.mmap(file.fileno(), 0)
    asked = candidate()
    mapped[at] = ord("T")
    monkey = asked.files["a.txt"]
    object.__setattr__(monkey, "stat", _stat(os.stat(item / "a.txt")))  # as if its times were the same
    for examine in (examine_here, examine_apart):
        with pytest.raises(RefusedError) as caught:
            examine(Rules(), asked)
        assert Reason.CHANGED is caught.value.reason


def _stat(status: os.stat_result) -> tuple[int, ...]:
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def asked_of(asked: Candidate, how: str, monkeypatch: pytest.MonkeyPatch) -> RefusedError:
    """Why an item is refused whose child ends so."""
    monkeypatch.setattr(spare, "MODULE", "tests.sender.intake.dying")
    rules = Rules()
    object.__setattr__(rules, "also", (how,))
    with pytest.raises(RefusedError) as caught:
        examine_apart(rules, asked)
    return caught.value


@pytest.mark.parametrize("how", [how for how in dying.ENDS if how != "late"])
def test_a_child_that_says_no_word_of_its_own(
    candidate: MakeCandidate, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Dead, too large, or telling what was not asked: nobody looked, and the item is not taken."""
    asked = candidate({"a": b"a", "b": b"b"})
    if how == "twice done":
        monkeypatch.setattr(spare, "MODULE", "tests.sender.intake.dying")
    refusal = asked_of(asked, how, monkeypatch)
    assert (Reason.CRASHED, True) == (refusal.reason, refusal.reason.is_failure)
    assert refusal.detail.startswith("its content could not be examined")


def test_a_child_that_hangs(candidate: MakeCandidate, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has as long as its item's size allows."""
    monkeypatch.setattr(confined, "limit_s", lambda *_: 0.5)
    refusal = asked_of(candidate({"a": b"a"}), "late", monkeypatch)
    assert "it was too slow" in refusal.detail
    assert 100 < confined.MOST_S


def test_a_stop_ends_a_child_that_hangs(candidate: MakeCandidate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who does not wait any more is told within a moment, and the child is gone."""
    asked, children, raised = candidate({"a": b"a"}), [], []
    started = threading.Event()

    class Watched(Nursery):
        def bear(self, **options: Any) -> Any:
            children.append(self)
            born = super().bear(**options)
            started.set()
            return born

    def run() -> None:
        rules = Rules()
        object.__setattr__(rules, "also", ("late",))
        with pytest.raises(StoppedError):
            examine_apart(rules, asked)
        raised.append(True)

    monkeypatch.setattr(spare, "MODULE", "tests.sender.intake.dying")
    monkeypatch.setattr(spare, "Nursery", Watched)
    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(PATIENCE_S)
    asked.progress.is_stopped = True
    thread.join(PATIENCE_S)
    assert ([True], -9) == (raised, children[0].worker.process.returncode)


def test_nothing_is_left_of_a_child(candidate: MakeCandidate, monkeypatch: pytest.MonkeyPatch) -> None:
    """No descriptor, however it ended."""
    asked = candidate({"a": b"a", "b": bytes(2 * PIECE_BYTES)})
    examine_apart(Rules(), asked)
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(3):
        examine_apart(Rules(), asked)
        asked_of(asked, "exit", monkeypatch)
        monkeypatch.undo()
    assert before == sorted(os.listdir("/proc/self/fd"))


def test_progress_is_told(candidate: MakeCandidate) -> None:
    """Bytes count as they are looked at, for whoever watches."""
    asked = candidate({f"{n}": b"12345" for n in range(40)} | {"large": bytes(2 * PIECE_BYTES)})
    examine_apart(Rules(), asked)
    assert 200 + 2 * PIECE_BYTES == asked.progress.done


def attacked(asked: Candidate, module: str, count: int) -> dict[str, str]:
    """What came of each of ``count`` attacks from inside the real child."""
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setattr(spare, "MODULE", module)
        child = _Child(asked, stack)
        child.begin(Rules())
        child.give([*asked.files.values()])
        said, deadline = b"", time.monotonic() + PATIENCE_S
        while said.count(b"\n") < count:
            assert time.monotonic() < deadline, said
            said += os.read(child._child.log_fd, 65536)
    return {one["attack"]: one["outcome"] for one in map(json.loads, said.decode().splitlines())}


def test_what_is_taken_over_can_do_nothing(candidate: MakeCandidate, tmp_path: Path) -> None:
    """Dozens of attacks from inside the real child: no key, no other file, no way out, not even by its own socket.

    Without the sandbox most succeed, so it is the sandbox that refuses them.
    """
    ours = [tmp_path / "keys" / "service.key", tmp_path / "neighbour"]
    for path in ours:
        path.parent.mkdir(exist_ok=True)
        path.write_text("secret")
    paths = [*map(str, ours), "/etc/shadow", "/etc/passwd", "/proc/self/environ", "/proc/1/cmdline"]
    asked = candidate({"paths": "\n".join(paths).encode()})
    names = {*ATTACKS["sender.intake.examine"], *paths}
    outcomes = attacked(asked, "tests.sandbox.taken_intake", len(names))
    assert names == outcomes.keys()
    assert {} == {name: what for name, what in outcomes.items() if what not in REFUSED}
    free = attacked(asked, "tests.sandbox.free_intake", len(names))
    assert {"done"} == {free[str(path)] for path in ours}
    assert len([what for what in free.values() if what in REFUSED]) < len(names) / 4


def test_the_pipeline_asks_the_child(candidate: MakeCandidate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon parses no content itself."""
    monkeypatch.setattr(examiner, "Judge", None)
    verdict = Pipeline(Intake(content="weights"), tmp_path / "copies").run(candidate({"a": b"text"}))
    assert (True, {"text": 1}) == (verdict.accepted, verdict.checks[1].counts)
