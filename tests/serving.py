"""A gateway over an inbox made for a test: bundles are published, promoted and recalled without a daemon.

Cards are made by the makers that the describing worker uses, snapshots by what ``store`` uses. So what a client meets
is what it would meet behind a daemon, but for how the files came.
"""

import asyncio
import hashlib
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from diode.layouts.kinds import Kind
from diode.layouts.source import SOURCE_FILE, read_source
from receiver.catalogue.card import CardFile, write_card
from receiver.catalogue.pointer import Pointer, Version, promoted, published, rolled_back
from receiver.catalogue.snapshot import CARDS, SNAPSHOT_FILE, Listed, Named, write_snapshot
from receiver.describe.makers import MAKERS
from receiver.describe.protocols import Described
from receiver.gateway.server.app import Gateway, Mounted, mounted
from receiver.gateway.server.engine import Engine
from tests.patience import PATIENCE_S

BUILT = "2026-11-01T00:00:00Z"
NOW = "2026-11-28T12:00:00Z"


@contextmanager
def listening(gateway: Gateway, tls: ssl.SSLContext | None = None, **options: Any) -> Iterator[int]:
    """Serve on a port of loopback, which is given, by the engine that the real process has, in a thread."""
    sock = socket.create_server(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    loop = asyncio.new_event_loop()
    engine = Engine(gateway, tls, **options)
    loop.run_until_complete(engine.start([sock]))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield port
    finally:
        asyncio.run_coroutine_threadsafe(engine.drain(within_s=5.0, idle_s=0.0), loop).result(PATIENCE_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE_S)
        loop.close()
        sock.close()


@dataclass(frozen=True)
class FolderFiles:
    """The data of a bundle in a folder; its table is made by hashing it."""

    data: Path

    def table(self) -> Iterable[CardFile]:
        """All files, sorted by path."""
        paths = (path for path in self.data.rglob("*") if path.is_file())
        return [self._entry(path) for path in sorted(paths, key=lambda path: str(path.relative_to(self.data)).encode())]

    def get(self, path: str) -> CardFile | None:
        """One file of the table."""
        return self._entry(self.data / path) if (self.data / path).is_file() else None

    def open(self, path: str) -> BinaryIO:
        """A file's content."""
        return (self.data / path).open("rb")

    def read(self, path: str, most: int) -> bytes:
        """A whole file."""
        content = (self.data / path).read_bytes()
        if len(content) > most:
            raise ValueError(f"{path} has more than {most} bytes")
        return content

    def _entry(self, path: Path) -> CardFile:
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        name = str(path.relative_to(self.data))
        return CardFile(name, len(content), digest, is_executable=os.access(path, os.X_OK))


@dataclass
class Serving:
    """An inbox, its index, and the channels with what they serve. Its pointers may be moved from any thread."""

    folder: Path
    serve: Mapping[str, tuple[Kind, ...]]
    listed: dict[str, Listed] = field(default_factory=dict)
    names: list[Named] = field(default_factory=list)
    pointers: dict[tuple[str, str], Pointer] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    generation: int = 0
    _moving: threading.Lock = field(default_factory=threading.Lock)  # the daemon has one writer of snapshots, too

    def __post_init__(self) -> None:
        (self.folder / "index" / CARDS).mkdir(parents=True)
        (self.folder / "inbox").mkdir()
        self._write()

    def publish(
        self, channel: str, name: str, version: str, files: Mapping[str, bytes | str], built: str = BUILT
    ) -> str:
        """Publish a bundle; returns its id."""
        data = self.folder / "inbox" / channel / name / version / "data"
        for path, content in files.items():
            (data / path).parent.mkdir(parents=True, exist_ok=True)
            (data / path).write_bytes(content.encode() if isinstance(content, str) else content)
        return self.take(channel, name, version, built)

    def take(self, channel: str, name: str, version: str, built: str = BUILT) -> str:
        """Publish what lies in the place of a bundle already; returns its id."""
        found = FolderFiles(self.folder / "inbox" / channel / name / version / "data")
        table = list(found.table())
        content = hashlib.sha256(repr(table).encode()).hexdigest()
        bundle = hashlib.sha256(f"{channel}/{name}/{version}".encode()).hexdigest()[:16]
        source = read_source(found.read(SOURCE_FILE, 1 << 20)) if found.get(SOURCE_FILE) else None
        described = Described(bundle, channel, name, version, content, built, found, source)
        made = [MAKERS[kind](described) for kind in self.serve.get(channel, ())]
        sha512, blake2b = ({p for one in made for p in getattr(one, of)} for of in ("sha512", "blake2b"))
        table = [self._with_digests(one, found, one.path in sha512, one.path in blake2b) for one in table]
        claims = [claim for one in made for claim in one.claims]
        path = self.folder / "index" / CARDS / f"{bundle}.db"
        write_card(path, table, [fact for one in made for fact in one.facts], claims)
        self.problems += [problem for one in made for problem in one.problems]
        sequence = len(self.listed) + 1
        self.listed[bundle] = Listed(bundle, channel, name, version, sequence, content, "published", built, built)
        self.names += [Named(c.kind, c.normal, bundle, c.spelling) for c in claims]
        new = Version(version, bundle, sequence)
        self._move(channel, name, lambda before: published(before, new, NOW) or before)
        return bundle

    def promote(self, channel: str, name: str, version: str) -> None:
        """Put a version to use."""
        one = next(b for b in self.listed.values() if (b.channel, b.name, b.version) == (channel, name, version))
        to = Version(version, one.id, one.sequence)
        self._move(channel, name, lambda before: promoted(before, to, NOW))

    def roll_back(self, channel: str, name: str) -> None:
        """Back to the version before."""
        self._move(channel, name, lambda before: rolled_back(before, NOW))

    def recall(self, bundle: str, reason: str) -> None:
        """Recall a bundle."""
        with self._moving:
            self.listed[bundle] = self.listed[bundle]._replace(state="recalled", reason=reason, recalled=NOW)
            self._write()

    @contextmanager
    def running(self, mounts: list[Mounted] | None = None, **options: Any) -> Iterator[str]:
        """Serve; gives the gateway's address. ``options``: as Gateway takes them."""
        gateway = Gateway(self.folder / "inbox", self.folder / "index", mounts or mounted(self.serve), **options)
        with listening(gateway) as port:
            gateway.base = f"http://127.0.0.1:{port}"
            yield gateway.base

    def _with_digests(self, one: CardFile, found: FolderFiles, sha512: bool, blake2b: bool) -> CardFile:
        content = found.read(one.path, 1 << 30) if sha512 or blake2b else b""
        return one._replace(
            sha512=hashlib.sha512(content).hexdigest() if sha512 else "",
            blake2b=hashlib.blake2b(content, digest_size=32).hexdigest() if blake2b else "",
        )

    def _move(self, channel: str, name: str, move: Callable[[Pointer], Pointer]) -> None:
        with self._moving:
            moved = move(self.pointers.get((channel, name)) or Pointer(channel, name))
            self.pointers[channel, name] = replace(moved)
            self._write()

    def _write(self) -> None:
        self.generation += 1
        current = {p.current.bundle for p in self.pointers.values() if p.current}
        offered = {one.bundle for p in self.pointers.values() for one in p.offered()}
        was = {one.bundle for p in self.pointers.values() for one in p.deployed} | {
            bundle for bundle, one in self.listed.items() if one.was_current
        }
        self.listed = {
            bundle: one._replace(
                is_current=bundle in current,
                is_offered=bundle in offered and one.is_servable,
                was_current=bundle in was,
                moved=NOW,
            )
            for bundle, one in self.listed.items()
        }
        path = self.folder / "index" / SNAPSHOT_FILE
        write_snapshot(path, self.generation, NOW, self.listed.values(), self.names, ())
