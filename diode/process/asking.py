"""Runs a site's own program over a bundle: one question on its standard input, its exit code and its words back.

The program runs as :mod:`diode.process.judges` says: without our keys and privileges, and below a process of ours that
ends whatever it started, when it has ended, and when its time is over.
"""

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from diode.errors import UsageError
from diode.process.judges import Surroundings
from diode.process.programs import environment
from diode.process.warden import PATIENCE_S

MAX_ANSWER_BYTES: Final = 64 << 10
MAX_TEXT: Final = 500  # characters of it that are told
_LOOK_S: Final = 0.01  # until asyncio has noticed that a process has ended


class NoAnswerError(Exception):
    """The program did not decide: it could not be run, it took too long, or it ended in another way than it may."""


class Answered(NamedTuple):
    """How a program ended, and the beginning of the last that it printed. A stranger's text: escape it."""

    code: int
    text: str


async def ask(
    command: Sequence[str], question: bytes, timeout_s: float, around: Surroundings, user: str = ""
) -> Answered:
    """Run ``command`` and ask it. Raises NoAnswerError when it cannot be run, or is not done in time."""
    try:
        process = await asyncio.create_subprocess_exec(
            *around.command(command, user),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd="/",
            env=environment(),
            start_new_session=True,
        )
    except (OSError, UsageError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise NoAnswerError(f"{command[0]} cannot be run: {why}") from None
    answer = _Answer()
    talking = asyncio.create_task(answer.talk(process, question))
    try:
        async with asyncio.timeout(timeout_s):
            await _ended(process.pid)
    except TimeoutError:
        raise NoAnswerError(f"{command[0]} did not answer within {timeout_s:g} s and was killed") from None
    finally:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)  # its warden ends all of it; asyncio's own way may reap it unseen
        await asyncio.wait({talking, asyncio.create_task(_ended(process.pid))}, timeout=PATIENCE_S)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # where the warden could not
        talking.cancel()
        while process.returncode is None:  # noqa: ASYNC110  # wait() waits for all who hold its output
            await asyncio.sleep(_LOOK_S)
    return Answered(process.returncode, answer.text)


async def _ended(pid: int) -> None:
    """Wait for the program alone. asyncio's own way waits until nobody holds its output open any more."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(fd, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(fd)
        os.close(fd)


class _Answer:
    """What a program prints: the end of it, of bounded size."""

    def __init__(self) -> None:
        self._bytes = b""

    @property
    def text(self) -> str:
        return self._bytes.decode(errors="replace").strip()[:MAX_TEXT]

    async def talk(self, process: asyncio.subprocess.Process, question: bytes) -> None:
        """Put the question, and read until nobody can print any more."""
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError, ConnectionResetError):
            process.stdin.write(question)
            await process.stdin.drain()
        process.stdin.close()
        while piece := await process.stdout.read(MAX_ANSWER_BYTES):
            self._bytes = (self._bytes + piece)[-MAX_ANSWER_BYTES:]
