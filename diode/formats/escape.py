"""Makes text that a stranger chose safe to look at: names, reasons, a worker's last words, a peer's labels.

A terminal obeys control characters. A bidirectional override makes a name look like another one. A character without a
shape hides. All of these are written out as numbers. Unicode decides which characters they are, in the version of
Python's ``unicodedata`` (14.0 in Python 3.11); unassigned characters are among them.
"""

import re
from typing import Final

# Letters, marks and symbols that nobody sees: U+2800, and what the Unicode property Default_Ignorable_Code_Point holds
# besides format characters (DerivedCoreProperties.txt).
_INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def escape(text: str) -> str:
    r"""``text`` as one line in which every character is visible.

    Others are written ``\xNN``, ``\uNNNN`` or ``\UNNNNNNNN``.

    The others are control and format characters, surrogates (bytes that are not UTF-8 in a file's name), private and
    unassigned characters, line and paragraph separators, and every blank except the space. A backslash is not changed,
    so that text may be escaped twice.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if is_visible(c) else _written(c) for c in text)


def escape_lines(text: str) -> str:
    """Escape text but keep its line ends, which must be our own: a traceback, or a page of help."""
    return "\n".join(map(escape, text.split("\n")))


def printable(text: str, most: int) -> str:
    """``text`` as :func:`escape` shows it, cut to ``most`` characters."""
    return escape(text[:most])[:most]


def bounded(text: str, most: int) -> str:
    """Text for a report: printable, on one line, of ``most`` characters at most. What cannot be shown becomes ``?``."""
    plain = "".join(char if char.isprintable() else "?" for char in text[: most + 1])
    return plain if len(plain) <= most else plain[: max(0, most - 3)] + "..."[:most]


def is_visible(character: str) -> bool:
    """Whether a character is visible, and looks like itself."""
    return character.isprintable() and not _INVISIBLE.match(character)


def _written(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
