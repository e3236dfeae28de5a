"""Bounds of names, numbers and sizes that signed texts share (docs/bundle-format.md), and the rules for file names."""

import unicodedata
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from diode.errors import PathError
from diode.formats.timestamps import check_moment

MAX_MANIFEST_BYTES: Final = 256 * 1024
MAX_FILES: Final = 1_000_000
MAX_SEQUENCE: Final = 1 << 53  # what JSON numbers carry exactly
MAX_PATH_BYTES: Final = 4096
MAX_COMPONENT_BYTES: Final = 255
MAX_DEPTH: Final = 64
Hex32 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
BundleHex = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
CHANNEL_PATTERN: Final = r"^[a-z0-9][a-z0-9_.-]{0,63}$"
ChannelName = Annotated[str, Field(pattern=CHANNEL_PATTERN)]
Count = Annotated[int, Field(ge=0, le=MAX_SEQUENCE)]
Moment = Annotated[str, AfterValidator(check_moment)]  # UTC
Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 /_.-]{0,63}$")]
TRUST_CHANNEL: Final = "trust"  # carries trust documents, and nothing else

MAX_LABELS: Final = 64


def check_component(component: str) -> None:
    """Raise PathError unless ``component`` may be a file or directory name in an inbox."""
    try:
        encoded = component.encode()
    except UnicodeEncodeError:
        raise PathError(f"name {component!r} is not valid UTF-8") from None
    if component in ("", ".", ".."):
        raise PathError(f"name {component!r} is not allowed")
    if len(encoded) > MAX_COMPONENT_BYTES:
        raise PathError(f"name {component[:40]!r}... is longer than {MAX_COMPONENT_BYTES} bytes")
    if "/" in component or any(unicodedata.category(c) == "Cc" for c in component):
        raise PathError(f"name {component!r} holds a slash or a control character")


_HIDING: Final = {
    "Cf": "a format character",
    "Cn": "an unassigned character",
    "Co": "a private character",
    "Zl": "a line separator",
    "Zp": "a paragraph separator",
}


def check_new_name(component: str) -> None:
    """Raise PathError unless this side may give a file that name.

    It must pass :func:`check_component`, and show all characters.

    A receiver still accepts hidden characters in names that an older sender gave, and shows them escaped. Emoji that
    are joined (U+200D) are refused too, because the joiner is a format character.
    """
    check_component(component)
    for character in component:
        if what := _HIDING.get(unicodedata.category(character)):
            code = f"U+{ord(character):04X}"
            raise PathError(f"name {component!r} holds {what} ({code}), by which it could look like another; rename it")


def check_path(path: str) -> None:
    """Raise PathError unless ``path`` is relative, made of allowed components, and not too long or too deep."""
    path = path.removesuffix("/")
    components = path.split("/")
    if len(components) > MAX_DEPTH or len(path.encode(errors="replace")) > MAX_PATH_BYTES:
        raise PathError(f"path {path[:60]!r}... is deeper than {MAX_DEPTH} or longer than {MAX_PATH_BYTES} bytes")
    for component in components:
        check_component(component)
