"""Codes that a person carries: what was written is read, whatever else is typed is refused."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diode.codes import Confirm, ResendBundle, ResendSlabs, decode, encode, ranges_of
from diode.errors import UsageError
from diode.wire import MAX_SLABS

IDS = st.integers(0, (1 << 64) - 1)
NUMBERS = st.sets(st.integers(0, MAX_SLABS - 1), max_size=60)
LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@given(IDS, NUMBERS)
@settings(deadline=None)
def test_slabs_come_back(bundle: int, numbers: set[int]) -> None:
    """Any set of slabs survives being written, also in lower case, with spaces, and with O and L for 0 and 1."""
    code = ResendSlabs(bundle, ranges_of(sorted(numbers)))
    text = encode(code)
    assert code == decode(text)
    assert code == decode(text.lower().replace("-", " ").replace("0", "o").replace("1", "l"))


@given(st.from_regex(r"[a-z0-9][a-z0-9._-]{0,40}", fullmatch=True), st.integers(0, (1 << 48)), IDS)
@settings(deadline=None)
def test_other_kinds_come_back(channel: str, sequence: int, bundle: int) -> None:
    """A whole bundle by its sequence number, and a confirmation."""
    for code in (ResendBundle(channel, sequence), Confirm(bundle, sequence & 0xFFFFFFFF)):
        assert code == decode(encode(code))


def test_three_slabs_of_a_tebibyte_fit_on_a_line() -> None:
    """1 TiB at MTU 1500 has 61,018 slabs; three of them, wherever they are, take at most 40 characters."""
    rng = random.Random(4)
    for _ in range(2000):
        numbers = sorted(rng.sample(range(61_018), 3))
        assert len(encode(ResendSlabs(rng.getrandbits(64), ranges_of(numbers)))) <= 40


def test_every_wrong_character_is_refused() -> None:
    """Each place, each letter: never another code, never an accident; the same for two neighbours swapped."""
    text = encode(ResendSlabs(0x0123456789ABCDEF, ((7, 8), (100, 130))))
    for at, right in enumerate(text):
        if right == "-":
            continue
        for wrong in set(LETTERS) - {right}:
            with pytest.raises(UsageError, match="nothing was done"):
                decode(text[:at] + wrong + text[at + 1 :])
    plain = text.replace("-", "")
    for at in range(len(plain) - 1):
        if plain[at] != plain[at + 1]:
            with pytest.raises(UsageError):
                decode(plain[:at] + plain[at + 1] + plain[at] + plain[at + 2 :])
    for cut in range(len(plain)):
        with pytest.raises(UsageError):
            decode(plain[:cut])


@given(st.text(max_size=60))
def test_anything_typed_is_a_code_or_refused(text: str) -> None:
    """No text raises anything but UsageError."""
    with pytest.raises(UsageError):
        decode(text)


@pytest.mark.parametrize(
    "code",
    [
        ResendBundle("\x1b[2J\n", 1),  # what a terminal would obey
        ResendBundle("Models", 1),
        ResendBundle("", 1),
        ResendBundle("m" * 65, 1),
        ResendBundle("models", (1 << 53) + 1),
        ResendSlabs(1, ((MAX_SLABS - 1, MAX_SLABS + 1),)),
    ],
)
def test_codes_with_a_right_checksum_are_bounded_too(code: ResendBundle | ResendSlabs) -> None:
    """A hostile receiver can make them: neither names nor numbers leave their bounds."""
    with pytest.raises(UsageError, match="nothing was done"):
        decode(encode(code))


def test_text_of_a_megabyte_is_refused() -> None:
    """A file that is no code is not read through."""
    with pytest.raises(UsageError):
        decode("0" * ((1 << 20) + 1))
