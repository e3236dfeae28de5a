"""What the kernel refuses is offered again, at growing intervals, and reported once."""

from sender.transport.transmit import REFUSED_S, Patience


def test_pauses_grow_and_are_bounded() -> None:
    """A route that is back is used within half a second."""
    patience = Patience()
    pauses = [patience.refused(0.0)[0] for _ in range(8)]
    assert (0.02, 0.5) == (pauses[0], pauses[-1])
    assert sorted(pauses) == pauses
    patience.taken()
    assert 0.02 == patience.refused(9.0)[0]


def test_only_what_lasts_is_reported_and_so_is_its_end() -> None:
    """A full queue passes without a word."""
    patience = Patience()
    assert not patience.refused(5.0)[1]
    assert not patience.taken()
    assert [False, True, False] == [patience.refused(now)[1] for now in (7.0, 7.0 + REFUSED_S, 9.0)]
    assert [True, False] == [patience.taken(), patience.taken()]
