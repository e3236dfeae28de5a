"""Runs a scanner of the enclave: a command that must accept a held bundle. Only a clear yes or no counts as an answer.

The scanner gets JSON on its standard input. It answers by its exit code: 0 accepts, 1 rejects. What it prints is the
reason. The supervisor starts it, because the sandbox forbids ``store`` to start programs. It runs as
:mod:`diode.process.judges` says: it has no keys, and can read the held bundle, but not change it.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diode.config.receiver import ReceiverConfig
from diode.process.asking import NoAnswerError, ask
from diode.process.judges import Surroundings, hide
from receiver.release.decisions import Verdict


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
    question = json.dumps(facts).encode() + b"\n"
    code, text = await ask(command, question, timeout_s, around.with_reads(Path(facts["path"])), user)
    if code not in (0, 1):
        raise NoAnswerError(f"{command[0]} ended with {code}: {text}")
    return ("accept" if code == 0 else "reject"), text
