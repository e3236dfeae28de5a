"""``receiver.describe.worker`` whose child was taken over by what it parsed: in the place of looking, it attacks."""

import json
import sys
from pathlib import Path
from typing import Any

from diode.process import confined
from diode.storage.folder import Folder
from receiver.describe import describing, worker
from receiver.describe.describing import Answer
from receiver.messages.questions import DescribeBundle
from tests.sandbox.attacks import AT_FDCWD, ATTACKS, READ_ONLY, WRITE_NEW, call

PLACES = {"SOCKET": 2, "PIPE": 1}
REAL = describing.describe
MINE = ("/etc/", "/proc/")


def attack(asked: DescribeBundle, version: Folder, out: Path, *, is_plain: bool = False) -> Answer:
    """Every attack, and every file that the bundle names; each outcome is a line. Then it answers as it should."""
    files = _named(version)
    for name, (system_call, *arguments) in ATTACKS["receiver.describe.worker"].items():
        _say(name, call(system_call, *(PLACES.get(a, a) if isinstance(a, str) else a for a in arguments)))
    for path in files:
        _say(path, call("openat", AT_FDCWD, path.encode() + b"\0", READ_ONLY, 0))
        if not path.startswith(MINE):
            _say(f"write {path}", call("openat", AT_FDCWD, path.encode() + b"\0", WRITE_NEW, 0o600))
    return REAL(asked, version, out, is_plain=is_plain)


def _named(version: Folder) -> list[str]:
    with version.folder("data") as data:
        names: list[str] = json.loads(data.read("attacks.json", 1 << 20))
    return names


def _say(name: str, outcome: Any) -> None:
    print(json.dumps({"attack": name, "outcome": outcome}), file=sys.stderr, flush=True)


def main() -> None:
    """Entry point, as the worker's own."""
    replaced: Any = worker
    replaced.describe = attack
    if "free" in sys.argv:
        confined.bind = lambda *_, **__: []
    worker.main()
