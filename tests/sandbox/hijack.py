"""``diode-receiver`` with one of its workers taken over: ``hijack.py MODULE free|confined KEY ARGUMENTS``.

``hijack.py MODULE lies|always FOLDER ARGUMENTS``: it does not attack the kernel but lies (``liar.py``): each lie once,
or for ever.
"""

import sys
from collections.abc import Sequence
from typing import Any

from diode import workers
from receiver import daemon
from receiver.cli import main

TARGET, MODE, KEY = sys.argv[1:4]
REAL = workers.subprocess.Popen


def popen(command: Sequence[str], **options: Any) -> Any:
    """Start the attacks in the place of the target."""
    python, dash_m, module, settings = command
    if module == TARGET:
        free = ["freely"] if MODE == "free" else []
        command = [python, dash_m, "tests.sandbox.attacks", settings, module, *free, KEY]
        if MODE in ("lies", "always"):
            command = [python, dash_m, "tests.sandbox.liar", settings, module, KEY]
    return REAL(command, **options)


class _Subprocess:
    Popen = staticmethod(popen)


if MODE == "lies":
    daemon.MOST_RESTARTS = 1000  # type: ignore[misc]
workers.subprocess = _Subprocess  # type: ignore[assignment]
sys.argv = ["diode-receiver", *sys.argv[4:]]
main()
