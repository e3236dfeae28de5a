"""Hooks: programs of the operator that judge an item.

A hook reads JSON about the item on its standard input. It writes a verdict to its standard output, and ends with an
exit code: 0 accepts, 1 rejects, and anything else is an error. A hook is a process group of its own. The whole group is
killed when the hook has ended, when its time is over, and when nobody waits for the verdict any more.
"""

import os
import select
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

from diode.config.intake import Hook
from diode.config.sender import SenderConfig
from diode.errors import UsageError
from diode.formats.canonical import canonical
from diode.formats.json_object import read_object
from diode.process.judges import Surroundings, hide, let_in
from diode.process.programs import environment
from diode.process.warden import end
from sender.intake.candidate import Candidate
from sender.intake.verdict import Finding, Reason, RefusedError

FORMAT: Final = "diode-intake-hook-1"
MAX_ANSWER_BYTES: Final = 64 << 10
_MAX_COMPLAINT_BYTES: Final = 2048
_PIECE_BYTES: Final = 64 << 10
_SLICE_S: Final = 0.2  # how often it is asked whether anybody still waits for the verdict


def surroundings(config: SenderConfig) -> Surroundings:
    """What the hooks of this sender can see: none of its keys, ledger and state; items they can read, and not write."""
    outbox = config.outbox
    items = (outbox.path, outbox.sent, outbox.failed)
    hidden = hide(config, config.send.key, config.send.approvers, *items)
    return Surroundings(hidden, tuple(os.path.realpath(place) for place in items))


def check_hook(settings: Hook, around: Surroundings, candidate: Candidate) -> Finding:
    """Run one hook over an item. Raises RefusedError unless it exits with 0 and its verdict is "accept"."""
    try:
        if settings.reads == "copy" and candidate.copied_to is not None:
            around = _with_copy(around, candidate.copied_to, settings.user)
        process = subprocess.Popen(
            around.command(settings.run, settings.user),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            cwd="/",
            env=environment(),
            start_new_session=True,
        )
    except (OSError, ValueError, UsageError) as error:
        raise RefusedError(Reason.HOOK_MISSING, f"{settings.run[0]} cannot be run: {error}") from None
    try:
        with process:
            try:
                talk = _Talk(process, questions(candidate, reads_copy=settings.reads == "copy"))
                with candidate.progress.going_on():
                    talk.until_over(time.monotonic() + settings.timeout_s, candidate)
            finally:
                end(process.pid)
    except TimeoutError:
        raise RefusedError(Reason.HOOK_TIMEOUT, f"{settings.run[0]} took more than {settings.timeout_s:g} s") from None
    return _judge(settings.run[0], process.returncode, bytes(talk.answer), bytes(talk.complaint))


def _with_copy(around: Surroundings, copy: Path, user: str) -> Surroundings:
    """Let a hook read the private copy. The copy lies in the state folder, and the hook can see nothing else there."""
    for folder in (copy.parent.parent, copy.parent):
        let_in(folder, user)
    return around.with_reads(copy)


def questions(candidate: Candidate, *, reads_copy: bool) -> Iterator[bytes]:
    """What a hook reads, piece by piece: one JSON object, one file a line."""
    head = canonical(
        {
            "format": FORMAT,
            "channel": candidate.channel,
            "name": candidate.name,
            "version": candidate.version,
            "content": candidate.content_digest,
            "bytes": candidate.size,
        }
    )
    piece = head[:-1] + b',"files":[\n'
    for number, file in enumerate(candidate.files.values()):
        entry = file.entry
        facts = {
            "path": entry.path,
            "origin": candidate.place(file) if reads_copy else file.origin,
            "size": entry.size,
            "blake3": entry.blake3,
            "sha256": entry.sha256,
            "executable": entry.executable,
        }
        piece += (b",\n" if number else b"") + canonical(facts)
        if len(piece) >= _PIECE_BYTES:
            yield piece
            piece = b""
    yield piece + b"\n]}\n"


class _Talk:
    """The exchange with a running hook: writes the questions as fast as the hook reads them, and collects its answer.

    The lengths of the answer and of the complaint (standard error) are bounded.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", pieces: Iterator[bytes]) -> None:
        self.answer = bytearray()
        self.complaint = bytearray()
        self._process = process
        self._pieces = pieces
        self._piece = memoryview(b"")
        for pipe in (process.stdin, process.stdout, process.stderr):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)

    def until_over(self, deadline: float, candidate: Candidate) -> None:
        """Go on until the process has ended. Raises TimeoutError, and RefusedError when its answer is too long."""
        ended = os.pidfd_open(self._process.pid)
        try:
            poll = select.poll()
            poll.register(ended, select.POLLIN)
            streams = {
                self._register(poll, self._process.stdin, select.POLLOUT): self._write,
                self._register(poll, self._process.stdout, select.POLLIN): self._read_answer,
                self._register(poll, self._process.stderr, select.POLLIN): self._read_complaint,
            }
            while True:
                candidate.progress.tick()
                if (left := deadline - time.monotonic()) <= 0:
                    raise TimeoutError
                ready = [fd for fd, _ in poll.poll(min(left, _SLICE_S) * 1000)]
                for fd in ready:
                    if fd in streams and not streams[fd]():
                        poll.unregister(fd)
                if ended in ready:
                    while self._read_answer():
                        pass
                    self._read_complaint()
                    return
        finally:
            os.close(ended)

    @staticmethod
    def _register(poll: "select.poll", pipe: IO[bytes] | None, events: int) -> int:
        assert pipe is not None
        poll.register(pipe, events)
        return pipe.fileno()

    def _write(self) -> bool:
        """Whether there is more to write, and somebody to read it."""
        assert self._process.stdin is not None
        if not self._piece:
            piece = next(self._pieces, None)
            if piece is None:
                self._process.stdin.close()
                return False
            self._piece = memoryview(piece)
        try:
            self._piece = self._piece[os.write(self._process.stdin.fileno(), self._piece) :]
        except BlockingIOError:
            return True
        except BrokenPipeError:  # a hook need not read everything
            return False
        return True

    def _read_answer(self) -> bool:
        data = _read(self._process.stdout)
        self.answer += data
        if len(self.answer) > MAX_ANSWER_BYTES:
            raise RefusedError(Reason.HOOK_GARBAGE, f"a hook answered more than {MAX_ANSWER_BYTES} bytes")
        return bool(data)

    def _read_complaint(self) -> bool:
        data = _read(self._process.stderr)
        self.complaint = (self.complaint + data)[-_MAX_COMPLAINT_BYTES:]
        return bool(data)


def _read(pipe: IO[bytes] | None) -> bytes:
    """The bytes that the pipe holds now. Empty: it has ended, or nothing has come yet."""
    assert pipe is not None
    try:
        return os.read(pipe.fileno(), _PIECE_BYTES)
    except BlockingIOError:
        return b""


def _judge(program: str, code: int, answer: bytes, complaint: bytes) -> Finding:
    said = complaint.decode(errors="replace").strip()
    if code not in (0, 1):
        how = f"was ended by signal {-code}" if code < 0 else f"ended with {code}"
        raise RefusedError(Reason.HOOK_FAILED, f"{program} {how}: {said}")
    try:
        verdict = read_object(answer)
        if verdict.get("verdict") != ("reject" if code else "accept"):
            raise ValueError(f"its verdict is {verdict.get('verdict')!r}")
        detail, tool, database = (_text(verdict, key) for key in ("detail", "tool", "database"))
    except ValueError as error:
        raise RefusedError(
            Reason.HOOK_GARBAGE, f"{program} ended with {code}, and its answer does not fit: {error}; {said}"
        ) from None
    if code:
        raise RefusedError(Reason.HOOK_REJECTED, f"{program}: {detail or said or 'rejected'}")
    return Finding(detail, tool=tool or program, database=database)


def _text(verdict: dict[str, Any], key: str) -> str:
    value = verdict.get(key, "")
    if not isinstance(value, str):
        raise ValueError(f"{key} is no text")
    return value
