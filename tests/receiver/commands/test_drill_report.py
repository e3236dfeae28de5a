"""``diode-receiver drill verify``: signature and page of a drill's report."""

from pathlib import Path

import pytest

from diode.errors import IntegrityError, SignatureError
from diode.formats.dsse import load_signer
from diode.trust.keys import new_signing_key
from receiver.commands.drill_report import verify
from receiver.promotion.report import seal_report
from receiver.promotion.report_page import make_page
from tests.receiver.promotion.test_report import REPORT


def test_a_report_is_checked_with_its_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the receiver's public key alone; another key, and a page that says something else, are refused."""
    private, public = new_signing_key()
    signer, other = load_signer(private), new_signing_key()[1]
    (tmp_path / "service.pub").write_bytes(public)
    (tmp_path / "other.pub").write_bytes(other)
    report = tmp_path / "a.dsse.json"
    report.write_bytes(seal_report(REPORT, [signer]))
    verify(report, tmp_path / "service.pub", as_json=False)
    assert "no page beside it" in capsys.readouterr().out
    page = make_page(REPORT, signer.public_key.keyid)
    (tmp_path / "a.html").write_text(page)
    verify(report, tmp_path / "service.pub", as_json=False)
    assert "says the same" in capsys.readouterr().out
    with pytest.raises(SignatureError):
        verify(report, tmp_path / "other.pub", as_json=False)
    (tmp_path / "a.html").write_text(page.replace("every quarter", "every year"))
    with pytest.raises(IntegrityError, match="is not what"):
        verify(report, tmp_path / "service.pub", as_json=False)
