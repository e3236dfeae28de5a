"""How fast one stream leaves the gateway, beside a plain sendfile loop and nginx: ``python -m tests.gateway.speed``.

Each sends the same file, from memory, to the same reader on loopback, by turns; the best of each counts. By TLS, too:
beside nginx, and a plain loop of OpenSSL.
"""

import argparse
import os
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from receiver.gateway.answers import Answer, file_answer
from receiver.gateway.request import Request
from receiver.gateway.view import View
from tests.patience import wait_until
from tests.serving import Serving

PIECE: Final = 4 << 20
READ: Final = 512 << 10  # by TLS, from the kernel at once
RECORD: Final = 16 << 10  # the most that TLS encrypts together
CHILD: Final = """
import asyncio, json, socket, ssl, sys
from pathlib import Path
from receiver.gateway.server.app import Gateway, Mounted
from receiver.gateway.server.engine import Engine
from tests.gateway.speed import plain
fd, folder, pair = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
tls = None
if pair:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pair)
async def run():
    mounts = [Mounted("/trees", "trees", plain, frozenset({"big"}))]
    await Engine(Gateway(folder / "inbox", folder / "index", mounts), tls).start([socket.socket(fileno=fd)])
    await asyncio.Event().wait()
asyncio.run(run())
"""
NGINX: Final = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.err; worker_processes 1; {user}
events {{ worker_connections 64; }}
http {{ access_log off; sendfile on; tcp_nopush on; sendfile_max_chunk 0;
server {{ listen 127.0.0.1:{port}; root {root}; }}
server {{ listen 127.0.0.1:{tls_port} ssl; root {root}; ssl_certificate {pair}; ssl_certificate_key {pair}; }} }}
"""


def plain(request: Request, view: View) -> Answer:
    """The file of a path in the newest version of a name."""
    channel, name, path = request.segments
    (bundle, *_) = view.named(channel, name)
    file = view.card(bundle).file(path)
    assert file is not None
    return file_answer(bundle, file)


def read(port: int, path: str, size: int, tls: ssl.SSLContext | None = None) -> float:
    """Bytes per second of one whole answer."""
    buffer = memoryview(bytearray(PIECE))
    begun, got = time.perf_counter(), 0
    with socket.create_connection(("127.0.0.1", port)) as sock:
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        if tls:
            got = _decrypted(sock, tls, request, buffer)
        else:
            sock.sendall(request)
            while count := sock.recv_into(buffer):
                got += count
    assert got > size, f"{got} bytes of {size}"
    return size / (time.perf_counter() - begun)


def _decrypted(sock: socket.socket, tls: ssl.SSLContext, request: bytes, buffer: memoryview) -> int:
    """Send a request by TLS, and read until the end; how many bytes came.

    Many records are taken from the kernel at once: two calls for each, as ``SSLSocket`` makes them, would make the
    reader the slower one.
    """
    came, goes, got = ssl.MemoryBIO(), ssl.MemoryBIO(), 0
    client = tls.wrap_bio(came, goes, server_hostname="localhost")
    steps: list[Callable[[], object]] = [client.do_handshake, lambda: client.write(request)]
    while True:
        try:
            while steps:
                steps[0]()
                del steps[0]
            while piece := client.read(RECORD):
                got += len(piece)
            return got
        except ssl.SSLWantReadError:
            sock.sendall(goes.read())
            count = sock.recv_into(buffer, READ)
            came.write(buffer[:count]) if count else came.write_eof()
        except ssl.SSLEOFError:  # nginx closes so
            return got


@contextmanager
def bare(file: Path, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A plain loop: accept, send the file by sendfile or by OpenSSL, close."""
    listener = socket.create_server(("127.0.0.1", 0))
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {file.stat().st_size}\r\n\r\n".encode()

    def serve() -> None:
        while True:
            raw, _ = listener.accept()
            with tls.wrap_socket(raw, server_side=True) if tls else raw as sock, file.open("rb") as source:
                sock.recv(1 << 16)
                sock.sendall(head)
                if not tls:
                    sock.sendfile(source)
                while piece := source.read(PIECE) if tls else b"":
                    sock.sendall(piece)

    pid = os.fork()
    if not pid:
        with suppress(OSError):
            serve()
        os._exit(0)
    try:
        yield listener.getsockname()[1]
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        listener.close()


@contextmanager
def ours(folder: Path, pair: str = "") -> Iterator[int]:
    """The gateway, in a process of its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    command = [sys.executable, "-c", CHILD, str(listener.fileno()), str(folder), pair]
    process = subprocess.Popen(command, pass_fds=[listener.fileno()])
    try:
        yield listener.getsockname()[1]
    finally:
        process.terminate()
        process.wait()
        listener.close()


@contextmanager
def nginx(folder: Path, root: Path, pair: str) -> Iterator[tuple[int, int]]:
    """Nginx with sendfile, on a port by plain http and on one by TLS."""
    with socket.create_server(("127.0.0.1", 0)) as free, socket.create_server(("127.0.0.1", 0)) as other:
        port, tls_port = free.getsockname()[1], other.getsockname()[1]
    config = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(NGINX.format(folder=folder, port=port, tls_port=tls_port, root=root, user=user, pair=pair))
    process = subprocess.Popen([shutil.which("nginx") or "nginx", "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: _is_open(port), "nginx listens")
        yield port, tls_port
    finally:
        process.terminate()
        process.wait()


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def certificate(folder: Path) -> str:
    """A certificate and its key, in one file."""
    path = folder / "pair.pem"
    options = ["-x509", "-nodes", "-newkey", "rsa:2048", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(
        ["openssl", "req", *options, *names, "-keyout", path, "-out", f"{path}.crt"], check=True, capture_output=True
    )
    path.write_bytes(path.read_bytes() + Path(f"{path}.crt").read_bytes())
    return str(path)


def main() -> None:
    """Measure, and print one line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bytes", type=int, default=1 << 30)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as name:
        folder = Path(name)
        serving = Serving(folder / "gateway", {"big": ("trees",)})
        file = folder / "gateway/inbox/big/one/1/data/file.bin"
        file.parent.mkdir(parents=True)
        with file.open("wb") as out:
            for _ in range(given.bytes >> 20):
                out.write(os.urandom(1 << 10) * 1024)
        serving.take("big", "one", "1")
        _measure(folder, file, given.rounds)


def _measure(folder: Path, file: Path, rounds: int) -> None:
    size, pair, path = file.stat().st_size, certificate(folder), "/trees/big/one/file.bin"
    client, server = ssl.create_default_context(cafile=pair), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pair)
    with ExitStack() as until:
        loop, tls_loop = until.enter_context(bare(file)), until.enter_context(bare(file, server))
        port, tls_port = (
            until.enter_context(ours(folder / "gateway")),
            until.enter_context(ours(folder / "gateway", pair)),
        )
        wait_until(lambda: _is_open(port) and _is_open(tls_port), "the gateway listens")
        tried: dict[str, Callable[[], float]] = {
            "plain sendfile": lambda: read(loop, "/", size),
            "gateway": lambda: read(port, path, size),
            "gateway, TLS": lambda: read(tls_port, path, size, client),
            "plain loop, TLS": lambda: read(tls_loop, "/", size, client),
        }
        if shutil.which("nginx"):
            its, its_tls = until.enter_context(nginx(folder, file.parent, pair))
            tried["nginx"] = lambda: read(its, "/file.bin", size)
            tried["nginx, TLS"] = lambda: read(its_tls, "/file.bin", size, client)
        _print(tried, rounds)


def _print(tried: dict[str, Callable[[], float]], rounds: int) -> None:
    for run in tried.values():
        run()  # everything is loaded, and the file is in memory
    speeds: dict[str, list[float]] = {name: [] for name in tried}
    for _ in range(rounds):
        for name, run in tried.items():
            speeds[name].append(run())
    best = max(speeds["plain sendfile"])
    for name, found in speeds.items():
        ratio = max(found) / best
        print(
            f"{name:16} best {max(found) / 1e9:6.2f} GB/s  median {statistics.median(found) / 1e9:6.2f}  {ratio:5.2f}"
        )


if __name__ == "__main__":
    main()
