"""What is shown of bundles."""

from collections.abc import Mapping
from typing import Any

from diode.console.progress import Display
from receiver.events.happened import Event, Ticked
from receiver.supervisor.figures import Figures
from receiver.supervisor.progress import Progress
from tests.receiver.events.happenings import (
    ACCEPTED,
    BUNDLE,
    DROPPED,
    EXPIRED,
    HELD,
    NEVER_BEGUN,
    PARTLY,
    PROGRESS,
    PUBLISHED,
    REFUSED,
    STRANGE,
)

NAMES = {"bundle": BUNDLE, "label": "cve/b/1"}


class KeptDisplay(Display):
    """Keeps what it is to show."""

    def __init__(self) -> None:
        super().__init__("quiet")
        self.shown: list[tuple[Any, ...]] = []
        self.fields: list[Mapping[str, Any]] = []

    def update(self, shown: str, done_bytes: int, total_bytes: int, detail: str, fields: Mapping[str, Any]) -> None:
        self.shown.append((shown, done_bytes, total_bytes))
        self.fields.append(fields)

    def finish(self, shown: str, outcome: str, fields: Mapping[str, Any]) -> None:
        told = {name: value for name, value in fields.items() if name not in Figures().losses()}
        assert fields.keys() >= Figures().losses().keys()
        self.shown.append((shown, outcome, told))
        self.fields.append(fields)


def shown(*events: Event) -> list[tuple[Any, ...]]:
    """What these events show."""
    display = KeptDisplay()
    progress = Progress(display, Figures())
    for event in events:
        progress.read(event)
    return display.shown


def test_what_is_coming_is_shown_when_more_of_it_is_here() -> None:
    """Until it is over, whatever a stranger sends under its id. What waits is not told again at each tick."""
    coming = ("cve/b/1", 250, 1000)
    assert [coming] == shown(ACCEPTED, PROGRESS, Ticked(1.0), Ticked(2.0))
    assert [] == [one for over in (HELD, DROPPED, EXPIRED) for one in shown(PROGRESS, over, Ticked(1.0))]
    assert coming == shown(PROGRESS, STRANGE, Ticked(1.0))[-1]


def test_what_is_over_is_one_line() -> None:
    """With the fields that scripts read."""
    fields = NAMES | {"bytes": 1000, "files": 2, "path": "/p", "signer": "alice", "at_ms": 5}
    assert [("cve/b/1", "published", fields)] == shown(PUBLISHED)
    assert [("cve/b/1", "quarantined", NAMES | {"reason": "policy", "detail": "why"})] == shown(REFUSED)
    assert [(BUNDLE, "quarantined", {"bundle": BUNDLE, "reason": "trust", "detail": "nobody signed"})] == shown(STRANGE)


def test_what_stays_incomplete_is_one_line() -> None:
    """With the code that asks for the rest; of what was never begun only the id is known."""
    code = {"reason": "incomplete", "resend_code": "CODE"}
    sizes = {"bytes": 1000, "files": 2, "detail": "3 of 4 slabs are missing"}
    assert [("cve/b/1", "incomplete", NAMES | sizes | code)] == shown(PARTLY)
    assert [(BUNDLE, "incomplete", {"bundle": BUNDLE, "detail": "no manifest arrived"} | code)] == shown(NEVER_BEGUN)
