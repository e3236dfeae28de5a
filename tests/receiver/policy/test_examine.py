"""The worker that looks at content: what it says is a verdict, and whoever takes it over has nothing."""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from diode.errors import MessageError, PolicyError
from diode.identity.rules import IdentityRules
from diode.process import confined
from diode.process.workers import Mailbox, Worker
from receiver.messages.pipeline import MAX_REASON
from receiver.messages.questions import EXAMINE_SAYS, EXAMINE_TO_STORE, STORE_TO_EXAMINE, Question
from receiver.policy import examine
from receiver.policy.examine import UNANSWERED, Examiner, UnexaminedError, examining_here
from receiver.settings import ExamineSettings
from tests.patience import PATIENCE_S
from tests.sandbox.attacks import ATTACKS

REFUSED = {"EPERM", "EACCES"}
PICKLE = b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94."


def mailbox(read: int, write: int) -> Mailbox:
    """As ``store`` has it."""
    return Mailbox(read, write, hears=EXAMINE_TO_STORE, says=STORE_TO_EXAMINE)


@contextmanager
def worker(
    spool: Path, module: str = "receiver.policy.examine", identity: Mapping[str, IdentityRules] | None = None
) -> Iterator[tuple[Examiner, Worker]]:
    """A real one, and who asks it. ``identity``: rules of channels of identity material, kept beside the spool."""
    asked_read, asked_write = os.pipe()
    verdicts_read, verdicts_write = os.pipe()
    said = tuple((name, rules.said()) for name, rules in (identity or {}).items())
    settings = ExamineSettings(str(spool), asked_read, verdicts_write, str(spool.parent / "identity"), said)
    started = Worker(module, settings, (asked_read, verdicts_write), says=EXAMINE_SAYS)
    for fd in (asked_read, verdicts_write):
        os.close(fd)
    try:
        yield Examiner(mailbox(verdicts_read, asked_write)), started
    finally:
        for fd in (asked_write, verdicts_read):
            os.close(fd)
        started.close()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A complete tree in a spool."""
    data = tmp_path / "spool" / "0123456789abcdef" / "tree" / "data"
    (data / "sub").mkdir(parents=True)
    (data / "sub" / "a.txt").write_text("fine")
    (data / "b.bin").write_bytes(bytes(range(256)))
    return data


def question(tree: Path, types: list[str] | None = None, *, lint: bool = True) -> Question:
    """What ``store`` asks."""
    return Question(tree.parent.parent.name, "c", "any", tuple(types or ()), int(lint), 0, (), 2, 300)


def test_a_verdict(tree: Path, tmp_path: Path) -> None:
    """The worker says what the code says, of one tree after the other."""
    with worker(tmp_path / "spool") as (ask, _):
        for each in (examining_here(tmp_path / "spool"), ask):
            each(question(tree))
            with pytest.raises(PolicyError, match=r"b.bin: it is unknown; types names text"):
                each(question(tree, ["text"]))
        (tree / "sub" / "model.bin").write_bytes(PICKLE)
        for each in (examining_here(tmp_path / "spool"), ask):
            with pytest.raises(PolicyError, match=r"sub/model.bin: .*runs code when it is loaded"):
                each(question(tree))
            each(question(tree, lint=False))


def test_a_link_is_not_followed(tree: Path, tmp_path: Path) -> None:
    """Nor a pipe waited for: no answer is a refusal."""
    (tmp_path / "secret").write_text("x")
    (tree / "link").symlink_to(tmp_path / "secret")
    with worker(tmp_path / "spool") as (ask, _), pytest.raises(PolicyError, match="could not be examined"):
        ask(question(tree))


def test_a_child_that_dies_refuses_one_bundle(tree: Path, tmp_path: Path) -> None:
    """And the worker goes on with the next one."""
    with worker(tmp_path / "spool", "tests.receiver.policy.dying") as (ask, process):
        for how in ("crash", "exit", "memory", "garbage", "endless", "lie", "another", "unknown", "late"):
            with pytest.raises(PolicyError) as caught:
                ask(question(tree, [how]))
            assert UNANSWERED == str(caught.value), how
        with pytest.raises(PolicyError) as caught:
            ask(question(tree, ["long"]))
        assert MAX_REASON == len(str(caught.value))
        ask(question(tree, ["fine"]))
        assert process.process.poll() is None


@pytest.mark.parametrize("bundle", ["", "/etc", "../../keys", "0123456789ABCDEF"])
def test_it_looks_at_nothing_outside_of_the_spool(tmp_path: Path, bundle: str) -> None:
    """A question names a bundle and no place; whoever asks for another thing is not ``store`` as we know it."""
    asked = Question("0123456789abcdef", "c", "any", (), 1, 0, (), 2, 300)
    with pytest.raises(ValueError, match="no text like"):
        STORE_TO_EXAMINE.encode(replace(asked, bundle=bundle))
    line = STORE_TO_EXAMINE.encode(asked).replace(b"0123456789abcdef", bundle.encode())
    with worker(tmp_path / "spool") as (ask, process):
        os.write(ask.mailbox.write_fd, line + b"\n")
        with pytest.raises(UnexaminedError):
            ask(asked)
        assert 1 == process.process.wait(timeout=PATIENCE_S)
        said = list(process.mailbox.drain())
        assert "Question" == said[-1].kind


LIES = {
    "another bundle": (b'{"say":"Sound","bundle":"fedcba9876543210"}\n', "it was asked about"),
    "another's word": (b'{"say":"Published","bundle":"0123456789abcdef"}\n', "it may not say this"),
    "a trouble that is none": (
        b'{"say":"Unsound","bundle":"0123456789abcdef","trouble":"harmless","reason":""}\n',
        "Unsound: no text like",
    ),
    "no JSON": (b"sound\n", "no JSON"),
    "endless": (b"x" * 60_000, "a line of more than"),
    "half a line": (b'{"say":"Sound",', "no word on bundle"),
    "nothing": (b"", "no word on bundle"),
}


@pytest.mark.parametrize("how", LIES)
def test_a_worker_that_lies_is_not_believed(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """It may say one of two words of the bundle that it was asked about, in time; anything else is known as its own."""
    asked = Question("0123456789abcdef", "c", "any", (), 1, 0, (), 2, 300)
    monkeypatch.setattr(examine, "_PATIENCE_S", 0.2)
    monkeypatch.setattr(confined, "limit_s", lambda *_: 0.0)
    line, why = LIES[how]
    (asked_read, asked_write), (read, write) = os.pipe(), os.pipe()
    os.write(write, line)
    begun = time.monotonic()
    with pytest.raises(MessageError, match=why) as caught:
        Examiner(mailbox(read, asked_write))(asked)
    assert "receiver.examine" == caught.value.peer
    assert time.monotonic() < begun + PATIENCE_S
    for fd in (asked_read, asked_write, read, write):
        os.close(fd)


def test_what_is_taken_over_can_do_nothing(tree: Path, tmp_path: Path) -> None:
    """Dozens of attacks from inside the real child: no key, no ledger, no other bundle, no way out."""
    files = [tmp_path / "keys" / "service.key", tmp_path / "spool" / "fedcba9876543210" / "tree" / "data" / "x"]
    for file in files:
        file.parent.mkdir(parents=True)
        file.write_text("secret")
    paths = [*map(str, files), "/etc/shadow", "/etc/passwd", "/proc/self/environ", "/proc/1/cmdline"]
    with worker(tmp_path / "spool", "tests.sandbox.taken") as (ask, process):
        ask(question(tree, paths))
        said = b""
        deadline = time.monotonic() + PATIENCE_S
        while said.count(b"\n") < len(ATTACKS["receiver.policy.examine"]) + len(paths):
            assert time.monotonic() < deadline
            said += os.read(process.log_fd, 65536)
    outcomes = {one["attack"]: one["outcome"] for one in map(json.loads, said.decode().splitlines())}
    assert {*ATTACKS["receiver.policy.examine"], *paths} == outcomes.keys()
    assert {} == {name: what for name, what in outcomes.items() if what not in REFUSED}


def test_a_worker_that_is_gone_has_said_nothing(monkeypatch: pytest.MonkeyPatch, tree: Path) -> None:
    """Neither yes nor no: and whoever waits for it does not wait for good."""
    read, write = os.pipe()
    monkeypatch.setattr(examine, "_PATIENCE_S", 0.0)
    monkeypatch.setattr(confined, "limit_s", lambda *_: 0.1)
    with pytest.raises(MessageError, match="no word on bundle"):
        Examiner(mailbox(read, os.open(os.devnull, os.O_WRONLY)))(question(tree))
    os.close(write)
    with pytest.raises(UnexaminedError):
        Examiner(mailbox(read, os.open(os.devnull, os.O_WRONLY)))(question(tree))
    os.close(read)
