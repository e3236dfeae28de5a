"""``diode-sender log``: the life of one bundle, as this side knows it."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from diode.audit.entries_of import entries_of
from diode.config.load import load
from diode.config.sender import SenderConfig
from diode.console.life import Life, Step, find_bundle, show_life, step_of
from sender.commands.opening import open_ledger
from sender.commands.status_lines import KEPT_BACK
from sender.ledger import Ledger, State


def log(toml: Path, bundle: str, *, as_json: bool) -> None:
    """Show one bundle's life."""
    config = load(SenderConfig, toml)
    with closing(open_ledger(config)) as ledger:
        found, row = find_bundle(ledger.listing, bundle)
        is_kept = row is not None and row.state == State.QUEUED and found in ledger.kept_back.all()
        steps = [step_of(entry) for entry in entries_of(config.audit_folder, found, row.at if row else "")]
        steps += [] if row is None else _of_ledger(ledger, found)
    show_life(Life(found, row, steps, KEPT_BACK if is_kept else ""), as_json=as_json)


def _of_ledger(ledger: Ledger, bundle: str) -> Iterator[Step]:
    """What only the ledger knows: when each pass began, and how far sending has come."""
    row = ledger.get(bundle)
    if row is None:
        return
    for number, at in ledger.progress.begun(bundle).items():
        yield Step(at, f"pass {number + 1} begun", source="ledger")
    if row.state == State.QUEUED:
        place = ledger.progress.of(bundle)
        if place.slab or place.sending_pass:
            detail = f"pass {place.sending_pass + 1} of {row.passes}, the next slab is {place.slab}"
            yield Step("", "on its way", detail=detail, source="ledger")
    if row.passes_over:
        over = "1 pass was" if row.passes_over == 1 else f"{row.passes_over} passes were"
        yield Step("", "passes", detail=f"{over} sent, resends included", source="ledger")
    for resend in ledger.resends.waiting():
        if resend.bundle == bundle:
            yield Step("", "resend waits", detail=f"{len(resend.ranges)} stretches of slabs", source="ledger")
