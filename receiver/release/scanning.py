"""Runs a scanner of the enclave: a command that must accept a held bundle. Only a clear yes or no counts as an answer.

The scanner gets JSON on its standard input. It answers by its exit code: 0 accepts, 1 rejects. What it prints is the
reason. The supervisor starts it, because the sandbox forbids ``store`` to start programs. It runs as
:mod:`diode.process.judges` says: it has no keys, and can read the held bundle, but not change it.
"""

import asyncio
import json
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from diode.config.receiver import ReceiverConfig
from diode.errors import UsageError
from diode.process.judges import Surroundings, hide
from diode.process.programs import environment
from receiver.release.decisions import Verdict

MAX_ANSWER_BYTES: Final = 64 << 10


class NoAnswerError(Exception):
    """The scanner did not decide: the bundle stays held."""


def surroundings(config: ReceiverConfig) -> Surroundings:
    """What a scanner of this receiver can see: none of its keys, ledger, state and inbox."""
    trusted = (config.signers, config.releasers, config.services)
    return Surroundings(hide(config, *trusted, config.inbox.path))


async def scan(
    command: Sequence[str],
    facts: dict[str, Any],
    timeout_s: float,
    around: Surroundings = Surroundings(),  # noqa: B008 - it is frozen
    user: str = "",
) -> tuple[Verdict, str]:
    """Run a scanner over a held bundle. Raises NoAnswerError when it is missing, hangs, crashes, or says neither."""
    try:
        process = await asyncio.create_subprocess_exec(
            *around.with_reads(Path(facts["path"])).command(command, user),
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
    try:
        async with asyncio.timeout(timeout_s):
            answer = await _talk(process, json.dumps(facts).encode() + b"\n")
            code = await process.wait()
    except TimeoutError:
        raise NoAnswerError(f"{command[0]} did not answer within {timeout_s:g} s and was killed") from None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    text = answer.decode(errors="replace").strip()[:500]
    if code not in (0, 1):
        raise NoAnswerError(f"{command[0]} ended with {code}: {text}")
    return ("accept" if code == 0 else "reject"), text


async def _talk(process: asyncio.subprocess.Process, question: bytes) -> bytes:
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(question)
        await process.stdin.drain()
    process.stdin.close()
    answer = b""
    while piece := await process.stdout.read(MAX_ANSWER_BYTES):
        answer = (answer + piece)[-MAX_ANSWER_BYTES:]
    return answer
