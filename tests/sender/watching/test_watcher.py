"""The kernel's reports of changes come back by themselves after the outbox was away."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from sender.watching import watcher as module
from sender.watching.watcher import Watcher
from tests.patience import PATIENCE_S


@pytest.fixture
def watcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watcher:
    """One that only watches, and looks often whether the folder is still the same."""
    monkeypatch.setattr(module, "LOOK_MS", 50)
    monkeypatch.setattr(module, "WATCH_AGAIN_S", 0.05)
    made: Any = object.__new__(Watcher)
    made._config = SimpleNamespace(outbox=SimpleNamespace(path=tmp_path / "outbox"))
    made._is_blind = True
    return cast(Watcher, made)


async def test_an_outbox_that_was_away_is_watched_again(watcher: Watcher) -> None:
    """That it is not, and that it is again, is said once each."""
    outbox, hint, stopping = watcher._config.outbox.path, asyncio.Event(), asyncio.Event()
    outbox.mkdir()
    with capture_logs() as logs:
        hints = asyncio.create_task(watcher._hint(hint, stopping))
        await _next(hint)
        outbox.rename(outbox.with_name("away"))
        await _next(hint)
        assert _is_blind(watcher)
        outbox.mkdir()
        while _is_blind(watcher):
            await _next(hint)
        hint.clear()
        (outbox / "cve").mkdir()
        await _next(hint)
        stopping.set()
        await hints
    said = [line["event"] for line in logs]
    assert ["outbox_not_watched", "outbox_watched_again"] == said[:2]


def _is_blind(watcher: Watcher) -> bool:
    return watcher._is_blind


async def _next(hint: asyncio.Event) -> None:
    async with asyncio.timeout(PATIENCE_S):
        await hint.wait()
    hint.clear()
