"""``receiver.describe.worker`` whose children do what a hostile bundle may make them do."""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from diode.process import child
from diode.storage.folder import Folder
from receiver.describe import describing, worker
from receiver.describe.describing import Answer
from receiver.messages.questions import Claims, DescribeBundle, DescribedBundle

REAL = describing.describe
ENDLESS = {"loop", "late", "fork"}  # ended by the limit of time alone
SOON_S = 1.0


def _forge(asked: DescribeBundle, bundle: str) -> Answer:
    return [Claims(bundle, "pypi", (("x", "x"),))], DescribedBundle(bundle, "2026-01-01T00:00:00Z", "built", "{}", "")


def _fork() -> None:
    if os.fork() == 0:
        time.sleep(3600)


def _grow(out: Path) -> None:
    with (out / "card.db").open("wb") as file:
        file.truncate(1 << 40)


ENDS: dict[str, Callable[[DescribeBundle, Path], object]] = {
    "crash": lambda *_: 1 / 0,
    "exit": lambda *_: os._exit(7),
    "signal": lambda *_: os.abort(),
    "memory": lambda *_: bytearray(1 << 40),
    "loop": lambda *_: sum(iter(int, 1)),
    "late": lambda *_: time.sleep(3600),
    "fork": lambda *_: _fork(),
    "another bundle": lambda asked, _: _forge(asked, asked.bundle[::-1]),
    "another kind": lambda asked, _: _forge(asked, asked.bundle),
    "no card": lambda asked, _: _forge(asked, asked.bundle),
    "a huge card": lambda _, out: _grow(out),
    "another's card": lambda _, out: (out.parent / "fedcba9876543210.db").write_bytes(b"mine"),
    "a link": lambda _, out: (out / "card.db").symlink_to("/etc/passwd"),
}


def _describe(asked: DescribeBundle, version: Folder, out: Path, *, is_plain: bool = False) -> Answer:
    if not is_plain and asked.name in ENDS:
        done = ENDS[asked.name](asked, out)
        if isinstance(done, tuple):
            return done
    return REAL(asked, version, out, is_plain=is_plain)


def _child(seen: child.Seen, work: Any) -> child.Child:
    """The real one; whatever would never end has its time soon, so that nobody else is in a hurry."""
    looks = isinstance(work, worker._Looking) and not work.is_plain
    is_endless = looks and work.asked.name in ENDLESS
    return child.Child(replace(seen, limit_s=SOON_S) if is_endless else seen, work)


def main() -> None:
    """Entry point, as the worker's own."""
    replaced: Any = worker
    replaced.describe, replaced.Child = _describe, _child
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    worker.main()
