"""What strangers may cause in a second is bounded, and nobody who is sampled is kept out for good."""

import pytest

from diode.protocol.trials import Trials


@pytest.mark.parametrize(("per_s", "sample", "asked", "allowed"), [(5, 0, 100, 5), (5, 16, 100, 11), (0, 0, 9, 0)])
def test_so_many_a_second_and_a_sample_of_the_others(per_s: int, sample: int, asked: int, allowed: int) -> None:
    """Each second begins anew, also one that a clock goes back to."""
    trials = Trials(per_s, sample)
    for now in (7.0, 8.5, 3.2):
        assert allowed == sum(trials.may_try(now) for _ in range(asked))
