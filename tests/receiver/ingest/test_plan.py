"""Which steps are left: from what lies in the store, and what the journal says."""

import pytest

from diode.errors import ReplayError
from receiver.ingest.journal import Record
from receiver.ingest.plan import Asked, plan
from receiver.ingest.target import Found

SUMS = "a" * 64
ASKED = Asked("c/n@v2", "v2", SUMS, is_current=True, may_replace=False)
RECORD = Record(bundle="00000000000000aa", channel="c", name="n", version="v2", sums=SUMS, place="v2")
ALL = ("put", "check", "publish", "point")


@pytest.mark.parametrize(
    ("found", "current", "record", "steps"),
    [
        (Found("absent"), "", None, ALL),
        (Found("absent"), "v1", RECORD, ALL),
        (Found("same"), "v1", None, ("point",)),
        (Found("same"), "v2", None, ()),
        (Found("same"), "v1", RECORD.but(publishing=True), ("publish", "point")),
        (Found("same"), "v2", RECORD.but(publishing=True, phase="done"), ()),
        (Found("other", "b" * 64), "v1", RECORD.but(replaces="b" * 64), ALL),
    ],
)
def test_what_is_left(found: Found, current: str, record: Record | None, steps: tuple[str, ...]) -> None:
    """Nothing is done twice that can be seen to be done."""
    assert steps == plan(ASKED, found, current, record).steps


def test_a_version_that_is_not_in_use_is_not_pointed_to() -> None:
    """It is put beside the others."""
    assert ALL[:3] == plan(ASKED._replace(is_current=False), Found("absent"), "v1", None).steps


def test_other_content_is_refused_with_both_digests() -> None:
    """Unless it may be replaced; then it is noted which."""
    with pytest.raises(ReplayError, match=f"{'b' * 64}.*{SUMS}"):
        plan(ASKED, Found("other", "b" * 64), "", RECORD.but(phase="done"))
    assert "b" * 64 == plan(ASKED._replace(may_replace=True), Found("other", "b" * 64), "", None).replaces
