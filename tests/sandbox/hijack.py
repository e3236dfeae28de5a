"""A daemon with all its workers taken over: ``hijack.py SIDE free|confined FILES ARGUMENTS``; FILES is a JSON list."""

import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diode import programs, workers

SIDE, MODE, FILES = sys.argv[1:4]
REAL = workers.subprocess.Popen
TESTS = str(Path(__file__).parents[2])


def popen(command: Sequence[str], **options: Any) -> Any:
    """Start the attacks in the place of a worker."""
    *start, paths, module, pipes = command
    assert module == programs.module_of(command)
    if module == "receiver.examine":
        return REAL(command, **options)  # it is attacked by what it parses: tests/receiver/test_examine.py
    paths = json.dumps([*json.loads(paths), TESTS])
    return REAL([*start, paths, "tests.sandbox.attacks", pipes, module, MODE, FILES], **options)


class _Subprocess:
    Popen = staticmethod(popen)


workers.subprocess = _Subprocess  # type: ignore[assignment]
sys.argv = [f"diode-{SIDE}", *sys.argv[4:]]
importlib.import_module(f"{SIDE}.cli").main()
