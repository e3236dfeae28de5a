"""``diode-sender lag``: what waits in staging, and for how long."""

import json
import os
from contextlib import closing
from pathlib import Path

from typer.testing import CliRunner

from diode.config.init import init_sender
from diode.config.load import load
from diode.config.sender import SenderConfig
from diode.formats.timestamps import moment, now_utc, seconds_of
from diode.storage.database import LEDGER_FILE
from diode.trust.keys import new_link_key
from sender.cli.main import app
from sender.commands.lag import DAY_S, Dropped, Waits, dropped_in, waits
from sender.ledger import Ledger, Row, State

NOW = seconds_of(now_utc())


def packed(number: int, state: State, days: float, channel: str = "cve", origin: str = "") -> Row:
    """A bundle in this state, packed so many days ago."""
    created, bundle = moment(NOW - days * DAY_S), f"{number:016x}"
    return Row(bundle, channel, "n", str(number), number, "00", 5, 1, 1, 0.5, state, "", created, origin)


def test_what_waits_is_counted_by_its_place() -> None:
    """The oldest of all of it, and each channel that is configured or was used."""
    rows = [packed(1, State.UNAPPROVED, 3), packed(2, State.APPROVED, 2), packed(3, State.QUEUED, 1)]
    dropped = [Dropped("new", Path("x"), NOW - 5 * DAY_S)]
    assert [
        Waits("cve", unapproved=1, queued=2, oldest=NOW - 3 * DAY_S, last_packed="then"),
        Waits("idle"),
        Waits("new", outbox=1, oldest=NOW - 5 * DAY_S),
    ] == waits(["idle", "cve"], dropped, rows, {"cve": "then"})


def test_the_outbox_is_read_without_its_hidden_names(tmp_path: Path) -> None:
    """A link counts as itself. An outbox that is not there holds nothing."""
    (tmp_path / "cve" / "item").mkdir(parents=True)
    (tmp_path / "cve" / "link").symlink_to("/nowhere")
    (tmp_path / "cve" / ".part").touch()
    (tmp_path / ".diode").mkdir()
    (tmp_path / "stray").touch()
    assert ["item", "link"] == [one.path.name for one in dropped_in(tmp_path)]
    assert [] == [*dropped_in(tmp_path / "none")]


def test_the_command_shows_staging(tmp_path: Path) -> None:
    """An item that is packed already counts as its bundle alone."""
    key = new_link_key()
    init_sender(tmp_path, to="127.0.0.1:9", mtu=1500, rate=10**8, profile="standard", auth="none", link_key=key)
    config = load(SenderConfig, tmp_path / "sender.toml")
    for name in ("one", "two"):
        (config.outbox.path / "cve" / name).mkdir(parents=True)
    origin = os.path.realpath(config.outbox.path / "cve" / "two")
    with closing(Ledger(config.state / LEDGER_FILE)) as ledger:
        for row in (packed(1, State.SENT, 9), packed(2, State.SENT, 6), packed(3, State.QUEUED, 4, origin=origin)):
            ledger.add(row)
    done = CliRunner().invoke(app, ["-c", str(tmp_path / "sender.toml"), "lag", "--json"])
    assert 0 == done.exit_code, done.output
    (said,) = json.loads(done.output)["channels"]
    assert (1, 0, 1, 4, 6) == tuple(
        said[name] for name in ("outbox", "unapproved", "queued", "oldest_days", "days_since_last_bundle")
    )
    shown = CliRunner().invoke(app, ["-c", str(tmp_path / "sender.toml"), "lag"]).output
    assert "4 d" in shown
    assert "6 d" in shown
