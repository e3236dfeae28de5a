"""The daemon's end of the control socket: who may ask, how much at once, and for how long.

The socket is bound in the state folder through the folder's descriptor, with mode 0600, and put into place by a rename.
The kernel says whose process asks. That user's number is given to whoever answers, for the audit log.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from diode.control.lines import REQUEST_BYTES, SOCKET, Failed, Side, answer, failure, greet
from diode.errors import DiodeError, MessageError, UsageError
from diode.log import log
from diode.process.peer import Peer, peer_of
from diode.process.vocabulary import Vocabulary
from diode.storage.folder import Folder

MOST_CLIENTS: Final = 16
IDLE_S: Final = 300.0  # a client that asks nothing for so long is sent away
SLOW_S: Final = 10.0  # a client that does not read its answer, too
_ROOT: Final = 0


Answer = Callable[[object, Peer], Awaitable[Mapping[str, Any]]]


class Door:
    """Listens on the control socket of one daemon. ``words``: what may be asked. ``answer`` does it, on the event loop.

    ``answer`` may raise a DiodeError: the command shows its text, and ends with its code. ``refused`` counts those who
    were not answered.
    """

    def __init__(self, state: Path, side: Side, words: Vocabulary, answer: Answer) -> None:
        self.refused = 0
        self._state = state
        self._side = side
        self._words = words
        self._answer = answer
        self._server: asyncio.Server | None = None
        self._talking: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listen. The state folder is locked by this daemon, so an old socket in it is nobody's. Raises UsageError."""
        try:
            self._folder = Folder.open(self._state)
            listening = _bind(self._folder)
        except OSError as error:
            raise UsageError(f"{self._state / SOCKET} cannot be made: {error.strerror}") from error
        self._server = await asyncio.start_unix_server(self._welcome, sock=listening, limit=REQUEST_BYTES)

    async def close(self) -> None:
        """Send everybody away, and remove the socket."""
        if self._server is None:
            return
        self._server.close()
        for task in self._talking:
            task.cancel()
        await asyncio.gather(*self._talking, return_exceptions=True)
        with suppress(OSError):
            self._folder.remove(SOCKET)

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talking.add(task)
        try:
            await self._talk(reader, writer)
        except (OSError, TimeoutError, asyncio.LimitOverrunError, ValueError):
            pass  # it left, or says nothing that ends
        finally:
            self._talking.discard(task)
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = peer_of(writer.get_extra_info("socket"))
        if len(self._talking) > MOST_CLIENTS:
            await self._turn_away(writer, Failed(f"{MOST_CLIENTS} commands ask the daemon already", 1))
            return
        if peer.uid not in (_ROOT, os.geteuid()):
            await self._turn_away(
                writer, Failed("this daemon answers its own user and root alone", UsageError.exit_code)
            )
            return
        await _write(writer, greet(self._side, version("diode")))
        while line := await _next(reader):
            await _write(writer, await self._answered(line, peer))

    async def _answered(self, line: bytes, peer: Peer) -> bytes:
        try:
            message = self._words.decode(line.rstrip(b"\n"))
            return answer(await self._answer(message, peer))
        except MessageError as error:
            self.refused += 1
            return failure(Failed(f"the daemon does not know this request: {error}", UsageError.exit_code))
        except DiodeError as error:
            return failure(Failed(str(error), error.exit_code))
        except Exception:  # a mistake of ours ends no daemon
            log.exception("control_request_failed", uid=peer.uid)
            return failure(Failed("the daemon failed at this; its log says how", 1))

    async def _turn_away(self, writer: asyncio.StreamWriter, failed: Failed) -> None:
        self.refused += 1
        await _write(writer, failure(failed))


def _bind(folder: Folder) -> socket.socket:
    """A listening socket in the folder, which nobody else can connect to at any moment."""
    made, place = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), f".{SOCKET}"
    try:
        os.fchmod(made.fileno(), 0o600)  # on Linux the file is made with this mode
        with suppress(FileNotFoundError):
            folder.remove(place)
        made.bind(f"/proc/self/fd/{folder.fd}/{place}")
        os.rename(place, SOCKET, src_dir_fd=folder.fd, dst_dir_fd=folder.fd)
        made.listen(MOST_CLIENTS)
    except OSError:
        made.close()
        raise
    made.setblocking(False)
    return made


async def _write(writer: asyncio.StreamWriter, line: bytes) -> None:
    writer.write(line)
    async with asyncio.timeout(SLOW_S):
        await writer.drain()


async def _next(reader: asyncio.StreamReader) -> bytes:
    """The next line; nothing when the client is gone."""
    async with asyncio.timeout(IDLE_S):
        return await reader.readline()
