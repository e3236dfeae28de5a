"""The page to print of a drill's report: one HTML file, without scripts and without anything from elsewhere. Pure.

What strangers named (bundles, files, a hook's words) is escaped twice: first to characters that can be seen, then for
HTML. The page is for people; the signed JSON beside it is the proof.
"""

import html
from collections.abc import Iterable, Sequence
from typing import Final

from diode.formats.escape import escape
from receiver.promotion.report import DrillReport, Step

_STYLE: Final = """
@page { size: A4; margin: 20mm }
body { font: 11pt/1.5 "DejaVu Sans", "Liberation Sans", Arial, sans-serif; color: #16202a; background: #fff;
  max-width: 46rem; margin: 2.5rem auto; padding: 0 1.5rem;
  overflow-wrap: anywhere }
h1 { font-size: 1.5rem; margin: 0 0 .25rem }
h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; border-bottom: 1px solid #c8d0d8; padding-bottom: .2rem }
.under { color: #51606e; margin: 0 0 1.25rem }
.verdict { border: 2px solid; border-radius: .4rem; padding: .7rem 1rem; font-weight: 600 }
.passed { color: #14532d; border-color: #1d7a43; background: #f1faf4 }
.failed { color: #7f1d1d; border-color: #b42318; background: #fdf3f2 }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid #e3e8ed;
  overflow-wrap: anywhere }
th { font-weight: 600; white-space: nowrap }
.facts th { width: 11rem; color: #51606e; font-weight: 400 }
td.time { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }
th.time { text-align: right }
li { margin-bottom: .35rem; overflow-wrap: anywhere }
.sign { display: flex; gap: 3rem; margin-top: 3.5rem; break-inside: avoid }
.sign div { flex: 1; border-top: 1px solid #16202a; padding-top: .3rem; color: #51606e }
footer { margin-top: 2.5rem; color: #51606e; font-size: .85rem }
@media print { body { margin: 0; padding: 0; max-width: none } }
"""

_STEPS: Final = {
    "roll back": "Go back to the version before",
    "verify files": "Hold every file at rest against the signed manifest",
    "health": "Run the health hook of the channel",
    "return": "Return to the version in use",
}


def make_page(report: DrillReport, signed_by: str) -> str:
    """The page of a report. ``signed_by``: the id of the key that signed it; empty: nobody has."""
    title = f"Rollback drill of {report.label}"
    parts = [
        f"<h1>{_text(title)}</h1>",
        f'<p class="under">{_text(report.began)} to {_text(report.ended)}</p>',
        _verdict(report),
        "<h2>What was rehearsed</h2>",
        _facts(report),
        "<h2>Steps</h2>",
        _steps(report.steps),
        *_list("What is wrong with the files", report.findings),
        *_list("What does not follow a rollback by itself", report.stays),
        '<div class="sign"><div>Name</div><div>Date and signature</div></div>',
        f"<footer>{_text(_origin(report, signed_by))}</footer>",
    ]
    head = f'<meta charset="utf-8"><title>{_text(title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n' + "\n".join(parts) + "\n</body></html>\n"


def seconds(ms: int) -> str:
    """Milliseconds as people read them."""
    return f"{ms} ms" if ms < 1000 else f"{ms / 1000:.1f} s" if ms < 120_000 else f"{ms / 60_000:.1f} min"


def verdict(report: DrillReport) -> str:
    """How the drill ended, in one sentence."""
    if report.interrupted:
        return "The drill was interrupted: the receiver ended in the middle of it, and returned when it started again."
    if report.passed:
        return f"The drill passed. Going back and returning took {seconds(report.total_ms)} in all."
    failed = " and ".join(f"'{step.name}'" for step in report.failed) or "a step that was not done"
    return f"The drill failed: {failed} did not pass."


def _verdict(report: DrillReport) -> str:
    kind = "passed" if report.passed else "failed"
    return f'<p class="verdict {kind}">{_text(verdict(report))}</p>'


def _facts(report: DrillReport) -> str:
    rows = {
        "In use": f"{report.start.version} (bundle {report.start.bundle})",
        "Went back to": f"{report.rehearsed.version} (bundle {report.rehearsed.bundle})",
        "Ordered by": report.who,
        "Why": report.reason,
        "Files verified": "" if report.interrupted else f"{report.files:,} files, {report.bytes:,} bytes",
    }
    cells = (f"<tr><th>{_text(name)}</th><td>{_text(said)}</td></tr>" for name, said in rows.items() if said)
    return f'<table class="facts">{"".join(cells)}</table>'


def _steps(steps: Sequence[Step]) -> str:
    head = '<tr><th>Step</th><th>Outcome</th><th class="time">Time</th></tr>'
    return f"<table>{head}{''.join(map(_step, steps))}</table>"


def _step(step: Step) -> str:
    detail = f"<br>{_text(step.detail)}" if step.detail else ""
    time = seconds(step.ms) if step.outcome != "not done" else ""
    return (
        f"<tr><td>{_text(_STEPS[step.name])}{detail}</td><td>{_text(step.outcome)}</td>"
        f'<td class="time">{_text(time)}</td></tr>'
    )


def _list(title: str, texts: Iterable[str]) -> list[str]:
    items = "".join(f"<li>{_text(text)}</li>" for text in texts)
    return [f"<h2>{_text(title)}</h2>", f"<ul>{items}</ul>"] if items else []


def _origin(report: DrillReport, signed_by: str) -> str:
    proof = f"The JSON file beside this page is signed by key {signed_by}." if signed_by else "Nobody has signed it."
    return f"Drill {report.id} of the receiver on {report.receiver}. {proof}"


def _text(text: str) -> str:
    return html.escape(escape(text), quote=True)
