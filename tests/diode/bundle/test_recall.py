"""Recall statements: what may be said, and that what is read is what was signed."""

import pytest

from diode.bundle.recall import RecallStatement, check_reason, read_recall, recall_digest, write_recall
from diode.errors import ManifestError

STATEMENT = RecallStatement(
    bundle="00000000000000ff",
    channel="models",
    name="item",
    version="1",
    reason="a key was stolen",
    at="2026-11-28T12:00:00Z",
)


def test_a_statement_is_read_as_it_was_written() -> None:
    """Every field, and it names its bundle as people do."""
    assert STATEMENT == read_recall(write_recall(STATEMENT))
    assert "models/item/1" == STATEMENT.label


def test_two_statements_have_two_digests() -> None:
    """A later one about the same bundle is another statement."""
    later = STATEMENT.model_copy(update={"at": "2026-11-28T12:00:01Z"})
    assert recall_digest(write_recall(STATEMENT)) != recall_digest(write_recall(later))


@pytest.mark.parametrize("reason", ["", " ", "a" * 301, "a\tb", "a\x1b[2J", "\u202e", "\u200b"])
def test_a_reason_shows_all_that_it_is(reason: str) -> None:
    """It is shown on terminals and in status lines, as it is."""
    with pytest.raises(ValueError, match="reason"):
        check_reason(reason)


@pytest.mark.parametrize("payload", [b"", b"[]", b"1", b"null", b'{"format":"diode-recall-1"}', b"[" * 100_000])
def test_what_is_no_statement_is_refused(payload: bytes) -> None:
    """With one kind of error, however it is broken."""
    with pytest.raises(ManifestError, match="no recall"):
        read_recall(payload)
