"""Whole sets pass, and one thing that is taken out is named for whoever needs it (tests/closure_trials.py)."""

import pytest

from tests.closure_trials import run


@pytest.mark.long
def test_what_is_taken_out_is_named() -> None:
    """A slice of the trials: each kind three times or more."""
    outcome = run(range(1001, 1021))
    assert (20, [], []) == (outcome.named, outcome.alarms, outcome.silent)
