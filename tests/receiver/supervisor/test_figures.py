"""What the workers count, over their restarts, and what the report of an incomplete bundle says of strangers."""

from diode.errors import Drop
from diode.process.memory import Counters
from receiver.supervisor.figures import STRANGERS, Figures, flood_note

LOSSES = {"datagrams": 1000, "lost_before_fec": 500, "socket_drops": 0, "refused": 0}
OURS: dict[str, int] = {Drop.REDUNDANT: 7, Drop.DUPLICATE: 5, Drop.CONFLICT: 3}  # of datagrams that carry a valid tag


def test_losses_are_put_down_to_a_flood() -> None:
    """Many refused datagrams are named by reason, and so is what found the socket full meanwhile."""
    drops: dict[str, int] = {Drop.TAG: 70_000, Drop.SESSION: 20_000, Drop.MAGIC: 9_000, Drop.KEY: 1_000} | OURS
    note = flood_note(LOSSES | {"refused": 100_000, "socket_drops": 12}, drops)
    assert "100000 datagrams were refused since the start (tag 70000, session 20000, magic 9000)" in note
    assert "12 of whomever found the socket full: a flood" in note


def test_a_line_that_loses_is_no_flood() -> None:
    """Nothing is said of strangers where there were none, or hardly any."""
    assert "" == flood_note(LOSSES, OURS)
    assert "" == flood_note(LOSSES | {"refused": 3}, OURS | {Drop.TAG: 3})
    assert "" == flood_note(dict.fromkeys(LOSSES, 0), {})


def test_only_who_lacks_the_key_is_a_stranger() -> None:
    """What is dropped after the tag was found right is no sign of a flood."""
    assert not set(STRANGERS) & {Drop.REDUNDANT, Drop.DUPLICATE, Drop.CONFLICT, Drop.SIGNED_GEOMETRY, Drop.MEMORY}
    assert {Drop.TAG, Drop.SESSION, Drop.KEY, Drop.HEARTBEAT_RATE} <= set(STRANGERS)


def counters(**values: int) -> Counters:
    """A worker's counters with these values."""
    made = Counters(Counters.create(tuple(values)), tuple(values))
    for name, value in values.items():
        made[name] = value
    return made


def test_counts_go_on_over_restarts_and_levels_do_not() -> None:
    """What an ended worker counted is kept; the size of a buffer is the newest one's."""
    figures = Figures()
    figures.follow(counters(received=3, expected=5, drop_tag=2, socket_granted=100))
    figures.settle()
    assert (3, 2, 2) == (figures.losses()["datagrams"], figures.losses()["lost_before_fec"], figures.drops()["tag"])
    figures.follow(counters(received=4, expected=4, drop_tag=1, socket_granted=70))
    assert (7, 2, 3) == (figures.losses()["datagrams"], figures.losses()["lost_before_fec"], figures.drops()["tag"])
    assert (70, 3) == (figures.all()["socket_granted"], figures.losses()["refused"])
    figures.settle()
    assert (7, 70) == (figures.losses()["datagrams"], figures.all()["socket_granted"])
