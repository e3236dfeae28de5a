"""The virus scanner: a real clamd, and everything that one may do wrong. Only its exact word is a pass."""

import io
import os
import socket
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from diode.config.intake import Intake
from sender.intake.candidate import Candidate, CandidateFile, StoppedError
from sender.intake.clamd import CLEAN, EICAR, judge
from sender.intake.pipeline import Pipeline
from sender.intake.verdict import Check, Reason, Verdict
from tests.clamd import MARKER, Script, drained, fake_clamd, honest, real_clamd
from tests.patience import PATIENCE_S
from tests.sender.intake.conftest import Judge, MakeCandidate
from tests.sender.intake.test_pipeline import outcome


def scan_of(verdict: Verdict) -> Check:
    """The scanner's part."""
    return next(check for check in verdict.checks if check.name == "clamd")


@pytest.fixture(scope="module")
def clamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A real one, for all tests of this file. It takes 1 MiB."""
    with real_clamd(tmp_path_factory.mktemp("clamd"), "1M") as (path, _):
        yield path


def test_clean_files(judge: Judge, clamd: Path) -> None:
    """Text, binary, an empty file; the verdict names the scanner."""
    files = {"a.txt": b"text\n", "b.bin": os.urandom(1 << 20)[:-4] + b"\0\0\0\0", "empty": b""}
    verdict = judge(files, clamd={"socket": clamd, "max_bytes": "1MiB"})
    check = scan_of(verdict)
    assert (None, {"scanned": 3, "unscanned": 0, "unopened": 0}) == (verdict.failed, check.counts)
    assert check.tool.startswith("ClamAV 1.")


def zipped(data: bytes) -> bytes:
    """An archive that holds this, as it is."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("inner", data)
    return archive.getvalue()


@pytest.mark.parametrize(
    "files",
    [
        {"a.txt": b"text", "eicar.com": EICAR},
        {"z/deep.bin": os.urandom(300_000) + MARKER + os.urandom(10)},
        {"model.safetensors.zip": zipped(MARKER)},
    ],
)
def test_malware(judge: Judge, clamd: Path, files: dict[str, bytes]) -> None:
    """EICAR, and a marker in the middle of a file."""
    verdict = judge(files, clamd={"socket": clamd})
    assert ("clamd", "rejected", Reason.MALWARE) == outcome(verdict)
    assert "FOUND" in scan_of(verdict).detail


def test_too_large_is_said(judge: Judge, clamd: Path) -> None:
    """What is larger than the scanner's limit is refused, or recorded as what it is: not scanned."""
    files = {"a": b"small", "big": bytes(200_000)}
    limited = {"socket": clamd, "max_bytes": 100_000}
    verdict = judge(files, clamd=limited)
    assert ("clamd", "rejected", Reason.UNSCANNED) == outcome(verdict)
    assert "not scanned: too large: 'big'" in scan_of(verdict).detail
    check = scan_of(judge(files, clamd={**limited, "too_large": "record"}))
    assert ("passed", {"scanned": 1, "unscanned": 1, "unopened": 0}) == (check.outcome, check.counts)
    assert "not scanned: too large: 'big'" == check.detail


def test_scanner_whose_own_limit_is_lower(judge: Judge, clamd: Path) -> None:
    """A limit set too high here is found out: clamd says that it was given too much, and that is no pass."""
    verdict = judge({"big": os.urandom(3 << 20)}, clamd={"socket": clamd, "max_bytes": "25MiB"})
    assert ("clamd", "error", Reason.SCANNER_ERROR) == outcome(verdict)


def test_no_date_is_no_fresh_database(judge: Judge, clamd: Path) -> None:
    """A database that does not say how old it is does not pass where its age matters."""
    verdict = judge({"a": b"a"}, clamd={"socket": clamd, "max_db_age_days": 30})
    assert ("clamd", "error", Reason.SCANNER_DATABASE) == outcome(verdict)


def test_scanner_killed_in_the_middle(judge: Judge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real one that dies while it is given a file has not found it clean."""
    with real_clamd(tmp_path / "c", "2000M") as (path, process):
        read = Candidate.chunks

        def chunks(self: Candidate, file: CandidateFile) -> Iterator[memoryview]:
            for chunk in read(self, file):
                yield chunk
                process.kill()
                process.wait()

        monkeypatch.setattr(Candidate, "chunks", chunks)
        verdict = judge({"a": bytes(2 << 20)}, clamd={"socket": path})
    assert ("clamd", "error", Reason.SCANNER_DIED) == outcome(verdict)


def says(answer: bytes) -> Script:
    """Take the file, and say this."""

    def script(talk: socket.socket, command: bytes) -> None:
        drained(talk)
        talk.sendall(answer)

    return script


def hang(talk: socket.socket, command: bytes) -> None:
    """Never read, never answer, until the other side hangs up."""
    while talk.recv(1 << 16):
        pass


def endless(talk: socket.socket, command: bytes) -> None:
    """Answer for ever."""
    drained(talk)
    while True:
        talk.sendall(b"stream: OK " * 100)


def interrupts(talk: socket.socket, command: bytes) -> None:
    """Answer in the middle of the file, and hang up."""
    talk.recv(1000)
    talk.sendall(b"INSTREAM size limit exceeded. ERROR\0")


def hangs_up(talk: socket.socket, command: bytes) -> None:
    """Go away in the middle of the file."""
    talk.recv(1000)


WRONG: dict[str, tuple[Script, Reason]] = {
    "silence": (says(b""), Reason.SCANNER_DIED),
    "half an answer": (says(b"stream: OK"), Reason.SCANNER_DIED),
    "another word": (says(b"stream: ok\0"), Reason.SCANNER_GARBAGE),
    "OK and more": (says(b"stream: OK\0stream: Eicar FOUND\0"), Reason.SCANNER_GARBAGE),
    "OK of something else": (says(b"/etc/passwd: OK\0"), Reason.SCANNER_GARBAGE),
    "noise": (says(bytes(range(256)) * 4), Reason.SCANNER_DIED),
    "null": (says(b"(null) FOUND\0"), Reason.SCANNER_GARBAGE),
    "no memory": (says(b"stream: Can't allocate memory ERROR\0"), Reason.SCANNER_ERROR),
    "found": (says(b"stream: Win.Test FOUND\0"), Reason.MALWARE),
    "encrypted": (says(b"stream: Heuristics.Encrypted.RAR FOUND\0"), Reason.UNSCANNED),
    "cut short": (says(b"stream: Heuristics.Limits.Exceeded.MaxScanSize FOUND\0"), Reason.UNSCANNED),
    "named like it": (says(b"stream: Win.Heuristics.Encrypted.Zip FOUND\0"), Reason.MALWARE),
    "endless": (endless, Reason.SCANNER_GARBAGE),
    "interrupts": (interrupts, Reason.SCANNER_ERROR),
    "hangs up": (hangs_up, Reason.SCANNER_DIED),
}


@pytest.mark.parametrize("name", WRONG)
def test_answers_that_are_not_clean(judge: Judge, tmp_path: Path, name: str) -> None:
    """Whatever is not the one good answer, to the byte, is a refusal with its own reason."""
    script, reason = WRONG[name]
    with fake_clamd(tmp_path / "s", script) as path:
        verdict = judge({"a": bytes(3 << 20)}, clamd={"socket": path, "timeout_s": PATIENCE_S})
    assert (False, reason) == (verdict.accepted, verdict.failed and verdict.failed.reason)


def test_scanner_that_hangs(judge: Judge, tmp_path: Path) -> None:
    """Its time is bounded, whether it does not read or does not answer."""

    def drain_and_hang(talk: socket.socket, command: bytes) -> None:
        drained(talk)
        hang(talk, command)

    for number, script in enumerate((hang, drain_and_hang)):
        with fake_clamd(tmp_path / f"s{number}", script) as path:
            verdict = judge({"a": bytes(3 << 20)}, clamd={"socket": path, "timeout_s": 0.3})
        assert ("clamd", "error", Reason.SCANNER_TIMEOUT) == outcome(verdict)


LONG_S = 3000.0


def test_stop_while_the_scanner_hangs(candidate: MakeCandidate, tmp_path: Path) -> None:
    """Nobody waits for a scanner that does not answer."""
    asked = candidate({"a": b"a"})
    asleep = threading.Event()

    def sleeps(talk: socket.socket, command: bytes) -> None:
        asleep.set()
        hang(talk, command)

    with fake_clamd(tmp_path / "s", sleeps) as path:
        pipeline = Pipeline(
            Intake.model_validate({"clamd": {"socket": path, "timeout_s": LONG_S}}), tmp_path / "copies"
        )
        stopped: list[float] = []

        def run() -> None:
            with pytest.raises(StoppedError):
                pipeline.run(asked)
            stopped.append(time.monotonic())

        thread = threading.Thread(target=run)
        thread.start()
        assert asleep.wait(PATIENCE_S)
        asked.progress.is_stopped = True
        since = time.monotonic()
        thread.join(10 * PATIENCE_S)
    assert stopped[0] - since < LONG_S


def test_no_scanner(judge: Judge, tmp_path: Path) -> None:
    """No socket, a file in its place, nobody behind it."""
    (tmp_path / "file").write_text("")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead"))
    for name in ("nothing", "file", "dead", "x" * 200):
        verdict = judge({"a": b"a"}, clamd={"socket": tmp_path / name})
        assert ("clamd", "error", Reason.SCANNER_MISSING) == outcome(verdict)


def test_blind_scanner(judge: Judge, tmp_path: Path) -> None:
    """One that finds nothing in the test file finds nothing at all; without the trial it would pass."""
    with fake_clamd(tmp_path / "s", honest, on_canary=says(CLEAN)) as path:
        verdict = judge({"a": b"a"}, clamd={"socket": path})
        assert ("clamd", "error", Reason.SCANNER_BLIND) == outcome(verdict)
        check = scan_of(judge({"a": b"a"}, clamd={"socket": path, "canary": False}))
        assert ("passed", "clamd was not tried (canary)") == (check.outcome, check.detail)
    with fake_clamd(tmp_path / "t", honest, on_canary=says(b"")) as path:
        assert ("clamd", "error", Reason.SCANNER_DIED) == outcome(judge({"a": b"a"}, clamd={"socket": path}))


NO_ALERT = "clamd passes encrypted archives unopened (AlertEncrypted is not set)"


@pytest.mark.parametrize("answer", [CLEAN, b"stream: Somebodys.Encrypted.Zip.UNOFFICIAL FOUND\0"])
def test_no_alert_on_encrypted_archives(judge: Judge, tmp_path: Path, answer: bytes) -> None:
    """One that does not say of an encrypted archive that it is one: said in each verdict, or nothing passes."""
    with fake_clamd(tmp_path / "s", honest, on_encrypted=says(answer)) as path:
        check = scan_of(judge({"a": b"a"}, clamd={"socket": path}))
    assert ("passed", NO_ALERT) == (check.outcome, check.detail)
    with fake_clamd(tmp_path / "t", honest, on_encrypted=says(answer)) as path:
        verdict = judge({"a": b"a"}, clamd={"socket": path, "encrypted": "reject"})
    assert ("clamd", "error", Reason.SCANNER_BLIND) == outcome(verdict)
    assert "AlertEncrypted yes" in scan_of(verdict).detail


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", Reason.SCANNER_DIED),
        (b"stream: OK", Reason.SCANNER_DIED),
        (b"stream: no memory ERROR\0", Reason.SCANNER_ERROR),
        (b"x\0", Reason.SCANNER_GARBAGE),
    ],
)
def test_no_answer_to_an_encrypted_archive(judge: Judge, tmp_path: Path, answer: bytes, reason: Reason) -> None:
    """What is no answer is none here either."""
    with fake_clamd(tmp_path / "s", honest, on_encrypted=says(answer)) as path:
        assert ("clamd", "error", reason) == outcome(judge({"a": b"a"}, clamd={"socket": path}))


def test_alerts_cannot_be_asked_for_untried(judge: Judge, tmp_path: Path) -> None:
    """Without the canary nobody knows whether clamd alerts."""
    with pytest.raises(ValidationError, match="canary"):
        judge({"a": b"a"}, clamd={"socket": tmp_path / "s", "encrypted": "reject", "canary": False})


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        (b"ClamAV 9.9.9/27000/Wed Nov 11 09:30:00 2020\0", Reason.SCANNER_DATABASE),
        (b"ClamAV 9.9.9/27000/Wed Nov 11 09:30:00 2090\0", Reason.SCANNER_DATABASE),
        (b"ClamAV 9.9.9\0", Reason.SCANNER_DATABASE),
        (b"ClamAV 9.9.9/27000/Wed Foo 11 09:30:00 2020\0", Reason.SCANNER_GARBAGE),
        (b"ClamAV 9.9.9/27000/Wed Nov 11 09:30:00 2020", Reason.SCANNER_DIED),
        (b"Another 1\0", Reason.SCANNER_GARBAGE),
        (b"\xff\0", Reason.SCANNER_GARBAGE),
        (b"", Reason.SCANNER_DIED),
    ],
)
def test_age_of_the_database(judge: Judge, tmp_path: Path, version: bytes, reason: Reason) -> None:
    """Too old, from the future, without a date, or not understood."""
    with fake_clamd(tmp_path / "s", honest, lambda talk, command: talk.sendall(version)) as path:
        verdict = judge({"a": b"a"}, clamd={"socket": path, "max_db_age_days": 30})
    assert ("clamd", "error", reason) == outcome(verdict)


def test_fresh_database(judge: Judge, tmp_path: Path) -> None:
    """The verdict has the scanner's version and its database's date."""
    made = time.asctime(time.localtime(time.time() - 86_400)).encode()
    version = b"ClamAV 9.9.9/27000/" + made + b"\0"
    with fake_clamd(tmp_path / "s", honest, lambda talk, command: talk.sendall(version)) as path:
        check = scan_of(judge({"a": b"a"}, clamd={"socket": path, "max_db_age_days": 2}))
    expected = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.mktime(time.strptime(made.decode()))))
    assert ("passed", "ClamAV 9.9.9", expected) == (check.outcome, check.tool, check.database)


@given(st.binary(max_size=200).filter(lambda answer: answer != CLEAN))
def test_no_other_answer_has_no_reason(answer: bytes) -> None:
    """Every other answer is a refusal, with a printable detail."""
    reason, detail = judge(answer, "'a'")
    assert reason in {
        Reason.MALWARE,
        Reason.UNSCANNED,
        Reason.SCANNER_DIED,
        Reason.SCANNER_ERROR,
        Reason.SCANNER_GARBAGE,
    }
    assert detail
