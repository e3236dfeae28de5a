"""What drills share: arguments, a folder, a limit on their time, one line at the end, an exit code."""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 2 << 30


class Outcome(Protocol):
    """What a drill ends with: its text is the summary."""

    @property
    def is_good(self) -> bool: ...


def arguments(purpose: str | None, *, limit_s: float) -> argparse.ArgumentParser:
    """A parser with what every drill takes."""
    parser = argparse.ArgumentParser(description=purpose, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="of contents and losses")
    parser.add_argument("--limit", type=float, default=limit_s, help="seconds, then the drill has failed")
    parser.add_argument("--folder", type=Path, default=_folder(), help="where; default: in memory if there is room")
    return parser


def carry_out(name: str, given: argparse.Namespace, drill: Callable[[Path], Awaitable[Outcome]]) -> None:
    """Run a drill in a folder of its own; print its summary; exit with 0, or 1 for a failure, or 130 for Ctrl-C."""

    async def limited(folder: Path) -> Outcome:
        async with asyncio.timeout(given.limit):
            return await drill(folder)

    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix=f"diode-{name}-", dir=given.folder) as folder:
            outcome = asyncio.run(limited(Path(folder) / "pair"))
    except TimeoutError:
        sys.exit(f"{name}: failed: not over after {given.limit:.0f} s (--seed {given.seed})")
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        sys.exit(130)
    verdict = "ok" if outcome.is_good else f"failed (--seed {given.seed})"
    print(f"{name}: {verdict}: {outcome}; {time.monotonic() - began:.0f} s")
    sys.exit(0 if outcome.is_good else 1)


def _folder() -> Path | None:
    """Memory, since drills are about the daemons: deleting what 10,000 bundles leave may take a disk minutes."""
    roomy = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _ROOM_BYTES
    return _MEMORY if roomy else None
