"""Events that a holder of the link key can cause at will are said a few times a minute."""

from diode.console.budget import MOST_A_MINUTE, Seldom


def test_a_few_a_minute_of_each_event() -> None:
    """One event's flood takes nothing from another."""
    seldom = Seldom()
    said = [second for second in range(120) for _ in range(5) if seldom.may_say("one", float(second))]
    assert 2 * MOST_A_MINUTE == len(said)
    assert {0, 1, 60, 61} == set(said)
    assert seldom.may_say("other", 1.0)
