"""What systemd does for a daemon, emulated: a socket passed as descriptor 3, and a place to notify."""

import asyncio
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from tests.e2e.pair import Process
from tests.patience import PATIENCE_S

# Between fork and exec systemd knows the process id; so does this, which becomes the program by exec.
STUB = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="link")
os.execv(sys.executable, [sys.executable, "-c", *sys.argv[2:]])
"""


async def start_activated(sock: socket.socket, program: str, *arguments: str, **options: object) -> Process:
    """Run ``program`` (Python source) with ``sock`` as systemd would pass it."""
    pipe = asyncio.subprocess.PIPE
    command = [sys.executable, "-c", STUB, str(sock.fileno()), program, *arguments]
    passed = (sock.fileno(),)
    return Process(
        await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, pass_fds=passed, **options)  # type: ignore[arg-type]
    )


class Manager:
    """The end of the notify socket that systemd reads. ``said`` is every assignment so far."""

    def __init__(self, path: Path) -> None:
        self.address = str(path)
        self.said: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._socket.setblocking(False)

    async def until(self, is_there: Callable[[list[str]], bool]) -> None:
        """Read until the assignments that came since the call satisfy ``is_there``."""
        fresh: list[str] = []
        async with asyncio.timeout(PATIENCE_S):
            while not is_there(fresh):
                data = await asyncio.get_running_loop().sock_recv(self._socket, 4096)
                fresh += data.decode().split("\n")
        self.said += fresh

    async def hears(self, assignment: str) -> None:
        """Until a fresh assignment begins like this."""
        await self.until(lambda fresh: any(one.startswith(assignment) for one in fresh))

    def forget(self) -> None:
        """Throw away what waits to be read."""
        while True:
            try:
                self.said += self._socket.recv(4096).decode().split("\n")
            except BlockingIOError:
                return

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
