"""What a daemon shows while it works."""

import pytest
from structlog.testing import capture_logs

from diode.console.progress import Display


@pytest.mark.parametrize(
    ("outcome", "level"),
    [("sent", "info"), ("published", "info"), ("incomplete", "warning"), ("quarantined", "error")],
)
def test_what_a_person_must_see_to_is_no_mere_information(outcome: str, level: str) -> None:
    """Who logs errors alone learns of a bundle that was refused."""
    with capture_logs() as logs:
        Display("lines").finish("weights/a/1", outcome, {"reason": "policy"})
    assert [(f"bundle_{outcome}", level)] == [(entry["event"], entry["log_level"]) for entry in logs]
