"""Hooks: programs that judge. Only exit code 0 with an answer that says "accept" is a pass."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from diode.config.intake import Intake
from diode.process.judges import Surroundings
from sender.intake.candidate import StoppedError
from sender.intake.hooks import MAX_ANSWER_BYTES
from sender.intake.pipeline import Pipeline
from sender.intake.verdict import Reason, Verdict
from tests.needs import need
from tests.patience import PATIENCE_S, limits, wait_until
from tests.sender.intake.conftest import Judge, MakeCandidate

MakeHook = Callable[..., dict[str, object]]
ACCEPT = 'print(\'{"verdict": "accept"}\')'


@pytest.fixture
def hook(tmp_path: Path) -> MakeHook:
    """A hook that runs this Python."""

    def make(program: str, timeout_s: float = PATIENCE_S) -> dict[str, object]:
        path = tmp_path / "check.py"
        path.write_text(program)
        return {"run": [sys.executable, "-I", "-S", str(path), str(tmp_path)], "timeout_s": timeout_s}

    return make


def reason_of(verdict: Verdict) -> Reason | None:
    """Of what did not pass."""
    return None if verdict.failed is None else verdict.failed.reason


def test_hook_sees_every_file(judge: Judge, hook: MakeHook, tmp_path: Path) -> None:
    """Names, places, sizes and digests on its standard input; its words are in the verdict."""
    program = """
import json, sys
asked = json.load(sys.stdin)
json.dump(asked, open(sys.argv[1] + "/asked.json", "w"))
texts = [open(file["origin"]).read() for file in asked["files"]]
print(json.dumps({"verdict": "accept", "detail": "read " + "+".join(texts), "tool": "check 1.0", "database": "today"}))
"""
    verdict = judge({"a.txt": b"one", "sub/b.txt": b"two"}, hooks=[hook(program)])
    check = verdict.checks[-2]
    assert ("read one+two", "check 1.0", "today") == (check.detail, check.tool, check.database)
    assert f"hook 1 {os.path.basename(sys.executable)}" == check.name
    asked = json.loads((tmp_path / "asked.json").read_text())
    assert ("diode-intake-hook-1", "weights", "model", 6) == tuple(
        asked[key] for key in ("format", "channel", "name", "bytes")
    )
    assert [("a.txt", 3, False), ("sub/b.txt", 3, False)] == [
        (file["path"], file["size"], file["executable"]) for file in asked["files"]
    ]


@pytest.mark.long
def test_hook_with_a_long_list(judge: Judge, hook: MakeHook) -> None:
    """A list longer than any pipe holds, to a hook that reads it, late, or never."""
    files = {f"{number:05}": b"" for number in range(2000)}
    count = "import json, sys; assert len(json.load(sys.stdin)['files']) == 2000; " + ACCEPT
    assert judge(files, hooks=[hook(count)]).accepted
    assert judge(hooks=[hook(ACCEPT)]).accepted
    assert judge(hooks=[hook("import sys; sys.stdin.close(); " + ACCEPT)]).accepted


def test_rejection_has_its_words(judge: Judge, hook: MakeHook) -> None:
    """What a hook says of a rejected item is the detail."""
    program = 'print(\'{"verdict": "reject", "detail": "licence\\\\nunknown"}\'); raise SystemExit(1)'
    verdict = judge({"a": b"a"}, hooks=[hook(program)])
    assert Reason.HOOK_REJECTED == reason_of(verdict)
    assert verdict.failed is not None
    assert ("rejected", True) == (verdict.failed.outcome, verdict.failed.detail.endswith("licence?unknown"))


ANSWERS = [
    ("", Reason.HOOK_GARBAGE),
    ("print('fine')", Reason.HOOK_GARBAGE),
    ("print('[]')", Reason.HOOK_GARBAGE),
    ("print('{}')", Reason.HOOK_GARBAGE),
    ('print(\'{"verdict": "reject"}\')', Reason.HOOK_GARBAGE),
    ('print(\'{"verdict": "reject", "verdict": "accept"}\')', Reason.HOOK_GARBAGE),
    ('print(\'{"verdict": "accept", "detail": 7}\')', Reason.HOOK_GARBAGE),
    ("print('[' * 60000)", Reason.HOOK_GARBAGE),
    (f"print('x' * {MAX_ANSWER_BYTES + 1})", Reason.HOOK_GARBAGE),
    ("while True: print('x' * 1000)", Reason.HOOK_GARBAGE),
    (ACCEPT + "; raise SystemExit(1)", Reason.HOOK_GARBAGE),
    ("raise SystemExit(1)", Reason.HOOK_GARBAGE),
    ("raise ValueError('crash')", Reason.HOOK_GARBAGE),  # Python ends with 1 as well
    (ACCEPT + "; raise SystemExit(2)", Reason.HOOK_FAILED),
    (ACCEPT + "; raise SystemExit(3)", Reason.HOOK_FAILED),
    (ACCEPT + "; import os, signal; os.kill(os.getpid(), signal.SIGKILL)", Reason.HOOK_FAILED),
    ("import sys\nwhile True: sys.stderr.write('x' * 10000)", Reason.HOOK_TIMEOUT),
    ("import time; time.sleep(1000)", Reason.HOOK_TIMEOUT),
    (ACCEPT + "; import sys, time; sys.stdout.flush(); sys.stdout.close(); time.sleep(1000)", Reason.HOOK_TIMEOUT),
    ("import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(1000)", Reason.HOOK_TIMEOUT),
]


@pytest.mark.parametrize(("program", "reason"), ANSWERS)
def test_answers_that_accept_nothing(judge: Judge, hook: MakeHook, program: str, reason: Reason) -> None:
    """Anything but exit code 0 and "accept" is a refusal with its own reason."""
    patience = 1.0 if reason is Reason.HOOK_TIMEOUT else PATIENCE_S
    verdict = judge({"a": b"a"}, hooks=[hook(program, patience)])
    assert (False, reason) == (verdict.accepted, reason_of(verdict))


FORKS = """
import os, sys, time
child = os.fork()
if child == 0:
    os.setsid()  # a kill of the hook's process group does not reach it
    time.sleep(1000)
open(sys.argv[1] + "/new", "w").write(str(child))
os.rename(sys.argv[1] + "/new", sys.argv[1] + "/child")
"""


def is_running(pid: int) -> bool:
    """Whether a process is there, and more than its name."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("end", ["", "time.sleep(1000)"])
def test_nothing_of_a_hook_is_left(judge: Judge, hook: MakeHook, tmp_path: Path, end: str) -> None:
    """Its children end with it, whether it accepted or took too long; they do not hold it up either."""
    place = tmp_path / "child"
    for limit_s in limits(3.0) if end else (PATIENCE_S,):
        verdict = judge({"a": b"a"}, hooks=[hook(FORKS + (end or ACCEPT), limit_s)])
        assert verdict.accepted == (not end)
        if place.exists():
            break
    child = int(place.read_text())
    wait_until(lambda: not is_running(child), "the child of the hook has ended")


HANGS = """
import os, sys, time
os.mkfifo(sys.argv[1] + "/f")
open(sys.argv[1] + "/f", "w").write(str(os.getpid()))
time.sleep(1000)
"""


def test_stop_while_a_hook_hangs(candidate: MakeCandidate, hook: MakeHook, tmp_path: Path) -> None:
    """Nobody waits for it, and it is killed."""
    pipeline = Pipeline(Intake.model_validate({"hooks": [hook(HANGS, 1000)]}), tmp_path / "copies")
    asked = candidate({"a": b"a"})
    stopped: list[float] = []

    def run() -> None:
        with pytest.raises(StoppedError):
            pipeline.run(asked)
        stopped.append(time.monotonic())

    thread = threading.Thread(target=run)
    thread.start()
    while not (tmp_path / "f").exists():
        assert thread.is_alive()
    pid = int((tmp_path / "f").read_text())
    asked.progress.is_stopped = True
    since = time.monotonic()
    thread.join(PATIENCE_S)
    assert stopped[0] - since < PATIENCE_S  # and not the 1,000 seconds that the hook may take
    with pytest.raises(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("program", ["/nowhere/check", "/etc/passwd", "/tmp"])
def test_hook_that_cannot_be_run(judge: Judge, program: str) -> None:
    """A hook that is not there has not passed."""
    verdict = judge({"a": b"a"}, hooks=[{"run": [program]}])
    assert Reason.HOOK_MISSING == reason_of(verdict)


def test_hook_that_changes_the_item(judge: Judge, hook: MakeHook, item: Path) -> None:
    """A hook judges what was hashed, and must leave it as it is."""
    program = f"open({str(item / 'a')!r}, 'w').write('b'); {ACCEPT}"
    assert Reason.CHANGED == reason_of(judge({"a": b"a"}, hooks=[hook(program)]))


@pytest.mark.parametrize("user", ["", "nobody"])
def test_hook_reads_its_copy_and_nothing_beside_it(candidate: MakeCandidate, tmp_path: Path, user: str) -> None:
    """Whoever it runs as: the copy lies in the state folder, of which it finds nothing else."""
    if user:
        need("root")
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    (state / "ledger").write_text("mine")
    (state / "ledger").chmod(0o644)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o011 != 0o011:
            folder.chmod(folder.stat().st_mode | 0o011)
    copy = state / "intake" / "item"
    script = (
        f"test $(cat {copy}/sub/a) = fine && cat {copy}/b || exit 2; cat {state}/ledger && exit 3; "
        f'echo >> {copy}/b && exit 4; ls {copy}/sub >&2 || exit 5; echo \'{{"verdict":"accept"}}\''
    )
    settings = {"lint": False, "hooks": [{"run": ["/bin/sh", "-c", f"exec 3>&1 >&2; {script} >&3"], "user": user}]}
    around = Surroundings((str(state.resolve()),))
    old = os.umask(0o077)
    try:
        pipeline = Pipeline(Intake.model_validate(settings), state / "intake", around)
        verdict = pipeline.run(candidate({"sub/a": b"fine", "b": b"other"}))
    finally:
        os.umask(old)
    assert verdict.accepted, verdict
    assert not copy.exists()
