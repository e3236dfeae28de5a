"""What ``diode-sender status`` says, how wide it is, and what it reads."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from diode.config.init import init_sender
from diode.config.load import load
from diode.config.sender import SenderConfig
from diode.console.asked import Asked
from diode.console.human import cells_of
from diode.trust.keys import new_link_key
from sender.cli.main import app
from sender.commands.status import find
from sender.commands.status_lines import _standing, lines
from sender.ledger import Ledger, Row, State
from tests.plans import scans

LONG = "n" * 250


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sender with a bundle in each state."""
    made = tmp_path_factory.mktemp("sender")
    init_sender(made, to="127.0.0.1:9", mtu=1500, rate=0, profile="standard", auth="none", link_key=new_link_key())
    (made / "state").mkdir(exist_ok=True)
    ledger = Ledger(made / "state" / "ledger.db")
    for number, state in enumerate(State, 1):
        created = f"2026-11-2{number}T00:00:00Z"
        bundle, channel = f"{number:016x}", "even" if number % 2 == 0 else "odd"
        detail = "why " * 60 if state == State.WITHDRAWN else ""
        row = Row(bundle, channel, LONG, f"v{number}", number, "c", 10**13, 3, 1, 0.0, state, detail, created, "")
        ledger.add(row)
    ledger.kept_back.add(f"{3:016x}", "2026-11-28T00:00:00Z")
    ledger.exports.note(f"{4:016x}", "2026-11-28T00:00:00Z")
    ledger.close()
    return made


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ([], [6, 5, 4, 3, 2, 1]),
        (["--last", "2"], [6, 5]),
        (["--channel", "even"], [6, 4, 2]),
        (["--since", "2026-11-24T00:00:00Z"], [6, 5, 4]),
        (["--since", "2026-11-24T00:00:00Z", "--channel", "odd"], [5]),
        (["--all", "--last", "1"], [6, 5, 4, 3, 2, 1]),
    ],
)
def test_one_may_ask_for_fewer_or_for_all(folder: Path, words: list[str], ids: list[int]) -> None:
    """By number, by channel, by time; newest first."""
    done = CliRunner().invoke(app, ["-c", str(folder / "sender.toml"), "status", "--json", *words])
    assert ids == [int(one["id"], 16) for one in json.loads(done.stdout)["bundles"]]


@pytest.mark.parametrize("width", [80, 120])
def test_each_line_fits_and_ids_are_whole(folder: Path, width: int) -> None:
    """Whatever is on air, waits, is kept back or was left in the outbox."""
    found = find(load(SenderConfig, folder / "sender.toml"), Asked())
    moving: dict[str, Any] = {"id": "a" * 16, "label": f"c/{LONG}/v", "size": 10**13, "eta_s": 10**7, "paused": False}
    on_air = moving | {"done_bytes": 5, "total_bytes": 10**13, "bytes_per_s": 10**10, "pass": 15, "passes": 16}
    now = {
        "since": "2026-11-28T00:00:00Z",
        "line": {"to": "[2001:db8::1]:65535", "rate": 10**10, "off": True, "refused": "EHOSTUNREACH"},
        "paused": {"": "2026-11-28T00:00:00Z", "c" * 64: "2026-11-28T00:00:00Z"},
        "packing": [],
        "on_air": [on_air | {"resend": False}, on_air | {"resend": True}],
        "queue": [moving, moving | {"paused": True}],
        "queued": 100_000,
    }
    left = {"item": f"/outbox/c/{LONG}", "why": "was changed " * 9, "do": "end what writes into it " * 9}
    shown = lines(found | {"running": True, "now": now, "left": [left] * 50}, width)
    assert [] == [line for line in shown if cells_of(line) > width]
    text = "\n".join(shown)
    assert all(one["id"] in text for one in found["bundles"])
    kept_back, waiting = f"'diode-sender hold --off {3:016x}' lets it go", f"'diode-sender approve {1:016x}'"
    assert all(
        words in text for words in (kept_back, waiting, "and 40 more", "and 99998 more in the queue", "exported")
    )


@pytest.mark.parametrize("asked", [Asked(), Asked(channel="odd"), Asked(since="2026"), Asked(7, "odd", "2026")])
def test_nothing_scans_the_ledger(folder: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred thousand bundles cost what twenty do."""
    config = load(SenderConfig, folder / "sender.toml")
    with scans(config.state / "ledger.db", monkeypatch) as found:
        find(config, asked)
    assert [] == found


def test_a_bundle_stands_in_one_word(folder: Path) -> None:
    """Where it is on air, paused or kept back, the list of the newest says so too; ``ls`` and ``log`` likewise."""
    found = find(load(SenderConfig, folder / "sender.toml"), Asked())
    kept, queued = f"{3:016x}", next(one["id"] for one in found["bundles"] if one["state"] == State.QUEUED)
    on_air = {"id": queued, "paused": False}
    shown = _standing(found | {"held": [{"id": kept}], "now": {"on_air": [on_air], "queue": []}})
    assert {queued: "on air"} | {kept: "kept back"} == shown | {kept: "kept back"}
    assert (
        "paused" == _standing(found | {"held": [], "now": {"on_air": [on_air | {"paused": True}], "queue": []}})[queued]
    )


def test_items_that_were_set_aside_are_shown(folder: Path) -> None:
    """No bundle stands for them, and nobody else says why."""
    config = load(SenderConfig, folder / "sender.toml")
    (config.outbox.failed / ".reasons" / "c").mkdir(parents=True)
    (config.outbox.failed / "c").mkdir()
    (config.outbox.failed / "c" / "item").touch()
    (config.outbox.failed / ".reasons" / "c" / "item.reason.json").write_text('{"detail": "is a device"}')
    shown = lines(find(config, Asked()), 80)
    begun = shown.index("set aside, and not sent:")
    assert (True, "    is a device") == (shown[begun + 1].endswith("/c/item"), shown[begun + 2])
