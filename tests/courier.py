"""A courier's walk in one process: a packed bundle, a folder as the medium, and a receiver's real ``store``."""

import os
import random
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from securesystemslib.signer import CryptoSigner

from diode.audit.log import AuditLog
from diode.bundle import medium
from diode.bundle.medium import TOP
from diode.config.receiver import ReceiverConfig
from diode.protocol.geometry import PROFILES, stream_geometry
from diode.storage.database import LEDGER_FILE
from diode.storage.locking import lock_folder
from receiver.ledger.ledgers import LedgerView
from receiver.media.handing import Handing
from receiver.media.importing import Importing, Outcome
from receiver.media.medium import Medium
from sender.ledger import Ledger, Row, State
from sender.media.export import Exported, export
from sender.outbox.hashing import hash_content
from sender.outbox.scan import collect
from sender.pack.writing import Identity, write_packed
from tests.enclave import Enclave
from tests.faults.replaced import Replacement, replaced

SYMBOL_BYTES = 448
CLEAN = PROFILES["clean"]
SLAB_BYTES = stream_geometry(SYMBOL_BYTES, CLEAN).source_bytes
ALICE = CryptoSigner.generate_ed25519()
MODEL = random.Random(3).randbytes(2 * SLAB_BYTES + 1000)
FILES = {"a/model": MODEL, "a/empty": b"", "note": b"carried"}  # three slabs


class Courier:
    """Staging and a medium, below ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "sender"
        self.items = folder / "items"
        self.medium = folder / "stick"
        self.medium.mkdir(parents=True)
        self.ledger = Ledger(self.state / LEDGER_FILE)
        self.audit = AuditLog(folder / "sender-audit", "sender", None)
        self.shown: list[int] = []

    def pack(
        self,
        sequence: int = 1,
        files: dict[str, bytes] = FILES,
        state: State = State.QUEUED,
        links: dict[str, str] | None = None,
        times: Sequence[int] = (),
    ) -> Row:
        """A bundle by Alice, of a channel that is called ``test``. ``times``: of its table of times."""
        root = self.items / str(sequence)
        for name, content in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
        for name, text in (links or {}).items():
            (root / name).symlink_to(text)
        sources = collect([root], "keep" if links else "refuse")
        identity = Identity("test", "bundle", str(sequence), sequence, None, "2026-01-02T03:04:05Z")
        hashed = hash_content(sources, SLAB_BYTES)
        packed = write_packed(self.state, identity, CLEAN, SYMBOL_BYTES, sources, hashed, [ALICE], times=times)
        manifest = packed.manifest
        row = Row(
            *(packed.hex_id, "test", "bundle", str(sequence), sequence),
            content=manifest.content_digest,
            size=manifest.stream_bytes,
            files=manifest.files.entries,
            passes=1,
            pass_delay_s=0.0,
            state=state,
            detail="",
            created=manifest.created,
            origin=str(root),
        )
        self.ledger.add(row)
        return row

    def export(self, row: Row, medium: Path | None = None) -> Exported:
        """Write a bundle to the medium."""
        return export(self.state, self.ledger, self.audit, row, medium or self.medium, self.shown.append)

    def on_medium(self, row: Row, name: str = "") -> Path:
        """Where a bundle lies on the medium, or a file of it."""
        return self.medium / TOP / row.id / name

    def close(self) -> None:
        """The daemon of staging, if any, may go on."""
        self.ledger.close()


class Gate:
    """The receiving end: a store in this process, which works while the import waits for it."""

    def __init__(self, folder: Path, config: str = "") -> None:
        self.enclave = Enclave(folder, {"alice.pub": ALICE}, config)
        self._lock = lock_folder(self.enclave.config.state)
        self.is_stopped = False

    @property
    def config(self) -> ReceiverConfig:
        """Its settings."""
        return self.enclave.config

    def work(self, _: float) -> None:
        """The daemon goes on, while somebody waits for it."""
        self.enclave._now += 0.6
        self.enclave._step()

    def bring(self, medium: Path, hex_id: str) -> Outcome:
        """Import one bundle."""
        with (
            closing(LedgerView(self.config.state / LEDGER_FILE, read_only=True)) as ledger,
            closing(Handing(self.config.state, lambda: self.enclave._now, self.work)) as handing,
        ):
            importing = Importing(self.config, ledger, handing, lambda *_: None, lambda: self.enclave._now)
            return importing.bring(Medium(medium), hex_id)

    def state_of(self, hex_id: str) -> str | None:
        """What the ledger says of a bundle."""
        row = self.enclave.store.records.ledger.bundles.get(hex_id)
        return row.state if row else None

    def missing(self, row: Row, slabs: int = 3) -> tuple[tuple[int, int], ...]:
        """The slabs of a bundle that are not stored."""
        return self.enclave.store.records.ledger.slabs.missing(row.id, slabs)

    def handed(self) -> list[str]:
        """What lies in the folder by which slabs are handed over."""
        return sorted(os.listdir(self.config.state / "import"))

    def content(self, row: Row) -> dict[str, bytes]:
        """The published files, by their names."""
        data = self.config.inbox.path / row.channel / row.name / row.version / "data"
        return {str(path.relative_to(data)): path.read_bytes() for path in data.rglob("*") if path.is_file()}

    def close(self) -> None:
        """The daemon ends."""
        with suppress(OSError):
            os.close(self._lock)
        self.enclave.stop()


@contextmanager
def small_parts(folder: Path) -> Iterator[Courier]:
    """A courier in ``folder``; each part of a medium has one slab."""
    with replaced(Replacement(medium, "MOST_PART_BYTES", SLAB_BYTES)):
        courier = Courier(folder)
        yield courier
        courier.close()


def copy_of(medium: Path, to: Path) -> Path:
    """Another medium with the same on it."""
    shutil.copytree(medium, to)
    return to


def flip(path: Path, at: int) -> None:
    """Change one byte of a file."""
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))
