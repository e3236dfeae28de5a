"""Texts and random bytes are no pickles, also where they begin like one."""

import collections
import os
import pickletools
import random
from pathlib import Path

import pytest

from diode.content.examine import BUDGET_BYTES
from diode.content.item import NOTHING_KNOWN
from diode.content.pickles import begins_pickle
from diode.content.reader import Reader
from tests.diode.content.pickling import refused


def is_disassembled(data: bytes) -> bool:
    """Whether the standard library's own disassembler reads it as a pickle."""
    try:
        collections.deque(pickletools.genops(data), maxlen=0)
    except Exception:  # noqa: BLE001 - it raises anything
        return False
    return True


def words(rng: random.Random, count: int) -> list[bytes]:
    """Words as vocabularies have them: small, capital, of other scripts, numbers, with marks of their tokenizers."""
    found = []
    for _ in range(count):
        word = "".join(rng.choice("aeiourstlnmcdphbgkv") for _ in range(rng.randint(1, 9)))
        match rng.randrange(12):
            case 0 | 1 | 2:
                word = word.capitalize()
            case 3:
                word = f"##{word}"
            case 4:
                word = f"\u2581{word}"
            case 5:
                word = f"{rng.randrange(1 << 16):x}"
            case 6:
                word = "".join(chr(rng.randrange(0x4E00, 0x9FFF)) for _ in range(rng.randint(1, 3)))
            case 7:
                word = rng.choice("()[]{}.,:;!?<>|") + word
            case 8:
                word = word.upper()
        found.append(word.encode())
    return found


def text_of(rng: random.Random) -> bytes:
    """A vocabulary, a list of merges, or an ignore file; half of them begin so that a loader reads on."""
    lines = words(rng, rng.randint(3, 60))
    kind = rng.randrange(3)
    if kind == 0:
        lines = [b"%b %b" % (line, other) for line, other in zip(lines, words(rng, len(lines)), strict=True)]
    if kind == 1:
        endings = (b"", b"/", b".log", b"*.o", b".env")
        lines = [line + rng.choice(endings) for line in lines] + [b".DS_Store", b"."]
    if rng.random() < 0.5:
        lines[0] = rng.choice([b"c", b"c", b"P", b"V", b"(c", b"(i", b"I1", b"N", b"C", b"U"]) + lines[0]
    return b"\n".join(lines) + rng.choice([b"", b"\n"])


def check_texts(rng: random.Random, count: int) -> None:
    """None is refused which a loader would not run."""
    for _ in range(count):
        data = text_of(rng)
        assert not refused(data) or is_disassembled(data), data


def test_lists_of_words() -> None:
    """Vocabularies, merges, ignore files."""
    check_texts(random.Random(1), 1000)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_many_lists_of_words(seed: int) -> None:
    """Ten thousand each."""
    check_texts(random.Random(seed), 10_000)


def test_encrypted_blobs() -> None:
    """As backups and disks hold them."""
    rng = random.Random(1)
    assert [] == [data for data in (rng.randbytes(512) for _ in range(20_000)) if refused(data)]


@pytest.mark.slow
def test_a_million_random_blocks() -> None:
    """Of 512 bytes."""
    rng = random.Random(2)
    assert [] == [data for data in (rng.randbytes(512) for _ in range(1_000_000)) if refused(data)]


@pytest.mark.slow
def test_files_of_this_machine() -> None:
    """Of all files of the system, none is refused but pickles."""
    for folder, _, names in os.walk("/usr"):
        for name in names:
            path = Path(folder, name)
            if path.is_symlink() or not path.is_file():
                continue
            with path.open("rb") as file:
                found = begins_pickle(Reader(file, path.stat().st_size, BUDGET_BYTES), str(path), NOTHING_KNOWN)
            assert not found or is_disassembled(path.read_bytes()), path
