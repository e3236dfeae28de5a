"""A bundle has one number, one spelling of it, and one label."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diode.bundle.ref import BundleRef, hex_of, label_of, number_of
from sender.ledger import Row, State


@given(st.integers(1, (1 << 64) - 1))
def test_a_number_is_spelled_in_sixteen_digits(number: int) -> None:
    """The spelling sorts as the number does, and says which it is."""
    assert (16, number) == (len(hex_of(number)), number_of(hex_of(number)))


def test_a_row_of_a_ledger_says_which_bundle_it_is_about() -> None:
    """By number for the wire, by id for files, by label for people."""
    row = Row("00000000000000ff", "cve", "feed", "2026-01", 1, "", 1, 1, 1, 0.0, State.SENT, "", "", "")
    ref = BundleRef.of_row(row)
    assert (255, row.id, "cve/feed/2026-01") == (ref.number, ref.hex_id, ref.label)
    assert ref == BundleRef.of_manifest(ref, 255)
    assert ref.label == label_of(row)


def test_an_id_that_is_none_is_refused() -> None:
    """Whoever reads a folder's name finds out."""
    with pytest.raises(ValueError, match="invalid literal"):
        number_of("lock")
