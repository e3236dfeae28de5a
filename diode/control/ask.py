"""The command's end of the control socket. Whoever asks sees who listens: the state folder's owner, or root."""

import os
import socket
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from diode.control.lines import ANSWER_BYTES, CONTROL, GREETING_BYTES, SOCKET, Failed, Side, answered, greeted
from diode.errors import DiodeError, HostError, MessageError, UsageError
from diode.process.peer import peer_of
from diode.process.vocabulary import Vocabulary
from diode.storage.folder import Folder

PATIENCE_S: Final = 60.0  # a busy machine answers late; a daemon that hangs is told from one that is gone by then


class AnsweredError(DiodeError):
    """The daemon did not do what it was asked. The text and the exit code are the daemon's."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.error)
        self.exit_code = failed.code


class Asking:
    """A connection with a daemon. Use as a context manager."""

    def __init__(self, sock: socket.socket, words: Vocabulary) -> None:
        self._sock = sock
        self._words = words
        self._lines = sock.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._lines.close()
        self._sock.close()

    def ask(self, message: object) -> dict[str, Any]:
        """What the daemon says. Raises AnsweredError when it does not do it, HostError when it does not answer.

        UsageError: a person typed what no request can hold.
        """
        try:
            line = self._words.encode(message)
        except ValueError as error:
            raise UsageError(f"the daemon cannot be asked that: {error}; nothing was changed") from None
        try:
            self._sock.sendall(line + b"\n")
            said = answered(self.line(ANSWER_BYTES))
        except TimeoutError:
            raise HostError(f"the daemon did not answer within {PATIENCE_S:g} s; its log may say why") from None
        except (OSError, MessageError) as error:
            raise HostError(f"the daemon ended while it was asked: {error}") from None
        if isinstance(said, Failed):
            raise AnsweredError(said)
        return said

    def line(self, most: int) -> bytes:
        """The next line of the daemon. Raises OSError, MessageError."""
        line = self._lines.readline(most + 1)
        if not line.endswith(b"\n"):
            raise MessageError("?", "it hung up" if len(line) <= most else "a line without an end")
        return line


def maybe_asking(state: Path, side: Side, words: Vocabulary) -> Asking | None:
    """Connect with the daemon that works on a state folder. None: none does, or it is too old to be asked.

    Raises HostError when somebody else listens there, or the daemon speaks in another way than this command.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(PATIENCE_S)
    try:
        folder = Folder.open(state)
        sock.connect(f"/proc/self/fd/{folder.fd}/{SOCKET}")
    except (FileNotFoundError, ConnectionRefusedError):
        sock.close()
        return None
    except BlockingIOError:
        sock.close()
        raise HostError("more commands ask the daemon at once than may wait; type it again in a moment") from None
    except OSError as error:
        sock.close()
        raise HostError(f"{state / SOCKET} cannot be used: {error.strerror or error}") from None
    asking = Asking(sock, words)
    try:
        _check(asking, sock, folder, side)
    except BaseException:
        asking.__exit__(None, None, None)
        raise
    return asking


def _check(asking: Asking, sock: socket.socket, folder: Folder, side: Side) -> None:
    """Who listens, and what they speak. Raises HostError, AnsweredError."""
    uid = peer_of(sock).uid
    if uid not in (0, os.fstat(folder.fd).st_uid):
        raise HostError(f"{folder.path / SOCKET} belongs to user {uid}, and not to the daemon; nothing was asked")
    try:
        line = asking.line(GREETING_BYTES)
        if line.startswith(b'{"ok"') and isinstance(failed := answered(line), Failed):
            raise AnsweredError(failed)
        greeting = greeted(line)
    except (OSError, MessageError) as error:
        raise HostError(f"the daemon does not answer: {error}") from None
    if (greeting.control, greeting.side) != (CONTROL, side):
        raise HostError(
            f"the daemon speaks control {greeting.control} of the {greeting.side} (diode {greeting.version}), and this "
            f"command control {CONTROL} of the {side}; use the command of the daemon's version"
        )
