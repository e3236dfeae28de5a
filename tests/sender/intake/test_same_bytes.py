"""What checks read is what was hashed, whoever has the files open for writing meanwhile."""

import mmap
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diode.config.intake import Intake
from diode.process.turns import Turns
from sender.intake.candidate import Candidate, Progress
from sender.intake.clamd import trusted_users
from sender.intake.pipeline import Pipeline
from sender.intake.private_copy import PrivateCopy
from sender.intake.verdict import Finding, Reason, RefusedError, Verdict
from sender.outbox.hashing import PIECE_BYTES
from tests.clamd import drained, fake_clamd
from tests.patience import PATIENCE_S
from tests.sender.intake.conftest import MakeCandidate

HARMLESS = b"harmless" * 4096
SHM = Path("/dev/shm")


@pytest.fixture
def item() -> Iterator[Path]:
    """A folder on tmpfs, where a mapped writer changes bytes and no time."""
    folder = SHM / f"same-bytes-{os.getpid()}"
    folder.mkdir()
    yield folder
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    folder.rmdir()


def writer(path: Path) -> mmap.mmap:
    """A mapping that was made before the item was hashed, and outlives every descriptor."""
    with path.open("r+b") as file:
        mapped = mmap.mmap(file.fileno(), 0)
    mapped[:] = mapped[:]  # the first write to each page changes the times, and no later one
    return mapped


def outcome(verdict: Verdict) -> tuple[str, Reason | None] | None:
    """Which check refused, and why."""
    failed = verdict.failed
    return None if failed is None else (failed.name.split()[0], failed.reason)


def swapped(item: Path, candidate: MakeCandidate, signed: bytes, shown: bytes) -> Candidate:
    """An item that was hashed with bytes other than those its checks meet, and looks unchanged."""
    (item / "a.bin").write_bytes(shown)
    mapped = writer(item / "a.bin")
    mapped[:] = signed
    made = candidate()
    before = os.stat(item / "a.bin")
    mapped[:] = shown
    after = os.stat(item / "a.bin")
    assert (before.st_mtime_ns, before.st_ctime_ns) == (after.st_mtime_ns, after.st_ctime_ns)
    return made


def test_scanner_meets_what_is_signed(item: Path, candidate: MakeCandidate, tmp_path: Path) -> None:
    """A scanner that is shown harmless bytes instead of the signed ones does not clear them."""
    evil = b"malware!" * 4096
    asked = swapped(item, candidate, signed=evil, shown=HARMLESS)
    seen = []

    def clean(talk: socket.socket, command: bytes) -> None:
        seen.append(drained(talk))
        talk.sendall(b"stream: OK\0")

    with fake_clamd(tmp_path / "clamd", clean) as path:
        pipeline = Pipeline(Intake.model_validate({"lint": False, "clamd": {"socket": path}}), tmp_path / "copies")
        assert ("clamd", Reason.CHANGED) == outcome(pipeline.run(asked))
    assert [] == [data for data in seen if HARMLESS[:64] in data]


def test_lint_meets_what_is_signed(item: Path, candidate: MakeCandidate, tmp_path: Path) -> None:
    """A pickle that shows itself as text while it is linted is refused."""
    pickle = b"\x80\x04cposix\nsystem\n(S'id'\ntR.".ljust(4096)
    asked = swapped(item, candidate, signed=pickle, shown=b"text ".ljust(4096))
    assert ("content", Reason.CHANGED) == outcome(Pipeline(Intake(), tmp_path / "copies").run(asked))


@pytest.mark.parametrize("at", [0, PIECE_BYTES - 1, PIECE_BYTES, 3 * PIECE_BYTES, 3 * PIECE_BYTES + 99])
def test_each_piece_is_proven(item: Path, candidate: MakeCandidate, at: int) -> None:
    """One byte changed anywhere in a large file is noticed by whoever reads the piece that it is in, and only there."""
    (item / "a.bin").write_bytes(bytes(3 * PIECE_BYTES + 100))
    mapped = writer(item / "a.bin")
    asked = candidate()
    file = asked.files["a.bin"]
    mapped[at] = 1
    with asked.open(file) as opened:
        for piece in range(4):
            opened.seek(piece * PIECE_BYTES)
            if piece == at // PIECE_BYTES:
                with pytest.raises(RefusedError) as caught:
                    opened.read(1)
                assert Reason.CHANGED is caught.value.reason
            else:
                assert b"\0" == opened.read(1)


def test_given_once_is_given_from_memory(item: Path, candidate: MakeCandidate) -> None:
    """Between two looks at one piece nothing changes: it is in memory of our own."""
    (item / "a.bin").write_bytes(HARMLESS)
    mapped = writer(item / "a.bin")
    asked = candidate()
    with asked.open(asked.files["a.bin"]) as opened:
        first = opened.read(8)
        mapped[:] = b"\xff" * len(HARMLESS)
        opened.seek(0)
        assert (HARMLESS[:8], HARMLESS) == (first, opened.read())


@given(offsets=st.lists(st.tuples(st.integers(-10, 2 * PIECE_BYTES + 20), st.integers(0, 300)), max_size=8))
def test_reads_like_a_file(tmp_path_factory: pytest.TempPathFactory, offsets: list[tuple[int, int]]) -> None:
    """Seeking and reading give what the file has there."""
    from sender.intake.candidate import Progress, make_candidate
    from sender.outbox.hashing import hash_content
    from sender.outbox.scan import collect

    path = tmp_path_factory.getbasetemp() / "reads-like-a-file"
    if not path.exists():
        path.write_bytes(bytes(i % 251 for i in range(2 * PIECE_BYTES + 7)))
    sources = collect([path], "refuse")
    asked = make_candidate("weights", "m", "1", sources, hash_content(sources, 1 << 20), Progress())
    with path.open("rb") as plain, asked.open(asked.files[path.name]) as proven:
        for offset, size in offsets:
            whence = os.SEEK_SET if offset >= 0 else os.SEEK_END
            assert plain.seek(offset, whence) == proven.seek(offset, whence)
            assert plain.read(size) == proven.read(size)


# hooks


@pytest.fixture
def hook(tmp_path: Path) -> Callable[..., dict[str, object]]:
    """A hook that says where and what it reads."""
    program = tmp_path / "hook.py"
    program.write_text(
        "import json, os, sys\n"
        "files = json.load(sys.stdin)['files']\n"
        "mode = lambda path: oct(os.stat(path).st_mode & 0o777)\n"
        "said = [[f['path'], f['origin'], mode(f['origin']), open(f['origin']).read(8)] for f in files]\n"
        "print(json.dumps({'verdict': 'accept', 'detail': json.dumps(said)}))\n"
    )
    return lambda **more: {"run": [sys.executable, "-I", "-S", str(program)], **more}


def judged(asked: Candidate, hook: dict[str, object], copies: Path, mischief: Callable[[], object]) -> Verdict:
    """The verdict, with something done right before the hook runs."""
    pipeline = Pipeline(Intake.model_validate({"hooks": [hook]}), copies)
    steps, pipeline.steps = pipeline.steps, {}

    def done(_: Candidate) -> Finding:
        mischief()
        return Finding()

    for name, step in steps.items():
        if name.startswith("hook"):
            pipeline.steps["mischief"] = done
        pipeline.steps[name] = step
    return pipeline.run(asked)


def test_hook_reads_a_copy(
    item: Path, candidate: MakeCandidate, hook: Callable[..., dict[str, object]], tmp_path: Path
) -> None:
    """A writer that changes the dropped file while a hook looks changes nothing that it sees."""
    (item / "sub").mkdir()
    (item / "sub" / "a.bin").write_bytes(HARMLESS)
    mapped = writer(item / "sub" / "a.bin")

    def mischief() -> None:
        mapped[:] = b"\xff" * len(HARMLESS)

    verdict = judged(candidate(), hook(), tmp_path / "copies", mischief)
    said = next(check.detail for check in verdict.checks if check.name.startswith("hook"))
    assert (True, str(tmp_path / "copies" / "item/sub/a.bin"), "0o444", "harmless") == (
        verdict.accepted,
        *[part.strip('"') for part in said.strip("[]").split(", ")[1:]],
    )
    assert [] == os.listdir(tmp_path / "copies")


def test_copy_is_of_what_was_hashed(
    item: Path, candidate: MakeCandidate, hook: Callable[..., dict[str, object]], tmp_path: Path
) -> None:
    """A file that is not what was hashed any more is not copied, and the hook is never asked."""
    asked = swapped(item, candidate, signed=HARMLESS, shown=HARMLESS[::-1])
    pipeline = Pipeline(Intake.model_validate({"lint": False, "hooks": [hook()]}), tmp_path / "copies")
    verdict = pipeline.run(asked)
    assert (("copy", Reason.CHANGED), "skipped") == (outcome(verdict), verdict.checks[-2].outcome)
    assert [] == os.listdir(tmp_path / "copies")


def test_hook_may_read_what_was_dropped(
    item: Path, candidate: MakeCandidate, hook: Callable[..., dict[str, object]], tmp_path: Path
) -> None:
    """Where a channel says so, nothing is copied."""
    verdict = judged(candidate({"a": b"a"}), hook(reads="origin"), tmp_path / "copies", lambda: None)
    assert (True, False) == (verdict.accepted, (tmp_path / "copies").exists())
    assert str(item / "a") in verdict.checks[-2].detail


def test_no_room_for_a_copy(
    candidate: MakeCandidate, hook: Callable[..., dict[str, object]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the copy does not fit, the hook could not look, and so the item does not pass."""
    monkeypatch.setattr("sender.intake.private_copy.KEPT_FREE_BYTES", 1 << 60)
    pipeline = Pipeline(Intake.model_validate({"hooks": [hook()]}), tmp_path / "copies")
    verdict = pipeline.run(candidate({"a": b"a"}))
    assert ("copy", Reason.COPY) == outcome(verdict)
    assert Reason.COPY.is_failure


def test_a_copy_waits_for_the_room_of_one_that_is_less_urgent(
    candidate: MakeCandidate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other item was stopped with its copy half done; it goes on, and takes its copy away when it is done."""
    turns, begun, taken = Turns(), threading.Event(), threading.Event()

    def less_urgent() -> None:
        with turns.take(1) as low:
            monkeypatch.setattr("sender.intake.private_copy.KEPT_FREE_BYTES", 1 << 60)
            begun.set()
            taken.wait(PATIENCE_S)
            Progress(turn=low).tick()
            monkeypatch.setattr("sender.intake.private_copy.KEPT_FREE_BYTES", 0)

    with ThreadPoolExecutor(1) as thread:
        other = thread.submit(less_urgent)
        assert begun.wait(PATIENCE_S)
        with turns.take(9) as high:
            taken.set()
            asked = candidate({"a": b"ours"})
            asked.progress.turn = high
            PrivateCopy(tmp_path / "copies", "item-cve").make(asked)
            other.result(PATIENCE_S)
    assert (tmp_path / "copies" / "item-cve" / "a").read_bytes() == b"ours"


def test_copies_of_a_killed_run_go(candidate: MakeCandidate, tmp_path: Path) -> None:
    """What a killed run left, links among it, is removed and not followed."""
    left = tmp_path / "copies" / "item"
    left.mkdir(parents=True)
    (tmp_path / "victim").write_text("secret")
    (left / "a").symlink_to(tmp_path / "victim")
    PrivateCopy(tmp_path / "copies").make(candidate({"a": b"ours"}))
    assert ("secret", b"ours") == ((tmp_path / "victim").read_text(), (left / "a").read_bytes())


# the scanner's socket


@pytest.mark.needs("root")
@pytest.mark.parametrize("who", ["owner", "listener"])
def test_socket_of_a_stranger(candidate: MakeCandidate, tmp_path: Path, who: str) -> None:
    """An answer from a socket that somebody else made, or listens at, is no scanner's word."""

    def clean(talk: socket.socket, command: bytes) -> None:
        drained(talk)
        talk.sendall(b"stream: OK\0")

    asked = candidate({"a": b"a"})
    if who == "listener":
        os.setresuid(12345, 12345, 0)
        tmp = Path(f"/tmp/diode-stranger-{os.getpid()}")
    else:
        tmp = tmp_path / "clamd"
    try:
        with fake_clamd(tmp, clean) as path:
            os.setresuid(0, 0, 0)
            os.chown(path, 12345 if who == "owner" else 0, 0)
            pipeline = Pipeline(Intake.model_validate({"clamd": {"socket": path}}), tmp_path / "copies")
            assert ("clamd", Reason.SCANNER_STRANGER) == outcome(pipeline.run(asked))
    finally:
        os.setresuid(0, 0, 0)
        tmp.unlink(missing_ok=True)


def test_whose_word_is_taken() -> None:
    """Root's, our own, and that of the user who is named, if there is one."""
    assert {0, os.geteuid()} == trusted_users("nobody-is-called-so")
    assert 65534 in trusted_users("nobody")
