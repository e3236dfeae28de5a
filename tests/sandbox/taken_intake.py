"""The child of intake, taken over by what it parsed: in the place of looking, it attacks what its first file names."""

import json
import sys
from typing import Any

from sender.intake import examine
from tests.sandbox.attacks import AT_FDCWD, ATTACKS, READ_ONLY, call


def attack(child: examine.Child) -> None:
    """Every attack, and every path of the file that it was handed; each outcome is a line."""
    places = {"SOCKET": child._taker._socket.fileno()}
    for _, _, file, _ in child._next():
        places["PIPE"] = file.fileno()
        for name, (system_call, *arguments) in ATTACKS["sender.intake.examine"].items():
            _say(name, call(system_call, *(places.get(a, a) if isinstance(a, str) else a for a in arguments)))
        for path in file.read().decode().splitlines():
            _say(path, call("openat", AT_FDCWD, path.encode() + b"\0", READ_ONLY, 0))


def _say(name: str, outcome: Any) -> None:
    print(json.dumps({"attack": name, "outcome": outcome}), file=sys.stderr, flush=True)


def main() -> None:
    """Entry point, as the child's own."""
    taken: Any = examine.Child
    taken.run = attack
    examine.main()
