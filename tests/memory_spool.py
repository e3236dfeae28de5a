"""Bundles in memory in the place of a spool: the store's own judge says what counts of them."""

from collections.abc import Iterator

from diode.bundle.opened import Opened
from diode.protocol.handed_over import SlabKey
from diode.protocol.sizes import Kind, ObjectType
from receiver.store.judge import TABLES, ArrivedSlab, BundleJudge, Early, Genuine, Wrong

Part = tuple[Kind, int]
DATA: Part = (Kind.DATA, 0)


class MemoryBundle:
    """One bundle whose manifest counts. ``parts`` has the bytes of its stream and of its tables."""

    def __init__(self, number: int, opened: Opened) -> None:
        self.number = number
        self.manifest = opened.manifest
        self.judge = BundleJudge(opened.manifest)
        self.parts = {part: bytearray(size) for part, size in self.sizes.items()}
        self._early: dict[int, bytes] = {}  # slabs of data that came before the tables

    @property
    def sizes(self) -> dict[Part, int]:
        """Bytes of each part."""
        tables = {(Kind.OBJECT, int(kind)): self.manifest.table(kind).size for kind in TABLES}
        return {DATA: self.manifest.stream_bytes, **tables}

    def take(self, key: SlabKey, data: bytes) -> list[SlabKey]:
        """Put a slab to its place. Returns those to collect again; raises ContentError when the bundle is refused."""
        if key.kind == Kind.DATA:
            return list(self._take_data(key, data))
        table = self.judge.table(key)
        if not table.is_wanted(key.number):
            return []
        self._put(key, data)
        table.came(key.number)
        return self.read_tables()

    def read_tables(self) -> list[SlabKey]:
        """Go on when both tables are there. Returns and raises as :meth:`take`."""
        again = [key for kind in TABLES for key in self._judge_table(kind)]
        if self.judge.is_ready or not self.judge.are_tables_verified:
            return again
        files, slabs = (bytes(self.parts[Kind.OBJECT, int(kind)]) for kind in TABLES)
        self.judge.read_tables(files[: self.manifest.lines_bytes].splitlines(keepends=True), files, slabs)
        early, self._early = self._early, {}
        for number, data in early.items():
            again += self._take_data(SlabKey(self.number, *DATA, number), data)
        return again

    def _judge_table(self, kind: ObjectType) -> Iterator[SlabKey]:
        table, part = self.judge.tables[kind], (Kind.OBJECT, int(kind))
        verdict = None if table.is_verified else table.judge(lambda: [self.parts[part]])
        if isinstance(verdict, Wrong):
            yield from (SlabKey(self.number, *part, number) for number in verdict.again)

    def _take_data(self, key: SlabKey, data: bytes) -> Iterator[SlabKey]:
        match self.judge.judge_slab(ArrivedSlab(key.number, data)):
            case Early():
                self._early[key.number] = data
            case Genuine():
                self._put(key, data)
                self.judge.note_stored(key.number)
            case Wrong():
                yield key

    def _put(self, key: SlabKey, data: bytes) -> None:
        slab = self.judge.slab(key)
        assert slab.length == len(data), f"{key}: {len(data)} bytes, signed are {slab.length}"
        self.parts[key.kind, key.flags][slab.offset : slab.offset + slab.length] = data
