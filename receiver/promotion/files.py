"""The pointers' own files, ``inbox/.diode/pointers/<channel>/<name>/pointer.json``, and the links that follow them.

The file is the truth. The symbolic link ``current`` beside a name's versions is for people and their scripts: it
follows. What somebody else has put at that name is left alone.
"""

import errno
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from diode.errors import PathError
from diode.formats.names import CHANNEL_PATTERN, MAX_SEQUENCE, check_component
from diode.storage.folder import Folder, replace_link
from receiver.catalogue.pointer import Pointer, read_pointer, write_pointer
from receiver.inbox.folder import Inbox
from receiver.ledger.pointers import Place

POINTERS: Final = "pointers"  # the folder, below .diode
POINTER_FILE: Final = "pointer.json"
LINK: Final = "current"
MAX_POINTER_BYTES: Final = 4 << 20  # of 1,000 versions with the longest names
MAX_NUMBER: Final = MAX_SEQUENCE >> 1  # of a pointer that is taken from a file: there is always a next one
_NO_FILE: Final = (errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.EINVAL, errno.EFBIG, errno.ENXIO)
_STRANGERS: Final = (errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.EXDEV)


class PointerFiles:
    """Reads and writes them. Every call may raise OSError."""

    def __init__(self, inbox: Inbox) -> None:
        self._top = inbox.top
        self._folder = inbox.ours.folder(POINTERS, create=True, mode=0o755)
        inbox.ours.sync()

    def read(self, channel: str, name: str) -> bytes | None:
        """The file of a name, as it is. None: there is none. Empty: what lies there is no file that is ours."""
        try:
            with self._folder.folder(channel) as above, above.folder(name) as folder:
                return folder.read(POINTER_FILE, MAX_POINTER_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno not in _NO_FILE:
                raise
            return b""

    def write(self, pointer: Pointer) -> str:
        """Put a pointer into its file by one rename, durably. Returns why not, where a stranger's is in the way."""
        try:
            with (
                self._made(self._folder, pointer.channel) as above,
                self._made(above, pointer.name) as folder,
            ):
                folder.replace(POINTER_FILE, write_pointer(pointer), 0o644)
        except OSError as error:
            return _left_alone(error, f".diode/{POINTERS}/{pointer.label}/{POINTER_FILE}")
        return ""

    def places(self) -> Iterator[tuple[str, str]]:
        """(channel, name) of each file that may be there. What has a name that is none of ours is passed over."""
        for channel in self._folder.names():
            if re.fullmatch(CHANNEL_PATTERN, channel) and self._folder.is_folder(channel):
                with self._folder.folder(channel) as above:
                    yield from ((channel, name) for name in above.names() if _is_ours(name) and above.is_folder(name))

    def agree(self, known: Place) -> bool:
        """Whether file and link are as the ledger has them: most are, and nothing is to be done."""
        if self.read(known.channel, known.name) != known.text.encode():
            return False
        if not known.version:
            return True
        try:
            with self._top.folders(f"{known.channel}/{known.name}") as folder:
                return folder.link(LINK) == known.version
        except OSError:
            return False

    def link(self, pointer: Pointer) -> str:
        """Let ``current`` follow. Returns why it does not, since somebody else's is in the way; else nothing.

        Where a reader took all versions of a name away, there is no link either.
        """
        if pointer.current is None:
            return ""
        try:
            with self._top.folders(f"{pointer.channel}/{pointer.name}") as folder:
                with suppress(OSError):
                    if folder.link(LINK) == pointer.current.version:
                        return ""
                replace_link(folder, LINK, pointer.current.version)
        except FileNotFoundError:
            return ""
        except OSError as error:
            return _left_alone(error, f"{pointer.label}/{LINK}")
        return ""

    @staticmethod
    def _made(parent: Folder, name: str) -> Folder:
        """A folder, made durably when it is missing."""
        if not parent.has(name):
            made = parent.folder(name, create=True, mode=0o755)
            parent.sync()
            return made
        return parent.folder(name)


def _is_ours(name: str) -> bool:
    try:
        check_component(name)
    except PathError:
        return False
    return True


def _left_alone(error: OSError, place: str) -> str:
    """What is said when somebody else's lies at a place. Raises every other error."""
    if error.errno not in _STRANGERS:
        raise error
    return f"what lies at {place} is not ours ({error.strerror}), and was left alone"


def pointer_at(data: bytes, channel: str, name: str) -> Pointer:
    """The pointer in a file at this place. Raises ValueError for what is none, or another name's."""
    pointer = read_pointer(data)
    if pointer.number > MAX_NUMBER:
        raise ValueError(f"its number {pointer.number} is too large")
    if (pointer.channel, pointer.name) != (channel, name):
        raise ValueError(f"it is the pointer of {pointer.label}")
    return pointer
