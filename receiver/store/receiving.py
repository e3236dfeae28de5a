"""Bundles being received: each with what was judged of it, where it lies in the spool, and how near its end it is.

Data that is given here lies in memory that no other process can write: what is judged is what is written.
"""

from pathlib import Path

from diode.bundle.manifest import Manifest
from diode.bundle.opened import Opened
from diode.bundle.ref import BundleRef
from diode.errors import ContentError, IntegrityError, LostWritesError
from diode.protocol.handed_over import SlabKey
from diode.protocol.sizes import Kind, ObjectType
from receiver.inbox.facts import ref_of
from receiver.policy.admission import Claim
from receiver.policy.governed import Examined
from receiver.spool.bundle import SpoolBundle
from receiver.spool.disk import inodes_of
from receiver.spool.finishing import Finishing
from receiver.spool.spilled import SpilledSlabs
from receiver.spool.tree import Stretch
from receiver.store.judge import ArrivedSlab, BundleJudge, Genuine, TableJudge, Wrong
from receiver.store.unrecorded import Unrecorded


class Receiving:
    """One bundle whose manifest counts."""

    def __init__(self, spool: SpoolBundle, spilled: SpilledSlabs) -> None:
        self.ref: BundleRef = ref_of(spool.opened)
        self.spool = spool
        self.spilled = spilled
        self.judge = BundleJudge(spool.opened.manifest)
        self.unproven: set[int] = set()  # stored slabs that only reading them from the disk can prove
        self.target: Path | None = None  # where it was published, as soon as it was
        self.examined: Examined | None = None  # how its content was judged last, in this run
        self.is_released = False  # by whoever had to; then it is not held any more
        self.is_said_published = False  # whether the audit log may say so already
        self.refusal: ContentError | None = None  # why it is refused, until the ledger says so
        self.is_document = False  # a trust document, which counts; wherever its folder goes

    @property
    def number(self) -> int:
        """The bundle id."""
        return self.ref.number

    @property
    def hex_id(self) -> str:
        """The bundle id as 16 hexadecimal digits."""
        return self.ref.hex_id

    @property
    def opened(self) -> Opened:
        """Its manifest, with those who signed it."""
        return self.spool.opened

    @property
    def manifest(self) -> Manifest:
        """What it is."""
        return self.spool.opened.manifest

    @property
    def claim(self) -> Claim:
        """The room that it takes, and will take."""
        size, missing = self.manifest.stream_bytes, self.manifest.stream_bytes - self.judge.stored_bytes
        inodes = inodes_of(self.manifest.files.entries) * missing // max(1, size)  # files come in order
        return Claim(self.manifest.channel, size, missing, inodes)

    def is_whole(self, key: SlabKey) -> bool:
        """Whether a slab of data is spilled with all its source symbols: it came before the tables."""
        return key.kind == Kind.DATA and self.spilled.is_whole(key, self.judge.slab(key).source_symbols)

    def put_table(self, kind: ObjectType, number: int, data: memoryview) -> tuple[int, ...]:
        """Take one slab of a table. Returns slabs of it to collect again."""
        table = self.judge.tables[kind]
        if not table.is_wanted(number):
            return ()
        self.spool.tables[kind].put(table.slab(number), data)
        table.came(number)
        return self._judge_table(kind, table)

    def maybe_read_tables(self, *, from_disk: bool = False) -> bool:
        """Read the tables once both are verified; True when that just happened. Raises ManifestError, PathError.

        ``from_disk``: take also files of an earlier run that are whole tables.
        """
        for kind, table in self.judge.tables.items():
            if table.is_verified:
                continue
            if not from_disk:
                self._judge_table(kind, table)
            elif self.spool.tables[kind].maybe_size() == table.size:
                table.recognise(self.spool.tables[kind].chunks(from_disk=True))
        if self.judge.is_ready or not self.judge.are_tables_verified:
            return False
        files, slabs = (self.spool.tables[kind] for kind in (ObjectType.FILES, ObjectType.SLABS))
        tables = self.judge.read_tables(files.lines(self.manifest.lines_bytes), files.map(), slabs.read())
        self.spool.plant(tables.index, tables.times)
        return True

    def put_slab(self, number: int, data: memoryview, blake3: bytes | None = None) -> Stretch | None:
        """Write one slab of data to its files, unless it is there. Raises IntegrityError when it is not as signed.

        ``blake3`` is of ``data``, where that is known already. Returns what :meth:`Tree.put` does.
        """
        match self.judge.judge_slab(ArrivedSlab(number, data, blake3)):
            case Genuine():
                stretch = self.spool.tree.put(self.judge.data_slab(number), data)
                self.judge.note_stored(number)
                return stretch
            case Wrong():
                raise IntegrityError(f"slab {number} does not have its signed digest")
        return None

    def is_there(self, number: int) -> bool:
        """Whether the files of a stored slab are still there and long enough."""
        return self.spool.tree.has(self.judge.data_slab(number))

    def rehash(self, number: int) -> bool:
        """Whether a slab written before a power loss, or by an earlier run, is really there: on the disk, that is."""
        slab = self.judge.data_slab(number)
        return self.spool.tree.maybe_digest(slab) == self.judge.signed_digest(number)

    def finish_tree(self, *, at_rest: bool) -> None:
        """Complete the tree; at rest, hash every file of it once more. Raises IntegrityError."""
        self.spool.tree.finish()
        if at_rest:
            self.sync()
            self.spool.tree.check()

    def sync(self) -> None:
        """All that was written of it is on the disk. Raises LostWritesError."""
        self.spool.write_back.sync()
        lost = sorted(number for number in self.unproven if not self.rehash(number))
        if lost:
            count = len(lost)
            raise LostWritesError(f"{count} slabs of {self.ref.label} are not what was written, from slab {lost[0]} on")
        self.unproven.clear()

    def _judge_table(self, kind: ObjectType, table: TableJudge) -> tuple[int, ...]:
        file = self.spool.tables[kind]
        if not table.size:
            file.make_empty()
        verdict = table.judge(file.chunks)
        return verdict.again if isinstance(verdict, Wrong) else ()


class Bundles(dict[int, Receiving]):
    """All bundles being received, by number, and the thread that finishes those that are complete."""

    def __init__(self, finishing: Finishing) -> None:
        super().__init__()
        self.finishing = finishing
        self.unrecorded = Unrecorded()

    def each(self) -> list[Receiving]:
        """Those of now, whatever becomes of them meanwhile."""
        return list(self.values())

    def claims(self) -> list[Claim]:
        """The room that they take."""
        return [bundle.claim for bundle in self.values()]

    def is_recorded(self, number: int) -> bool:
        """Whether the ledger has a row of a bundle: of channel ``trust`` it has none before all is proven."""
        return number not in self.unrecorded
