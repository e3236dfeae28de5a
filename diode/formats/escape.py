"""Text that somebody else chose, made safe to look at: names, reasons, a worker's last words, a peer's labels.

A terminal obeys control characters; a bidirectional override shows a name as another one; a character without a shape
hides. All of these are shown as what they are. Which characters they are is Unicode's to say, in the version that
Python's ``unicodedata`` holds (14.0 in Python 3.11): unassigned ones are among them.
"""

import re
from typing import Final

# Letters, marks and symbols that nobody sees: U+2800, and what the Unicode property Default_Ignorable_Code_Point holds
# besides format characters (DerivedCoreProperties.txt).
_INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def escape(text: str) -> str:
    r"""``text`` in one line, every character visible: what is not is written ``\xNN``, ``\uNNNN`` or ``\UNNNNNNNN``.

    These are control and format characters, surrogates (bytes that are not UTF-8 in a file's name), private and
    unassigned ones, line and paragraph separators, and every blank but the space. A backslash stays one, so that text
    may be escaped twice.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if is_visible(c) else _written(c) for c in text)


def escape_lines(text: str) -> str:
    """As :func:`escape`, of text whose line ends are our own: a traceback, a page of help."""
    return "\n".join(map(escape, text.split("\n")))


def is_visible(character: str) -> bool:
    """Whether a person sees this character as itself."""
    return character.isprintable() and not _INVISIBLE.match(character)


def _written(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
