"""``diode-receiver ls`` and ``log``, as a person and a program read them."""

import json
from pathlib import Path

import pytest

from diode.audit.chain import What
from diode.audit.log import AuditLog
from diode.config.init import init_receiver
from diode.errors import UsageError
from diode.storage.database import LEDGER_FILE
from diode.trust.keys import new_link_key
from receiver.commands import life, listing
from receiver.ledger.ledgers import SupervisorLedger
from tests.ledger_scale import fill_receiver, id_of

ALL = listing.Filters("", "", "", "", "")
STRANGE = "00000000000000ff"


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    """The configuration of a receiver that has published bundles, and refused the first."""
    init_receiver(tmp_path / "receiver", listen="127.0.0.1:9000", auth="gmac", link_key=new_link_key(), public=None)
    fill_receiver(tmp_path / "receiver" / "state" / LEDGER_FILE, 8)
    return tmp_path / "receiver" / "receiver.toml"


def test_states_of_this_side_are_known(toml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And no others."""
    listing.ls(toml, ALL._replace(state="refused"), 5, as_json=True)
    assert [id_of(0)] == [json.loads(line)["bundle"] for line in capsys.readouterr().out.splitlines()]
    with pytest.raises(UsageError, match="no bundle is ever 'sent'"):
        listing.ls(toml, ALL._replace(state="sent"), 5, as_json=True)


def test_the_senders_word_is_marked(toml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody has signed what a heartbeat says."""
    ledger = SupervisorLedger(toml.parent / "state" / LEDGER_FILE)
    ledger.peer.note_cancelled([id_of(5)])
    ledger.close()
    life.log(toml, id_of(5), as_json=False)
    assert "cancelled: no more of it comes (says the sender, unsigned)\n" in capsys.readouterr().out


def test_a_quarantined_bundle_is_found_by_its_whole_id(toml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The ledger has no row of it."""
    AuditLog(toml.parent / "state" / "audit", "receiver", None).append(
        What.QUARANTINED, bundle=STRANGE, verdict="signature", detail="no known key signed it"
    )
    life.log(toml, STRANGE, as_json=False)
    shown = capsys.readouterr().out
    assert f"{STRANGE}: the ledger does not have it" == shown.splitlines()[0]
    assert "signature: no known key signed it" in shown
    with pytest.raises(UsageError, match="is not known here"):
        life.log(toml, "0" * 16, as_json=False)


def test_ls_has_the_word_that_status_has(toml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Quarantined, and not refused; either word finds it."""
    listing.ls(toml, ALL._replace(state="quarantined"), 5, as_json=False)
    assert [f"{id_of(0)} ", "quarantined"] == [(line := capsys.readouterr().out)[:17], line.split()[-2]]
