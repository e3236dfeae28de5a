"""A quick slice of `make faults`: simulated worlds, kill points, and builds that must be caught."""

from collections.abc import Iterator

import pytest

from tests.faults.broken import BUILDS, LIES, LIES_AND_KILLS, caught
from tests.faults.scenario import Faults
from tests.faults.world import world

LONG = pytest.mark.long
SLOW = pytest.mark.slow


def more(mark: pytest.MarkDecorator, *values: object) -> Iterator[object]:
    """Parameters that run only where tests of this mark do."""
    return (pytest.param(value, marks=mark) for value in values)


@pytest.mark.parametrize("seed", [0, 4, 10, *more(LONG, 1, 2, 3, *range(5, 10), 11), *more(SLOW, *range(12, 100))])
def test_no_world_loses_a_bundle_or_publishes_one_twice(seed: int) -> None:
    """Kills, power losses, outages and failing disks: what was staged is published once, as staged."""
    with world(seed) as made:
        made.run()


@pytest.mark.parametrize("number", [28, *more(LONG, *(n for n in range(1, 60, 9) if n != 28))])
@pytest.mark.parametrize("killed_by", ["receiver", "power", "sender"])
def test_a_daemon_may_end_before_any_change_of_its_disk(killed_by: str, number: int) -> None:
    """Every ninth of the kill points of one bundle; `make faults` takes them all."""
    with world(number, Faults(bundles=1, killed_by=killed_by, kill_at=number)) as made:
        made.run()


@pytest.mark.long
@pytest.mark.parametrize("faults", [LIES, LIES_AND_KILLS], ids=["alone", "and the receiver is killed"])
@pytest.mark.parametrize("seed", [0, *more(LONG, 1, 2, 3), *more(SLOW, *range(4, 60))])
def test_what_a_disk_loses_is_asked_for_again(seed: int, faults: Faults) -> None:
    """It fails to write, says so once, and syncs well afterwards: nothing is published that cannot be read."""
    with world(seed, faults) as made:
        made.run()
        assert made.counts["lies"]


@pytest.mark.long
@pytest.mark.parametrize(
    "name",
    [
        "the digest of a slab is not checked",
        "bundles of which nothing arrived are forgotten",
        *more(
            LONG,
            "that writes were lost is not taken to heart",
            "the descriptor for syncing is opened to sync",
        ),
    ],
)
def test_a_broken_build_is_caught(name: str) -> None:
    """The harness notices; `make faults` breaks the others too."""
    assert name in BUILDS
    assert caught(name) is not None


def test_another_bundle_under_a_number_is_told_from_the_signed_one() -> None:
    """A manifest names its predecessor."""
    with world(1, Faults(bundles=0)) as made:
        made.run()
        assert made.enclave is not None
        made.stage("second", b"as it should be")
        while made.advance():
            pass
        assert "PredecessorDiffers" not in made.alarms
        made.enclave.store.records.ledger._connection.execute(
            "UPDATE bundle SET id = ? WHERE sequence = 2", ("0" * 16,)
        )
        made.stage("third", b"after something else")
        while made.advance():
            pass
        assert "PredecessorDiffers" in made.alarms
