"""How old the content of each channel is, by the day: budgets, trends, clocks, and the picture of it."""

from xml.etree import ElementTree as ET

import pytest

from diode.config.receiver import Channel
from diode.formats.timestamps import moment, seconds_of
from receiver.catalogue.lag import DAY_S, Arrival, Lag, State, lags, worst
from receiver.catalogue.lag_picture import BAR, bar, scale_of, steps, svg

NOW = "2026-11-29T12:00:00Z"


def before(days: float) -> str:
    """So many days before NOW."""
    return moment(seconds_of(NOW) - days * DAY_S)


def came(
    dated: float | None, published: float = 1, channel: str = "a", state: str = "published", *, current: bool = False
) -> Arrival:
    """A bundle whose content and whose publication are so many days old."""
    return Arrival(channel, state, current, before(published), "" if dated is None else before(dated), "apt")


def one(*arrivals: Arrival) -> Lag:
    """The lag of the one channel."""
    (row,) = lags(arrivals, {"a": Channel()}, NOW)
    return row


@pytest.mark.parametrize(
    ("days", "state"),
    [(0, "within"), (13.99, "within"), (14, "warn"), (29.99, "warn"), (30, "breach"), (400, "breach")],
)
def test_a_channel_stands_against_its_budget(days: float, state: str) -> None:
    """14 and 30 days, unless its configuration says otherwise."""
    assert state == one(came(days)).state


def test_a_budget_is_configured() -> None:
    """Of the channel; one that is not configured has the usual."""
    strict = {"a": Channel(lag_warn_days=1, lag_breach_days=2)}
    rows = lags([came(3), came(3, channel="b")], strict, NOW)
    assert (Channel().lag_warn_days, Channel().lag_breach_days) == rows[1].budget
    assert [("a", "breach"), ("b", "within")] == [(row.channel, row.state) for row in rows]
    with pytest.raises(ValueError, match="lag_warn_days must not be above"):
        Channel(lag_breach_days=7)


def test_channels_stand_in_natural_order() -> None:
    """Numbers in a name count as numbers."""
    names = ["a", "a-2", "a-2b", "a-02c", "a-10", "b"]
    assert names == [row.channel for row in lags([came(3, channel=name) for name in sorted(names)], {}, NOW)]


def test_the_newest_content_counts_that_may_be_used() -> None:
    """Neither held nor recalled nor removed, nor what nobody looked into. What is in use may be older."""
    gone = [came(1, state="held"), came(2, state="recalled"), came(3, state="removed"), came(None)]
    row = one(*gone, came(9, published=8), came(20, published=19, current=True))
    assert (9, 20, "apt") == (row.days, row.in_use_days, row.dated_by)


def test_days_since_the_last_bundle_go_by_its_publication() -> None:
    """Also of one that was recalled since; a held one did not come yet."""
    row = one(came(9, published=8), came(9, published=3, state="recalled"), came(9, published=1, state="held"))
    assert (before(3), 3) == (row.last, row.since_days)


def test_a_channel_without_content_is_empty() -> None:
    """It has no age, and is no breach."""
    assert (State.EMPTY, None, None) == (one().state, one().days, one().since_days)
    assert worst([one()]) is None


@pytest.mark.parametrize(("dated", "published"), [(-1, 1), (1, -1), (-400, -400)])
def test_what_comes_from_the_future_says_so(dated: float, published: float) -> None:
    """A clock that is behind makes every age too small, so no age is called good."""
    assert State.CLOCK == one(came(dated, published)).state


def test_two_clocks_may_differ_a_little() -> None:
    """By less than an hour."""
    assert State.WITHIN == one(came(-0.03, -0.03)).state


@pytest.mark.parametrize(
    ("lag", "trend"),
    [((5,), ""), ((5, 5.5), "steady"), ((5, 9), "growing"), ((20, 3), "shrinking"), ((1, 2, 3, 9, 9, 9), "growing")],
)
def test_the_trend_is_the_lag_at_each_arrival(lag: tuple[float, ...], trend: str) -> None:
    """Whether later arrivals bring older content than earlier ones did."""
    last = 10 * len(lag)
    row = one(*(came(last - 10 * number + days, last - 10 * number) for number, days in enumerate(lag)))
    assert (trend, lag) == (row.trend, row.arrivals)


def test_an_older_version_that_comes_later_is_no_step_back() -> None:
    """A resend of an old version changes nothing of how old the newest is."""
    assert (0, 2) == one(came(10, 10), came(50, 8)).arrivals


def test_the_worst_is_by_its_own_budget() -> None:
    """Five days of seven are more than ten of thirty."""
    rows = lags([came(5), came(10, channel="b")], {"a": Channel(lag_warn_days=3, lag_breach_days=7)}, NOW)
    found = worst(rows)
    assert found is not None
    assert "a" == found.channel


def test_a_bar_shows_age_warning_and_breach() -> None:
    """All bars have one scale; a breach reaches beyond its mark."""
    rows = lags([came(10), came(60, channel="b")], {}, NOW)
    fine, late = (bar(row, scale_of(rows)) for row in rows)
    assert {BAR} == {len(fine), len(late)}
    assert "████··|······!" + "·" * 16 == fine
    assert "██████|██████!" + "█" * 13 + "···" == late
    assert "▁▅█" == steps((0, 5, 9))


def test_the_picture_says_a_breach_in_words() -> None:
    """It is XML, whatever a channel is called, and has no script and no address in it."""
    rows = lags([came(60), came(1, channel="b<&>")], {}, NOW)
    text = svg(rows, NOW)
    root = ET.fromstring(text)
    said = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"60 days, BREACH", "1 day, within budget", "b<&>"} <= set(said)
    assert 1 == text.count("http")


def test_the_picture_has_room_for_every_name() -> None:
    """Names end before the bars begin, and nothing reaches beyond the edge: a long name moves the bars."""
    name = "debian-security-updates-of-" + "w" * 40
    root = ET.fromstring(svg(lags([came(60, channel=name)], {}, NOW), NOW))
    (label,) = [element for element in root.iter("{http://www.w3.org/2000/svg}text") if element.text == name]
    end, bars = float(label.attrib["x"]), [float(each.attrib["x"]) for each in root if "x" in each.attrib]
    assert (True, "end") == (end - 8 * len(name) >= 0, label.attrib["text-anchor"])
    assert end < min(x for x in bars if x > 16 and x != end)
    assert max(bars) + 200 <= float(root.attrib["width"])
