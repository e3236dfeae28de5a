"""Harmless files by the thousand, seeded: what an intake meets every day and must not take for anything else."""

import pickletools
import random
import string
from collections.abc import Iterator
from typing import Final

_PLACES: Final = ("coverage", "dist", "build", "Pods", "node_modules", ".env", ".DS_Store", "*.log", "*.py[cod]", "out")
_SIGNS: Final = ("", "/", "!", "*.", "**/", "# ")
_ENDS: Final = ("\n", "\r\n")


def random_blocks(seed: int, count: int, size: int = 512) -> Iterator[bytes]:
    """What encryption makes of a file, a block at a time."""
    rng = random.Random(seed)
    for _ in range(count):
        yield rng.randbytes(size)


def texts(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """(path, content): vocabularies, merge lists and ignore files in turn."""
    rng = random.Random(seed)
    makers = (_vocabulary, _merges, _ignores)
    for number in range(count):
        name, lines = makers[number % len(makers)](rng)
        end = rng.choice(_ENDS)
        yield name, (end.join(lines) + rng.choice(("", end))).encode()


def reads_as_pickle(data: bytes) -> bool:
    """Whether the standard library's disassembler reads one to its end."""
    try:
        return list(pickletools.genops(data))[-1][0].name == "STOP"
    except Exception:  # noqa: BLE001 - it raises anything on what is no pickle
        return False


def _word(rng: random.Random) -> str:
    letters = rng.choice((string.ascii_lowercase, string.ascii_letters, string.printable[:94], "aeioéüñ漢字かなĠ▁"))
    return "".join(rng.choice(letters) for _ in range(rng.choice((1, 1, 2, 3, 5, 9))))


def _vocabulary(rng: random.Random) -> tuple[str, list[str]]:
    """One token a line; the first ones are often single letters and signs, in any order."""
    letters = list(string.printable[:94])
    rng.shuffle(letters)
    words = [rng.choice(("", "##", "▁")) + _word(rng) for _ in range(rng.randrange(40))]
    return rng.choice(("vocab.txt", "dict.txt", "words")), letters[: rng.randrange(2, 94)] + words


def _merges(rng: random.Random) -> tuple[str, list[str]]:
    """Two pieces a line, as byte pair encoding joins them: `c a`, `t h`, `. .`."""
    head = rng.choice(([], ["#version: 0.2"]))
    return "merges.txt", head + [f"{_word(rng)} {_word(rng)}" for _ in range(rng.randrange(1, 60))]


def _ignores(rng: random.Random) -> tuple[str, list[str]]:
    """Names of files and folders, such as `coverage`, `dist`, `.env`."""
    lines = [rng.choice(_SIGNS) + rng.choice((*_PLACES, _word(rng))) for _ in range(rng.randrange(1, 30))]
    return rng.choice((".gitignore", ".dockerignore", ".npmignore")), lines
