"""A real ClamAV daemon with a database of two signatures, and one that misbehaves in every way that sockets allow."""

import contextlib
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from sender.intake.clamd import EICAR, ENCRYPTED
from tests.needs import need, program
from tests.patience import wait_until

MARKER = b"diode-test-" + b"marker-7f3a"  # in halves, as the other one

_CONFIG = """\
LocalSocket {folder}/clamd.ctl
DatabaseDirectory {folder}/db
TemporaryDirectory {folder}
Foreground yes
FixStaleSocket yes
StreamMaxLength {limit}
MaxFileSize {limit}
MaxScanSize {limit}
AlertExceedsMax yes
AlertEncrypted {alert}
MaxThreads 2
"""


@contextlib.contextmanager
def real_clamd(
    folder: Path, limit: str = "25M", *, alert: bool = True
) -> Iterator[tuple[Path, "subprocess.Popen[bytes]"]]:
    """Run it in the foreground; yields (its socket, its process). ``alert``: on encrypted archives."""
    need("clamd")
    (folder / "db").mkdir(parents=True)
    lines = (f"Eicar-Test:0:0:{EICAR.hex()}", f"Diode-Marker:0:*:{MARKER.hex()}")
    (folder / "db" / "test.ndb").write_text("\n".join(lines) + "\n")
    (folder / "clamd.conf").write_text(_CONFIG.format(folder=folder, limit=limit, alert="yes" if alert else "no"))
    path = folder / "clamd.ctl"
    with (folder / "clamd.log").open("wb") as log:
        process = subprocess.Popen([str(program("clamd")), "-c", str(folder / "clamd.conf")], stdout=log, stderr=log)
    try:
        wait_until(lambda: _answers(path) or process.poll() is not None, "clamd listens")
        assert process.poll() is None, (folder / "clamd.log").read_text()
        yield path, process
    finally:
        process.kill()
        process.wait()


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as trial, contextlib.suppress(OSError):
        trial.connect(str(path))
        return True
    return False


VERSION = b"ClamAV 9.9.9/27000/Wed Nov 11 09:30:00 2026\0"
Script = Callable[[socket.socket, bytes], None]


def drained(talk: socket.socket) -> bytes:
    """What a stream held, to its end."""
    content = b""
    while length := int.from_bytes(_exactly(talk, 4), "big"):
        content += _exactly(talk, length)
    return content


def _exactly(talk: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count and (piece := talk.recv(count - len(data))):
        data += piece
    return data


def honest(talk: socket.socket, command: bytes) -> None:
    """As the real one answers."""
    if command == b"zVERSION":
        talk.sendall(VERSION)
    else:
        found = {EICAR: b"stream: Eicar FOUND\0", ENCRYPTED: b"stream: Heuristics.Encrypted.Zip FOUND\0"}
        talk.sendall(found.get(drained(talk), b"stream: OK\0"))


@contextlib.contextmanager
def fake_clamd(
    path: Path,
    on_file: Script,
    on_version: Script = honest,
    on_canary: Script = honest,
    on_encrypted: Script = honest,
) -> Iterator[Path]:
    """Answers ``zVERSION`` and the first two files, which are to try it, honestly unless told otherwise.

    A script gets the connection and the command; for a file, nothing of it is read yet.
    """
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(8)
        ends = threading.Event()
        asked = 0

        def serve() -> None:
            nonlocal asked
            while not ends.is_set():
                try:
                    talk, _ = server.accept()
                except OSError:
                    return
                with talk, contextlib.suppress(OSError):
                    command = b""
                    while not command.endswith(b"\0") and (byte := talk.recv(1)):
                        command += byte
                    command = command[:-1]
                    if command == b"zINSTREAM":
                        asked += 1
                    tries = dict(enumerate((on_canary, on_encrypted), 1))
                    script = on_version if command == b"zVERSION" else tries.get(asked, on_file)
                    script(talk, command)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield path
        finally:
            ends.set()
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
