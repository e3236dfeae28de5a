"""``diode-receiver drill verify``: checks the signature of a drill's report, and the page beside it."""

from pathlib import Path
from typing import Final

from diode.console.prompts import print_fields
from diode.console.terminal import say, say_json
from diode.errors import IntegrityError, UsageError
from diode.storage.durable import read_bounded
from diode.trust.keys import read_public_key
from receiver.promotion.report import MAX_REPORT_BYTES, DrillReport, read_report
from receiver.promotion.report_page import make_page, verdict

ENDING: Final = ".dsse.json"
MAX_PAGE_BYTES: Final = 4 << 20  # a report as a page: each character becomes a few at most


def verify(path: Path, key: Path, *, as_json: bool) -> None:
    """Check a report, show what it says. Raises UsageError, SignatureError, IntegrityError."""
    public = read_public_key(key)
    try:
        sealed = read_bounded(path, MAX_REPORT_BYTES)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
    report = read_report(sealed, public)
    page = _checked_page(path, report, public.keyid)
    if as_json:
        say_json(report.model_dump() | {"signed_by": public.keyid})
        return
    _show(report)
    say(f"signed by key {public.keyid}", f"page: {page} says the same" if page else "there is no page beside it")


def _checked_page(path: Path, report: DrillReport, keyid: str) -> Path | None:
    """The page beside a report; None: there is none. Raises IntegrityError: it is not what the report says."""
    page = path.with_name(path.name.removesuffix(ENDING) + ".html")
    if page == path or not page.exists():
        return None
    try:
        content = read_bounded(page, MAX_PAGE_BYTES)
    except OSError as error:
        raise UsageError(f"{page} cannot be read: {error.strerror or error}") from error
    if content != make_page(report, keyid).encode():
        raise IntegrityError(f"{page} is not what {path.name} says: it was changed, or another version made it")
    return page


def _show(report: DrillReport) -> None:
    print_fields(
        {
            "drill": f"{report.label}, {report.id}",
            "receiver": report.receiver,
            "ordered by": report.who,
            "reason": report.reason,
            "began": report.began,
            "ended": report.ended,
            "versions": f"{report.start.version} to {report.rehearsed.version} and back",
            "verified": f"{report.files} files, {report.bytes:,} bytes",
        }
    )
    print_fields({step.name: f"{step.outcome}, {step.ms} ms {step.detail}".rstrip() for step in report.steps})
    say(*(f"wrong: {one}" for one in report.findings), verdict(report))
