"""A bundle is called incomplete once, and only when nothing that has arrived could still complete it."""

from receiver.peer.completion import GRACE_S, Endings


def test_incomplete_after_the_grace_once() -> None:
    """Heartbeats repeat that the passes are over; one report is enough."""
    endings = Endings()
    endings.over("a", 0.0, receiving=True)
    assert [] == endings.due(GRACE_S / 2, 5, 5)
    endings.over("a", 1.0, receiving=True)
    assert ["a"] == endings.due(GRACE_S, 5, 5)
    endings.over("a", 9.0, receiving=True)
    assert [] == endings.due(99.0, 5, 5)


def test_slabs_that_store_has_not_written_yet_are_waited_for() -> None:
    """However slow the disk, and whatever other bundles bring meanwhile."""
    endings = Endings()
    endings.over("a", 0.0, receiving=True)
    assert [] == endings.due(60.0, 7, 2)
    assert [] == endings.due(61.0, 900, 6)
    assert ["a"] == endings.due(62.0, 950, 7)


def test_published_after_all() -> None:
    """The last slab may complete it after the report, or before it."""
    endings = Endings()
    endings.over("a", 0.0, receiving=True)
    endings.over("b", 0.0, receiving=True)
    endings.ended("a")
    assert ["b"] == endings.due(9.0, 0, 0)
    endings.ended("b")
    endings.over("b", 10.0, receiving=False)
    assert [] == endings.due(99.0, 0, 0)


def test_a_bundle_whose_manifest_never_came() -> None:
    """It was announced as being sent, so its end is worth a report; a bundle of before our time is not."""
    endings = Endings()
    endings.over("old", 0.0, receiving=False)
    endings.more("new")
    endings.over("new", 0.0, receiving=False)
    assert ["new"] == endings.due(9.0, 0, 0)


def test_another_pass_takes_the_report_back() -> None:
    """What is sent again is not incomplete yet."""
    endings = Endings()
    endings.over("a", 0.0, receiving=True)
    assert ["a"] == endings.due(9.0, 0, 0)
    endings.more("a")
    endings.over("a", 10.0, receiving=True)
    assert ["a"] == endings.due(19.0, 0, 0)


def test_replaced_workers_count_from_nothing() -> None:
    """Their counters start again, and so does the grace."""
    endings = Endings()
    endings.over("a", 0.0, receiving=True)
    assert [] == endings.due(9.0, 100, 90)
    endings.restarted(10.0)
    assert [] == endings.due(11.0, 0, 0)
    assert ["a"] == endings.due(14.0, 0, 0)
