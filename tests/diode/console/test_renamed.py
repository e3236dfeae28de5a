"""Names that were changed go on under their old spelling for one release."""

import json
from collections.abc import Iterator

import pytest
import structlog
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric

from diode.console import logs, metrics


def test_a_renamed_metric_is_exported_under_both_names() -> None:
    """With the same figures; the others once."""

    def read() -> Iterator[Metric]:
        yield metrics.counter("diode_receiver_slabs_spilled", "Slabs spilled", 7)
        yield metrics.counter("diode_receiver_datagrams", "Datagrams", 9)

    registry = CollectorRegistry()
    registry.register(metrics._Reader(read))
    lines = [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]
    expected = ["diode_receiver_slabs_spilled_total 7.0", "diode_receiver_slabs_parked_total 7.0"]
    assert [*expected, "diode_receiver_datagrams_total 9.0"] == lines


def test_a_renamed_event_keeps_its_old_name_and_says_the_new_one(capsys: pytest.CaptureFixture[str]) -> None:
    """A filter by ``event`` still finds it."""
    logs.configure("info", json=True)
    structlog.get_logger().error("bundle_cancelled", bundle="00")
    structlog.get_logger().error("disk_failed")
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert ("bundle_withdrawn", "bundle_cancelled") == (first["event"], first["becomes"])
    assert ("disk_failed", False) == (second["event"], "becomes" in second)
