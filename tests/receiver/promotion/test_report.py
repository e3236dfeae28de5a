"""Reports of drills: signed, bounded, read back as written; and a page that holds no more than it says."""

import re
from html.parser import HTMLParser

import pytest

from diode.errors import IntegrityError, SignatureError
from diode.formats.dsse import load_signer, seal
from diode.trust.keys import new_signing_key
from receiver.promotion.report import MAX_REPORT_BYTES, REPORT_TYPE, DrillReport, Place, Step, read_report, seal_report
from receiver.promotion.report_page import make_page, seconds, verdict

REPORT = DrillReport(
    id="00000000000000aa",
    receiver="enclave1",
    channel="models",
    name="item",
    who="user alice",
    reason="every quarter",
    began="2026-11-28T12:00:00Z",
    ended="2026-11-28T12:01:00Z",
    start=Place(version="2", bundle="00000000000000bb"),
    rehearsed=Place(version="1", bundle="00000000000000cc"),
    passed=True,
    interrupted=False,
    total_ms=61_021,
    steps=[
        Step(name="roll back", outcome="passed", ms=12),
        Step(name="verify files", outcome="passed", ms=61_000, detail="3 files"),
        Step(name="health", outcome="not done", ms=0, detail="the channel has no health hook"),
        Step(name="return", outcome="passed", ms=9),
    ],
    files=3,
    bytes=1234567,
    findings=[],
    stays=["apt stays"],
)
SIGNER = load_signer(new_signing_key()[0])


class Tags(HTMLParser):
    """Every tag and attribute of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, list[str]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        self.found.append((tag, [name for name, _ in attrs]))

    def handle_data(self, data: str) -> None:
        """Note it."""
        self.text += data


def test_a_report_is_read_back_as_it_was_signed() -> None:
    """By the receiver's key; by no other."""
    sealed = seal_report(REPORT, [SIGNER])
    assert REPORT == read_report(sealed, SIGNER.public_key)
    with pytest.raises(SignatureError):
        read_report(sealed, load_signer(new_signing_key()[0]).public_key)
    with pytest.raises(SignatureError):
        read_report(seal_report(REPORT, []), SIGNER.public_key)
    assert REPORT == read_report(seal_report(REPORT, []), None)


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b'{"format":"diode-drill-2"}'])
def test_what_is_no_report_is_refused(payload: bytes) -> None:
    """Though it is signed."""
    with pytest.raises(IntegrityError):
        read_report(seal(payload, REPORT_TYPE, [SIGNER], MAX_REPORT_BYTES), SIGNER.public_key)


def test_the_page_says_all_that_the_report_says() -> None:
    """Versions, people, steps with their times, files, what stays, and who signed."""
    page = Tags(make_page(REPORT, "ab" * 32)).text
    wanted = ["models/item", "2 (bundle 00000000000000bb)", "1 (bundle 00000000000000cc)", "user alice", "61.0 s"]
    wanted += [
        "every quarter",
        "3 files, 1,234,567 bytes",
        "apt stays",
        "ab" * 32,
        "The drill passed",
        "no health hook",
    ]
    assert [] == [text for text in wanted if text not in page]


def test_the_page_runs_nothing_and_asks_nobody() -> None:
    """Whatever strangers have put into names and findings: no tag but ours, no script, no address."""
    evil = "<script>alert(1)</script><img src=x onerror=y>\x1b[2J\u202e\"'&"
    report = REPORT.model_copy(
        update={
            "name": evil,
            "who": evil,
            "reason": evil,
            "findings": [evil],
            "stays": [evil],
            "passed": False,
            "rehearsed": Place(version=evil, bundle="00000000000000cc"),
            "steps": [Step(name="health", outcome="failed", ms=1, detail=evil)],
        }
    )
    page = make_page(report, evil)
    tags = Tags(page)
    assert {"class", "lang", "charset"} == {name for _, names in tags.found for name in names}
    known = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "table", "tr", "th", "td", "br", "ul"}
    assert set() == {tag for tag, _ in tags.found} - known - {"li", "div", "footer"}
    assert not re.search(r"https?:|url\(|@import|[\x00-\x09\x0b-\x1f\u202e]", page)


def test_the_verdict_is_one_sentence() -> None:
    """It names what failed, and says that a drill was interrupted."""
    failed = [Step(name="health", outcome="failed", ms=1), Step(name="return", outcome="passed", ms=1)]
    report = REPORT.model_copy(update={"passed": False, "steps": failed})
    assert "The drill failed: 'health' did not pass." == verdict(report)
    unhooked = [Step(name="verify files", outcome="failed", ms=1), Step(name="health", outcome="not done", ms=0)]
    assert "The drill failed: 'verify files' did not pass." == verdict(report.model_copy(update={"steps": unhooked}))
    assert "interrupted" in verdict(report.model_copy(update={"interrupted": True}))
    assert ["12 ms", "1.5 s", "2.0 min"] == [seconds(12), seconds(1500), seconds(120_000)]
