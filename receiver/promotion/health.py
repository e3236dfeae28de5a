"""Runs a channel's health hook: a command that finds the version in use healthy, or not.

It is told on its standard input, as JSON, what is in use now and what was before. Exit code 0 means healthy. Everything
else means unhealthy: another code, no answer in time, a command that cannot be run. It runs as a scanner does.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from diode.formats.escape import escape
from diode.process.asking import NoAnswerError, ask
from diode.process.judges import Surroundings


class Question(NamedTuple):
    """What a hook is told. ``previous``: the version in use before, or empty. ``url``: the gateway's, or empty."""

    channel: str
    name: str
    version: str
    previous: str
    path: Path
    url: str = ""

    def written(self) -> bytes:
        """As JSON, one line."""
        fields = self._asdict() | {"path": str(self.path)}
        if not self.url:
            del fields["url"]
        return json.dumps(fields).encode() + b"\n"


class Health(NamedTuple):
    """What a hook found, in words that may be shown as they are."""

    is_healthy: bool
    detail: str


async def check_health(
    command: Sequence[str], question: Question, timeout_s: float, around: Surroundings, user: str = ""
) -> Health:
    """Ask a hook. It always has an answer: no answer is an unhealthy one."""
    try:
        code, text = await ask(command, question.written(), timeout_s, around.with_reads(question.path), user)
    except NoAnswerError as error:
        return Health(is_healthy=False, detail=escape(str(error)))
    said = escape(text)
    if code == 0:
        return Health(is_healthy=True, detail=said)
    return Health(is_healthy=False, detail=f"{escape(command[0])} ended with {code}{': ' if said else ''}{said}")
