"""``receiver.policy.examine`` whose child was taken over by what it parsed: in the place of looking, it attacks."""

import json
import sys
from typing import Any

from diode.process import confined
from receiver.messages.questions import Question, Sound, Unsound
from receiver.policy import examine
from tests.sandbox.attacks import AT_FDCWD, ATTACKS, READ_ONLY, call

PLACES = {"SOCKET": 2, "PIPE": 1}


def attack(question: Question, data: str) -> Sound | Unsound:
    """Every attack, and every file that ``types`` names; each outcome is a line."""
    for name, (system_call, *arguments) in ATTACKS["receiver.policy.examine"].items():
        _say(name, call(system_call, *(PLACES.get(a, a) if isinstance(a, str) else a for a in arguments)))
    for path in question.types:
        _say(path, call("openat", AT_FDCWD, path.encode() + b"\0", READ_ONLY, 0))
    return Sound(question.bundle)


def _say(name: str, outcome: Any) -> None:
    print(json.dumps({"attack": name, "outcome": outcome}), file=sys.stderr, flush=True)


def main() -> None:
    """Entry point, as the worker's own."""
    examine.judge = attack
    if "free" in sys.argv:
        confined.bind = lambda *_, **__: []
    examine.main()
