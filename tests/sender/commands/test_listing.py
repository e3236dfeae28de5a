"""``diode-sender ls`` and ``log``, as a person and a program read them."""

import json
from pathlib import Path
from typing import Any

import pytest

from diode.audit.chain import What
from diode.audit.log import AuditLog
from diode.config.init import init_sender
from diode.errors import UsageError
from diode.storage.database import LEDGER_FILE
from diode.trust.keys import new_link_key
from sender.commands import life, listing
from sender.ledger import Ledger
from tests.ledger_scale import fill_sender, id_of, place_of

NEWEST = 11
ALL = listing.Filters("", "", "", "", "")


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    """The configuration of a sender that has sent bundles."""
    line: Any = {"mtu": 1500, "rate": 0, "profile": "standard", "auth": "gmac", "link_key": new_link_key()}
    init_sender(tmp_path / "sender", to="127.0.0.1:9000", **line)
    fill_sender(tmp_path / "sender" / "state" / LEDGER_FILE, NEWEST + 1)
    return tmp_path / "sender" / "sender.toml"


def test_a_line_fits_a_narrow_terminal(toml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Newest first; that there are more is said beside the list."""
    listing.ls(toml, ALL, 2, as_json=False)
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert [id_of(NEWEST), id_of(NEWEST - 1)] == [line.split()[0] for line in lines]
    assert max(map(len, lines)) <= 80
    assert "these are the newest 2; older ones: --last N, or --all\n" == said.err


def test_a_program_reads_lines(toml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One object for each bundle, with the fields that the documentation names."""
    listing.ls(toml, ALL._replace(of="models", state="confirmed"), None, as_json=True)
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [id_of(8), id_of(4)] == [one["bundle"] for one in found]
    names = ["bundle", "label", "channel", "name", "version", "sequence", "state", "detail", "size", "files", "at"]
    names.append("standing")
    assert names == list(found[0])


@pytest.mark.parametrize("wrong", [{"state": "refused"}, {"since": "soon"}, {"of": "a/b", "channel": "c"}])
def test_what_cannot_be_meant_is_refused(toml: Path, wrong: dict[str, str]) -> None:
    """A state that no bundle has, a moment that is none, two channels."""
    with pytest.raises(UsageError):
        listing.ls(toml, ALL._replace(**wrong), 2, as_json=False)


def test_a_life_is_told_in_order(toml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the audit log, and what only the ledger knows after it."""
    place = dict(zip(("channel", "name", "version"), place_of(NEWEST), strict=False))
    log = AuditLog(toml.parent / "state" / "audit", "sender", None)
    for what in (What.PACKED, What.APPROVED, What.SENT):
        log.append(what, bundle=id_of(NEWEST), who="\x1b[2Jann", **place)
    life.log(toml, id_of(NEWEST)[:6], as_json=False)
    shown = capsys.readouterr().out
    assert ("\x1b" not in shown, "by \\x1b[2Jann" in shown) == (True, True)
    life.log(toml, id_of(NEWEST), as_json=True)
    first, *steps = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert ("bundle", id_of(NEWEST)) == (first["message_type"], first["bundle"])
    assert ["packed", "approved", "sent", "passes"] == [step["what"] for step in steps]
    assert ["audit", "audit", "audit", "ledger"] == [step["source"] for step in steps]


def test_a_resend_that_waits_is_told(toml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a person asked for it."""
    ledger = Ledger(toml.parent / "state" / LEDGER_FILE)
    ledger.resends.ask(id_of(3), ((0, 2), (5, 6)))
    ledger.close()
    life.log(toml, id_of(3), as_json=False)
    assert "resend waits: 2 stretches of slabs\n" in capsys.readouterr().out
