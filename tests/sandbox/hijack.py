"""A daemon whose workers are taken over: ``hijack.py SIDE free|confined FILES ARGUMENTS``; FILES is a JSON list.

``hijack.py MODULE lies|always FOLDER ARGUMENTS``: one worker does not attack the kernel but lies (``liar.py``): each
lie once, or for ever. How long a worker takes to start says nothing then: all deaths count as of one minute.
"""

import importlib
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diode.process import programs, restarts, workers

TARGET, MODE, GIVEN = sys.argv[1:4]
SIDE = TARGET.split(".")[0]
LIES = MODE in ("lies", "always")
REAL = subprocess.Popen
TESTS = str(Path(__file__).parents[2])


def popen(command: Sequence[str], **options: Any) -> Any:
    """Start the attacks, or the lies, in the place of a worker."""
    *start, paths, module, pipes = command
    assert module == programs.module_of(command)
    if module in ("receiver.policy.examine", "receiver.describe.worker") and not LIES:
        return REAL(command, **options)  # attacked by what they parse: tests/receiver/policy/test_examine.py and others
    if LIES and module != TARGET:
        return REAL(command, **options)
    paths = json.dumps([*json.loads(paths), TESTS])
    instead = "tests.sandbox.liar" if LIES else "tests.sandbox.attacks"
    return REAL([*start, paths, instead, pipes, module, MODE, GIVEN], **options)


class _Subprocess:
    Popen = staticmethod(popen)


RESTARTS = {"receiver": "receiver.supervisor.pipelines", "sender": "sender.daemon"}  # where they are counted
if MODE == "lies":
    counting: Any = importlib.import_module(RESTARTS[SIDE])
    counting.MOST_RESTARTS = 1000
if MODE == "always":
    counted: Any = restarts
    counted.WITHIN_S = math.inf
starting: Any = workers
starting.subprocess = _Subprocess
sys.argv = [f"diode-{SIDE}", *sys.argv[4:]]
importlib.import_module(f"{SIDE}.cli.main").main()
