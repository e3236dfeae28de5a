"""A receiver with published versions of one name, and what a test does with a target of it."""

import hashlib
import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner

from diode.bundle.files import FileEntry
from diode.config.ingest import IngestTarget
from diode.formats.digest import digest
from receiver.catalogue.snapshot import CARDS
from receiver.ingest.item import Item
from receiver.ingest.journal import Journal
from receiver.ingest.kinds import open_target
from receiver.ingest.work import Work
from receiver.ledger.catalogue import CatalogueLine
from tests.enclave import Enclave
from tests.faults.disk import KilledError
from tests.link import make_bundle

ALICE = CryptoSigner.generate_ed25519()
CHANNEL, NAME = "models", "acme--tiny"
TARGET = "store"
BY_HUB = '[channels.models]\nserve = ["hub"]\n'
FILES: Mapping[str, bytes] = {
    "config.json": b'{"model_type": "tiny"}',
    "model.safetensors": bytes(range(256)) * 40,
    "nested/deep/tokenizer.json": b"{}",
    "run.sh": b"#!/bin/sh\n",
    "same.json": b"{}",
    "void": b"",
}
NEVER = 400  # kill points that no run reaches


def files_of(sequence: int) -> dict[str, bytes]:
    """The files of one version: some are those of every version."""
    return {**FILES, "model.safetensors": bytes(range(256)) * (40 + sequence), f"only-{sequence}": b"%d" % sequence}


@contextmanager
def two_versions(folder: Path, config: str = BY_HUB) -> Iterator[Enclave]:
    """A receiver in ``folder`` with two versions; the second is in use."""
    made = Enclave(folder, {"alice.pub": ALICE}, config)
    for sequence in (1, 2):
        publish(made, sequence)
    yield made
    made.stop()


def publish(
    enclave: Enclave, sequence: int, files: Mapping[str, bytes] | None = None, *, empty: tuple[str, ...] = ("empty/",),
    links: Any = None, **place: Any,
) -> str:  # fmt: skip
    """Let a version arrive; its id. ``run.sh`` is executable."""
    named = {"channel": CHANNEL, "name": NAME, "version": f"v{sequence}"} | place
    content = files_of(sequence) if files is None else dict(files)
    entries = [
        FileEntry(path, len(data), digest(data).hex(), hashlib.sha256(data).hexdigest(), path == "run.sh")
        for path, data in content.items()
    ]
    entries += [FileEntry(path, link=text) for path, text in (links or {}).items()]
    entries = sorted([*entries, *map(FileEntry, empty)], key=lambda one: one.path.encode())
    table = b"".join(one.line() for one in entries)
    named |= {"sequence": sequence, "signer": ALICE, "table": table, "entries": len(entries), "links": links}
    bundle = make_bundle(content, **named)
    enclave.take(bundle)
    assert enclave.published(bundle), enclave.refusals
    return f"{bundle.number:016x}"


def line_of(enclave: Enclave, version: str, **place: str) -> CatalogueLine:
    """What the ledger says of a version."""
    named = {"channel": CHANNEL, "name": NAME} | place
    lines = enclave.store.records.ledger.catalogue.lines(named["channel"], named["name"])
    return next(one for one in lines if one.version == version)


def item_of(enclave: Enclave, version: str, *, current: bool = True, **place: str) -> Item:
    """A version as ingest takes it."""
    line = line_of(enclave, version, **place)._replace(current=current)
    card = enclave.config.gateway.index / CARDS / f"{line.id}.db"
    return Item.open(enclave.config.inbox.path, line, card)


def work_at(enclave: Enclave, settings: IngestTarget, state: Path) -> Work:
    """A target, as each run of the command opens it."""
    return Work(TARGET, open_target(enclave.config, TARGET, settings), Journal(state, TARGET))


def lawful() -> None:
    """It may be pushed."""


def shape(top: Path) -> dict[str, str]:
    """All that lies below a folder: kind, mode, and content or where a link leads."""
    found = {}
    for path in sorted(top.rglob("*")):
        if path.is_symlink():
            said = f"link {path.readlink()}"
        elif path.is_dir():
            said = "folder"
        else:
            said = f"file {path.stat().st_mode & 0o111} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        found[str(path.relative_to(top))] = said
    return found


class Kill:
    """kill -9 before the n-th call of whatever it stands before; after that, nothing works any more."""

    def __init__(self) -> None:
        self.left: int | None = None

    def __call__(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left <= 0:
                raise KilledError

    def before(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, that a kill may come before."""

        def counted(*arguments: Any, **options: Any) -> Any:
            self()
            return call(*arguments, **options)

        return counted

    @contextmanager
    def at(self, number: int) -> Iterator[None]:
        """Kill at this call of the block."""
        self.left = number
        try:
            yield
        finally:
            self.left = None


def points(run: Callable[[int], bool], stride: int) -> int:
    """Run at every so many kill points, until a run is not killed any more. Returns how many points there were."""
    for number in itertools.count(1, stride):
        if not run(number):
            return number - 1
        assert number < NEVER
    raise AssertionError


def was_killed(run: Callable[[], object]) -> bool:
    """Whether a run met its kill."""
    try:
        run()
    except KilledError:
        return True
    return False


def is_root() -> bool:
    """Whether modes keep nothing from us."""
    return os.geteuid() == 0
