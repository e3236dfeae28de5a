"""Codes that a person carries: what was written is read, whatever else is typed is refused."""

import math
import random
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diode.errors import UsageError
from diode.protocol.resend_codes import (
    Confirm,
    ResendBundle,
    ResendSlabs,
    _checksum,
    _Writer,
    decode,
    decode_file,
    encode,
    ranges_of,
)
from diode.protocol.sizes import MAX_SLABS

IDS = st.integers(0, (1 << 64) - 1)
NUMBERS = st.sets(st.integers(0, MAX_SLABS - 1), max_size=60)
LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@given(IDS, NUMBERS)
def test_slabs_come_back(bundle: int, numbers: set[int]) -> None:
    """Any set of slabs survives being written, also in lower case, with spaces, and with O and L for 0 and 1."""
    code = ResendSlabs(bundle, ranges_of(sorted(numbers)))
    text = encode(code)
    assert code == decode(text)
    assert code == decode(text.lower().replace("-", " ").replace("0", "o").replace("1", "l"))


@given(st.from_regex(r"[a-z0-9][a-z0-9._-]{0,40}", fullmatch=True), st.integers(0, (1 << 48)), IDS)
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


def spelled(write: Callable[[_Writer], object]) -> str:
    """A code written bit by bit, with a right checksum."""
    bits = _Writer()
    bits.put(1, 2)
    write(bits)
    return bits.text()


def slabs(count: int, order: int, *ranges: tuple[int, int]) -> Callable[[_Writer], object]:
    """Slabs of bundle 7: so many ranges, the order, and (gap, length - 1) of each."""

    def write(bits: _Writer) -> None:
        bits.put(0, 2)
        bits.put(7, 64)
        bits.golomb(count, 2)
        bits.put(order, 6)
        for gap, more in ranges:
            bits.golomb(gap, order)
            bits.golomb(more, 0)

    return write


def with_zeros(text: str, zeros: int) -> str:
    """The same content with more zeros after its end, and a checksum that fits."""
    letters = "".join(f"{LETTERS.index(c):05b}" for c in text.replace("-", ""))
    bits = _Writer()
    bits._bits = [letters[:-32].rstrip("0")[:-1]]
    body = bits._bits[0] + "1"
    padded = body + "0" * (-(len(body) + 32) % 5) + "0" * zeros
    whole = padded + f"{_checksum(padded):032b}"
    return "".join(LETTERS[int(whole[i : i + 5], 2)] for i in range(0, len(whole), 5))


OTHER_SPELLINGS = {
    "touching ranges": spelled(slabs(2, 3, (5, 2), (0, 3))),
    "three that touch": spelled(slabs(3, 1, (0, 0), (0, 0), (0, 0))),
    "a smaller order": spelled(slabs(1, 0, (100, 2))),
    "a larger order": spelled(slabs(1, 9, (100, 2))),
    "an order without ranges": spelled(slabs(0, 5)),
    "zeros at the end": with_zeros(encode(ResendSlabs(7, ((100, 103),))), 5),
    "many zeros at the end": with_zeros(encode(Confirm(7, 9)), 50),
}


@pytest.mark.parametrize("name", OTHER_SPELLINGS)
def test_another_spelling_of_a_content_is_refused(name: str) -> None:
    """Each choice of spelling would carry bits out of the enclave that no person can judge."""
    with pytest.raises(UsageError, match="nothing was done"):
        decode(OTHER_SPELLINGS[name])


def test_the_spelling_itself_is_taken() -> None:
    """The hand-made one above, as the writer makes it: the refusals are about the spelling alone."""
    assert ResendSlabs(7, ((100, 103),)) == decode(spelled(slabs(1, 6, (100, 2))))
    assert ResendSlabs(7, ((100, 103),)) == decode(with_zeros(encode(ResendSlabs(7, ((100, 103),))), 0))


BITS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12)), max_size=5)


@given(st.integers(0, 6), st.integers(0, 12), BITS)
def test_whatever_is_taken_is_written_so(count: int, order: int, ranges: list[tuple[int, int]]) -> None:
    """Ranges of any kind, counts that may lie, orders that may not be the writer's: taken only as the writer has it."""
    text = spelled(slabs(count, order, *ranges))
    try:
        code = decode(text)
    except UsageError:
        return
    assert text == encode(code)


@given(st.lists(st.integers(0, 1), min_size=2, max_size=300))
def test_any_bits_with_a_right_checksum(content: list[int]) -> None:
    """Refused, or the one text of what they say."""
    bits = _Writer()
    bits._bits = ["".join(map(str, content))]
    text = bits.text()
    try:
        code = decode(text)
    except UsageError:
        return
    assert text == encode(code)


@pytest.mark.parametrize(
    "letter", ["\u0131", "\u017f", "\u212a", "\ufb01", "\uff11", "\u0661", "\u00a0", "\u2003", "\u200b", "\x0b"]
)
def test_letters_and_blanks_are_ascii(letter: str) -> None:
    """A letter that only becomes one of ours in capitals, or another blank, is another spelling."""
    text = encode(ResendSlabs(7, ((100, 103),)))
    for other in (letter + text, text + letter, text.replace("1", letter), text[:6] + letter + text[6:]):
        if other != text:
            with pytest.raises(UsageError):
                decode(other)


@pytest.mark.parametrize(
    "change",
    [
        str.lower, str.rstrip, lambda text: text + "\n", lambda text: " " + text, lambda text: text.replace("-", ""),
        lambda text: text.replace("-", " "), lambda text: text.replace("0", "O", 1),
        lambda text: text.replace("\n", "\r\n"),
    ],
)  # fmt: skip
def test_a_file_is_taken_as_it_was_written(change: Callable[[str], str]) -> None:
    """Nobody types it, so nobody needs its case, blanks and hyphens to be free."""
    code = ResendSlabs(0x0123456789ABCDEF, ((0, 1), (100, 103)))
    text = encode(code) + "\n"
    assert (code, True) == (decode_file(text), change(text) != text)
    assert code == decode(change(text))
    with pytest.raises(UsageError, match="nothing was done"):
        decode_file(change(text))


def lengths(order: int, least: int, most: int, degree: int) -> np.ndarray:
    """By length: how many values of ``least`` to ``most`` have a Golomb code so long, over 2 to that length."""
    shares = np.zeros(degree + 1)
    for width in range(order + 1, 40):
        low, high = (1 << width - 1) - (1 << order), (1 << width) - 1 - (1 << order)
        count, length = min(high, most) - max(low, least) + 1, 2 * width - order - 1
        if count > 0 and length <= degree:
            shares[length] += count / 2.0**length
    return shares


def bits_left(characters: int, slabs: int) -> float:
    """Binary logarithm of how many resend codes of that length there can be for one bundle, at most."""
    degree = 5 * characters - 2 - 2 - 64 - 32 - 1
    shares = np.zeros(degree + 1)
    runs = lengths(0, 0, slabs - 1, degree)
    for order in range(slabs.bit_length()):
        ranges = np.convolve(lengths(order, 0, slabs - 1, degree), runs)[: degree + 1]
        more = np.convolve(lengths(order, 1, slabs - 1, degree), runs)[: degree + 1]
        count = 1
        while ranges.any():
            head = 2 * (count + 4).bit_length() - 3 + 6
            if head <= degree:
                shares[head:] += ranges[: degree + 1 - head] * 2.0**-head
            ranges, count = np.convolve(ranges, more)[: degree + 1], count + 1
    fits = range(degree - 4, degree + 1)  # the last character may hold up to four zeros
    return math.log2(sum(shares[length] * 2.0 ** (length - degree) for length in fits)) + degree


@pytest.mark.parametrize("characters", [30, 40, 60, 100, 300])
def test_the_page_says_how_many_bits_remain(characters: int) -> None:
    """docs/codes.md: by the layout alone, and by counting the texts that are taken, for 1 TiB at MTU 1500."""
    page = (Path(__file__).parents[3] / "docs" / "codes.md").read_text()
    [row] = re.findall(rf"^\| {characters} \| ([\d,]+) \| ([\d,]+) \|", page, re.MULTILINE)
    said = tuple(int(number.replace(",", "")) for number in row)
    assert (5 * characters - 101, math.ceil(bits_left(characters, 61_018))) == said
