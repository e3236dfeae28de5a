"""What is remembered of manifests that were refused."""

from contextlib import closing
from pathlib import Path

import pytest

from receiver.ledger import quarantined
from receiver.ledger.ledgers import StoreLedger
from tests.link import make_bundle

MANIFEST = make_bundle({"a": b"1"}, sequence=7).manifest


def test_a_stranger_takes_nothing_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sends the manifest again under a signature of nobody hides neither its place nor why it was refused.

    Nor does a flood of theirs push it out.
    """
    monkeypatch.setattr(quarantined, "MAX_QUARANTINED", {True: 3, False: 3})
    with closing(StoreLedger(tmp_path / "ledger.db")) as ledger:
        ledger.quarantined.note("a" * 16, MANIFEST, "role", "too few have signed it")
        (before,) = ledger.quarantined.all()
        ledger.quarantined.note("a" * 16, None, "trust", "not signed by a trusted key")
        for number in range(9):
            ledger.quarantined.note(f"{number:016x}", None, "trust", "not signed by a trusted key")
        assert before == ledger.quarantined.of("a" * 16)
        assert (MANIFEST.label, 4) == (before.label, len(ledger.quarantined.all()))


def test_a_known_key_says_more(tmp_path: Path) -> None:
    """What a stranger sent first is explained when it comes under a signature that is known."""
    with closing(StoreLedger(tmp_path / "ledger.db")) as ledger:
        ledger.quarantined.note("a" * 16, None, "trust", "not signed by a trusted key")
        ledger.quarantined.note("a" * 16, MANIFEST, "role", "too few have signed it")
        (found,) = ledger.quarantined.all()
        assert (1, MANIFEST.label, "role") == (found.is_known, found.label, found.reason)
