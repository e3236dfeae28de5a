"""Held bundles of channels that have a scanner are scanned, each once at a time, and none at the end."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from diode.config.init import init_receiver
from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.process.asking import NoAnswerError
from diode.trust.keys import new_link_key
from receiver.events.happened import Event, NowHeld, ScanFailed
from receiver.ledger.ledgers import StoreLedger
from receiver.supervisor import scans
from receiver.supervisor.scans import Scans
from tests.receiver.events.happenings import BUNDLE, HELD, PUBLISHED

SCANNED = replace(HELD, is_scanned=True)


class Scanner:
    """In the place of a site's command: it does not answer until it may."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may_answer = asyncio.Event()

    async def scan(self, command: Any, facts: dict[str, Any], *_: Any) -> Any:
        """It never decides."""
        self.asked.append(facts["bundle"])
        await self.may_answer.wait()
        raise NoAnswerError("it hangs")


class Scanning:
    """The reader of a receiver whose channel ``cve`` has a scanner."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        init_receiver(folder, listen="127.0.0.1:9", auth="none", link_key=new_link_key(), public=None)
        with (folder / "receiver.toml").open("a") as file:
            file.write('[channels.cve]\nscan = ["/bin/true"]\n')
        self.scanner = Scanner()
        monkeypatch.setattr(scans, "scan", self.scanner.scan)
        monkeypatch.setattr(scans, "let_in", lambda *_: None)
        self.said: list[Event] = []
        self.is_over = False
        config = load(ReceiverConfig, folder / "receiver.toml")
        ledger = StoreLedger(folder / "ledger.db")
        self.scans = Scans(config, ledger, lambda: self.is_over, self.said.append)

    async def read(self, *events: Event) -> None:
        """Take these events, and let what they begin begin."""
        for event in events:
            self.scans.read(event)
        await asyncio.sleep(0)


async def test_a_held_bundle_is_scanned_once_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new pipeline says once more what is held; when a scan is over, that begins another one."""
    made = Scanning(tmp_path, monkeypatch)
    await made.read(SCANNED, SCANNED, replace(SCANNED, row=replace_id(SCANNED, "b" * 16)))
    assert [BUNDLE, "b" * 16] == made.scanner.asked
    made.scanner.may_answer.set()
    await asyncio.gather(*made.scans._running.values())
    assert {ScanFailed(one, "it hangs", "cve/b/1") for one in (BUNDLE, "b" * 16)} == set(made.said)
    await asyncio.sleep(0)
    await made.read(SCANNED)
    assert 3 == len(made.scanner.asked)
    await made.scans.close()


def replace_id(held: NowHeld, bundle: str) -> Any:
    """The row of another bundle."""
    return held.row._replace(id=bundle)


async def test_what_has_no_scanner_is_not_scanned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """People decide; nor is what is not held."""
    made = Scanning(tmp_path, monkeypatch)
    await made.read(HELD, PUBLISHED)
    assert [] == made.scanner.asked


async def test_no_scan_begins_or_lasts_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would have been decided stays held, and nothing is said of it."""
    made = Scanning(tmp_path, monkeypatch)
    await made.read(SCANNED)
    await made.scans.close()
    made.is_over = True
    await made.read(SCANNED)
    assert ([BUNDLE], []) == (made.scanner.asked, made.said)


async def test_a_person_has_it_scanned_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once its scanner gave no answer, and not while it is at work, nor when the bundle is over."""
    scanning = Scanning(tmp_path, monkeypatch)
    await scanning.read(SCANNED)
    assert not scanning.scans.has_failed(BUNDLE)
    scanning.scanner.may_answer.set()
    for _ in range(5):
        await asyncio.sleep(0)
    assert scanning.scans.has_failed(BUNDLE)
    scanning.scans.again(BUNDLE)
    await asyncio.sleep(0)
    assert [BUNDLE, BUNDLE] == scanning.scanner.asked
    await scanning.read(PUBLISHED)
    assert not scanning.scans.has_failed(BUNDLE)
    await scanning.scans.close()
