"""The encode worker, in this process: what it is told comes in by one pipe, slots of datagrams leave by another."""

import mmap
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from securesystemslib.signer import CryptoSigner

from diode.config.sections import Mac
from diode.errors import MessageError
from diode.process.compiled import Compiled
from diode.process.memory import create_memfd, map_memfd
from diode.process.workers import Mailbox
from diode.protocol.auth import Kernel, Session
from diode.protocol.encoder import Part, SlabEncoder, Slot, fill_from
from diode.protocol.fec import choose_engine
from diode.protocol.geometry import PROFILES, slab_at, stream_geometry
from diode.protocol.link_key import Mode
from diode.protocol.sizes import HEADER_BYTES, TAG_BYTES, Kind, ObjectType, datagram_bytes
from diode.protocol.wire import headers_of
from diode.storage.folder import Folder
from diode.trust.keys import new_link_key, read_link_key, write_private
from sender.messages import (
    ENCODE_HEARS,
    ENCODE_SAYS,
    ENCODE_TO_TRANSMIT,
    MAX_ANNOUNCED,
    TRANSMIT_TO_ENCODE,
    BundleBegun,
    BundleEnded,
    EncodeSettings,
    Failed,
    GiveBack,
    Proven,
    ProveSlab,
    SendFiller,
    SendPadding,
    SendPart,
    SendRow,
    SendSlab,
    SendSlot,
    SessionBegun,
    SetRate,
    SlotSent,
)
from sender.outbox.hashing import hash_content
from sender.outbox.scan import collect
from sender.pack.moved import relocate
from sender.pack.packed import SLABS_FILE, SOURCES_FILE, STATS_FILE, Packed
from sender.pack.writing import Identity as PackedIdentity
from sender.pack.writing import write_packed
from sender.transport.encode import MAX_OPEN_BUNDLES, PADDING_DATAGRAMS, SUPERVISOR, Encoder

SYMBOL_BYTES = 448
FULL = stream_geometry(SYMBOL_BYTES, PROFILES["clean"])
SIZE = datagram_bytes(SYMBOL_BYTES)
SLOT_BYTES = FULL.rows * FULL.columns * SIZE
SLOTS = 2


@dataclass
class Bench:
    """An encoder and the other ends of its pipes."""

    encoder: Encoder
    supervisor: Mailbox
    transmit: Mailbox
    arena: memoryview
    fds: set[int] = field(default_factory=set)

    def close(self, *fds: int) -> None:
        """No more comes or goes by these."""
        for fd in fds:
            self.fds.remove(fd)
            os.close(fd)

    def tell(self, *messages: object) -> None:
        """The supervisor says this, and hangs up: the worker does it all, and ends."""
        for message in messages:
            self.supervisor.send(message)
        self.close(self.supervisor.write_fd)
        self.encoder.run()

    def left(self) -> Iterator[Any]:
        """What transmit is told: of a slot that left in parts, all runs together."""
        parts: list[tuple[int, int]] = []
        for message in self.transmit.drain():
            match message:
                case SendPart(_, first, count):
                    parts.append((first, count))
                case SendSlot():
                    yield replace(message, runs=(*parts, *message.runs))
                    parts = []
                case _:
                    yield message

    def slot(self, sent: SendSlot) -> np.ndarray:
        """The datagrams of a slot, in sending order."""
        at = sent.slot * SLOT_BYTES
        datagrams = np.frombuffer(self.arena[at : at + SLOT_BYTES], np.uint8)[: SLOT_BYTES // SIZE * SIZE]
        rows = datagrams.reshape(-1, SIZE)
        return np.concatenate([rows[first : first + count] for first, count in sent.runs])


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A worker under a link key of its own, that is told nothing yet."""
    with open_bench(tmp_path) as made:
        yield made


@contextmanager
def open_bench(tmp_path: Path, mac: Mac = "auto", kernel: Kernel | None = None) -> Iterator[Bench]:
    """The same, with a kernel for tags."""
    write_private(tmp_path / "link.key", new_link_key())
    (to_encode, our_write), (our_read, from_encode) = os.pipe(), os.pipe()
    (ready_read, ready_write), (free_read, free_write) = os.pipe(), os.pipe()
    arena = create_memfd("arena", SLOTS * SLOT_BYTES + PADDING_DATAGRAMS * SIZE)
    settings = EncodeSettings(
        arena=arena,
        slots=SLOTS,
        slot_bytes=SLOT_BYTES,
        free_read=free_read,
        ready_write=ready_write,
        state=str(tmp_path / "state"),
        key=str(tmp_path / "link.key"),
        auth="gmac",
        core="off",
        mac=mac,
        engine="auto",
        symbol_bytes=SYMBOL_BYTES,
        profile="clean",
        reads=(),
    )
    made = Bench(
        Encoder(
            settings, Mailbox(to_encode, from_encode, hears=ENCODE_HEARS, says=ENCODE_SAYS), Compiled(kernel=kernel)
        ),
        Mailbox(our_read, our_write, hears=ENCODE_SAYS, says=ENCODE_HEARS),
        Mailbox(ready_read, free_write, hears=ENCODE_TO_TRANSMIT, says=TRANSMIT_TO_ENCODE),
        memoryview(map_memfd(arena)),
        {to_encode, our_write, our_read, from_encode, ready_read, ready_write, free_read, free_write, arena},
    )
    assert "library" == made.supervisor.receive().tags  # what computes each step is said first
    yield made
    made.close(*tuple(made.fds))


@pytest.mark.parametrize(("mac", "asked"), [("auto", 1), ("library", 0)])
def test_a_site_may_keep_to_the_library(tmp_path: Path, mac: Mac, asked: int) -> None:
    """With link.mac = "library" no kernel is even asked."""
    kernel = Unable()
    with open_bench(tmp_path, mac, kernel):
        assert asked == kernel.asked


class Unable:
    """A kernel that cannot work on this CPU."""

    asked = 0

    def tags(self, key: bytes | None) -> None:
        """None, and a count."""
        self.asked += 1


@contextmanager
def in_memory(name: str, content: bytes) -> Iterator[Path]:
    """A file on a tmpfs, where a mapped writer changes no time; elsewhere the kernel may clean the page meanwhile."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        yield path


def pack(folder: Path, content: bytes, sequence: int = 1, *, file: Path | None = None) -> Packed:
    """A packed bundle of one file, which is written unless it is there already."""
    if file is None:
        file = folder / f"file-{sequence}"
        file.write_bytes(content)
    sources = collect([file], "refuse")
    identity = PackedIdentity("cve", "feed", str(sequence), sequence, None, "2026-01-02T03:04:05Z")
    hashed = hash_content(sources, FULL.source_bytes)
    signer = CryptoSigner.generate_ed25519()
    return write_packed(folder / "state", identity, PROFILES["clean"], SYMBOL_BYTES, sources, hashed, [signer])


def begun(packed: Packed) -> BundleBegun:
    """As the supervisor describes it."""
    manifest = packed.manifest
    tables = (packed.travelling_bytes, manifest.files.size, manifest.slabs.size, manifest.files.entries)
    return BundleBegun(packed.id, manifest.stream_bytes, *tables)


def slab_of(packed: Packed, job: int = 1, slab: int = 0, kind: Kind = Kind.DATA, flags: int = 0) -> SendSlab:
    """A job."""
    return SendSlab(job, packed.id, kind, flags, slab, 0)


def carried(datagrams: np.ndarray, length: int) -> bytes:
    """The first ``length`` bytes that the symbols carry."""
    return datagrams[:, HEADER_BYTES:-TAG_BYTES].tobytes()[:length]


def test_a_slab_is_read_encoded_and_handed_over(bench: Bench, tmp_path: Path) -> None:
    """Under the session that it named, with the bytes of the file first and repair after them."""
    content = np.random.default_rng(1).bytes(FULL.source_bytes + 1000)
    packed = pack(tmp_path, content)
    bench.tell(begun(packed), slab_of(packed, 1, 0), slab_of(packed, 2, 1))
    (session,) = bench.supervisor.drain()
    whole, tail = bench.left()
    assert isinstance(session, SessionBegun)
    assert ([1, 2], 2) == ([whole.job, tail.job], len({whole.slot, tail.slot}))
    for sent, part in ((whole, content[: FULL.source_bytes]), (tail, content[FULL.source_bytes :])):
        datagrams = bench.slot(sent)
        headers = headers_of(datagrams)
        assert part == carried(datagrams, len(part))
        assert {packed.id} == set(headers["bundle"].tolist())
        assert {int(session.session, 16)} == set(headers["session"].tolist())
    assert FULL.rows * FULL.columns == len(bench.slot(whole))


def test_manifest_and_tables_are_slabs_too(bench: Bench, tmp_path: Path) -> None:
    """The manifest travels as it was signed, padded to whole symbols."""
    packed = pack(tmp_path, b"content")
    jobs = [slab_of(packed, 1, 0, Kind.OBJECT, flags) for flags in (ObjectType.MANIFEST, ObjectType.FILES)]
    bench.tell(begun(packed), *jobs)
    manifest, files = (bench.slot(sent) for sent in bench.left())
    assert carried(manifest, packed.travelling_bytes).startswith(packed.sealed)
    assert (packed.folder / "files.jsonl").read_bytes() == carried(files, packed.manifest.files.size)


def test_rates_and_filler_go_on_to_transmit(bench: Bench) -> None:
    """In the order in which they were said."""
    bench.tell(SetRate(5), SendPadding(1, 9), SetRate(0))
    assert [SetRate(5), SendPadding(1, 9), SetRate(0)] == list(bench.left())


def test_a_file_that_changed_is_a_job_that_failed(bench: Bench, tmp_path: Path) -> None:
    """Its slot is free again, and other bundles go on."""
    changed, other = pack(tmp_path, b"content"), pack(tmp_path, b"other content", 2)
    (tmp_path / "file-1").write_bytes(b"contents")
    bench.tell(begun(changed), begun(other), *(slab_of(changed, n) for n in (1, 2, 3)), slab_of(other, 4))
    _, *failed = bench.supervisor.drain()
    assert [(Failed, n) for n in (1, 2, 3)] == [(type(message), message.job) for message in failed]
    assert "changed after it was hashed" in failed[0].detail
    *filled, sent = bench.left()
    assert [SendFiller(1 + FULL.r)] * 3 == filled
    assert 4 == sent.job


def test_what_is_not_there_is_a_job_that_failed(bench: Bench, tmp_path: Path) -> None:
    """A packed bundle that was deleted."""
    packed = pack(tmp_path, b"content")
    packed.folder.rename(tmp_path / "elsewhere")
    bench.tell(begun(packed), slab_of(packed))
    _, failed = bench.supervisor.drain()
    assert 1 == failed.job
    assert "packed bundle is damaged" in failed.detail


def test_a_bundle_that_was_moved_is_opened_anew(bench: Bench, tmp_path: Path) -> None:
    """What was sent lies elsewhere afterwards, and is found there when it is sent again."""
    packed = pack(tmp_path, b"content")
    bench.encoder.hear(begun(packed))
    bench.encoder.hear(slab_of(packed))
    (tmp_path / "sent").mkdir()
    with Folder.open(tmp_path / "sent") as holder:
        (tmp_path / "file-1").rename(tmp_path / "sent" / "file-1")
        relocate(packed.folder, tmp_path / "file-1", holder, "file-1")
    assert (packed.folder / SOURCES_FILE).read_text() == f'["{tmp_path / "sent" / "file-1"}"]'
    bench.tell(slab_of(packed, 2))
    assert [1, 2] == [sent.job for sent in bench.left()]


def test_a_slot_that_comes_back_is_filled_again(bench: Bench, tmp_path: Path) -> None:
    """With all slots lent, these are the ones that transmit has sent."""
    packed = pack(tmp_path, b"content")
    bench.encoder.hear(begun(packed))
    for job in (1, 2):
        bench.encoder.hear(slab_of(packed, job))
    for slot in (1, 0):
        bench.transmit.send(SlotSent(slot))
    bench.tell(*(slab_of(packed, n) for n in (3, 4)))
    assert [1, 2, 3, 4] == [sent.job for sent in bench.left()]


def test_it_ends_when_transmit_is_gone(bench: Bench, tmp_path: Path) -> None:
    """Nobody would give a slot back."""
    packed = pack(tmp_path, b"content")
    bench.close(bench.transmit.write_fd)
    with pytest.raises(SystemExit) as ended:
        bench.tell(begun(packed), *(slab_of(packed, n) for n in (1, 2, 3)))
    assert 0 == ended.value.code


BEGUN = BundleBegun(7, 3 * FULL.source_bytes, SYMBOL_BYTES, 90, 96, 1)
SLAB = SendSlab(1, 7, Kind.DATA, 0, 0, 0)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ([SLAB], "its bundle was not begun"),
        ([BEGUN, BundleEnded(7), SLAB], "its bundle was not begun"),
        ([BEGUN, replace(SLAB, slab=3)], "has no such slab"),
        ([BEGUN, ProveSlab(1, 7, 3)], "has no such slab"),
        ([ProveSlab(1, 7, 0)], "its bundle was not begun"),
        ([BundleEnded(7)], "it was not begun"),
        ([BEGUN, BEGUN], "it was begun already"),
        ([replace(BEGUN, slabs_bytes=128)], "no such table of slabs"),
        ([replace(BEGUN, stream_bytes=FULL.source_bytes)], "no such table of slabs"),
        ([replace(BEGUN, stream_bytes=1 << 52, slabs_bytes=32 << 26)], "no such table of slabs"),
        ([replace(BEGUN, bundle=number) for number in range(MAX_ANNOUNCED + 1)], "64 bundles were begun"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(bench: Bench, said: list[object], why: str) -> None:
    """And so is a slab of a bundle that was not announced; it is the supervisor that is blamed."""
    with pytest.raises(MessageError, match=why) as refused:
        bench.tell(*said)
    assert SUPERVISOR == refused.value.peer


def test_what_is_kept_of_bundles_is_bounded(bench: Bench) -> None:
    """As many as may be announced, again and again; an end forgets a bundle."""
    for number in range(3 * MAX_ANNOUNCED):
        bench.encoder.hear(replace(BEGUN, bundle=number))
        bench.encoder.hear(BundleEnded(number))
    assert {} == bench.encoder._plans._plans


def test_few_bundles_are_open_at_one_time(bench: Bench, tmp_path: Path) -> None:
    """Descriptors and maps are few, whatever was announced; what ended is closed."""
    bundles = [pack(tmp_path, b"%d" % number, number) for number in range(1, MAX_OPEN_BUNDLES + 3)]
    for _ in range(len(bundles) - SLOTS):
        bench.transmit.send(SlotSent(1))
    jobs = [message for number, each in enumerate(bundles, 1) for message in (begun(each), slab_of(each, number))]
    bench.tell(*jobs, BundleEnded(bundles[-1].id))
    assert len(bundles) == len(list(bench.left()))
    assert [each.id for each in bundles[-MAX_OPEN_BUNDLES:-1]] == list(bench.encoder._bundles)


@pytest.mark.parametrize("sending_pass", [0, 1])
def test_a_slab_with_other_bytes_does_not_leave(bench: Bench, tmp_path: Path, sending_pass: int) -> None:
    """Whoever has mapped a file can change its bytes and no time: a later pass compares each slab.

    A first pass does so where the ctime is another.
    """
    packed = pack(tmp_path, np.random.default_rng(1).bytes(3 * FULL.source_bytes))
    stats = np.fromfile(packed.folder / STATS_FILE, dtype=np.int64)
    with (tmp_path / "file-1").open("r+b") as writer:
        writer.seek(2 * FULL.source_bytes - 1)
        writer.write(b"!")
    status = (tmp_path / "file-1").stat()
    stats[2:] = status.st_mtime_ns, status.st_ctime_ns if sending_pass else 0
    stats.tofile(packed.folder / STATS_FILE)  # as if no time had changed
    jobs = [replace(slab_of(packed, n + 1, n), sending_pass=sending_pass) for n in range(3)]
    bench.tell(begun(packed), *jobs)
    _, failed = bench.supervisor.drain()
    place = f"bytes {FULL.source_bytes} to {2 * FULL.source_bytes} of {str(tmp_path / 'file-1')!r}"
    assert (2, f"slab 1 is not what was packed: somebody changed {place}") == (failed.job, failed.detail)
    before, filled, after = bench.left()
    assert ([1, 3], SendFiller(FULL.burst_datagrams)) == ([before.job, after.job], filled)


def test_a_slab_that_left_without_a_comparison_is_proven(bench: Bench, tmp_path: Path) -> None:
    """A first pass does not hold up a line that has nothing to send; what it let through is found by the proof."""
    packed = pack(tmp_path, bytes(3 * FULL.source_bytes))
    table = (packed.folder / SLABS_FILE).read_bytes()
    (packed.folder / SLABS_FILE).write_bytes(table[:32] + bytes(32) + table[64:])
    bench.encoder.hear(begun(packed))
    for number in (0, 2, 1):  # slab 2 is compared: transmit is busy with slab 0
        if number == 1:
            bench.transmit.send(SlotSent(1))
            bench.transmit.send(SlotSent(0))
        bench.encoder.hear(slab_of(packed, 1 + number, number))
    assert [1, 3, 2] == [sent.job for sent in bench.left()]
    (tmp_path / "file-1").rename(tmp_path / "elsewhere")
    bench.encoder.hear(ProveSlab(6, packed.id, 2))  # nothing is read again
    (tmp_path / "elsewhere").rename(tmp_path / "file-1")
    bench.tell(*(ProveSlab(4 + number, packed.id, number) for number in range(2)))
    _, known, proven, failed = bench.supervisor.drain()
    place = f"bytes {FULL.source_bytes} to {2 * FULL.source_bytes} of {str(tmp_path / 'file-1')!r}"
    assert (Proven(6), Proven(4)) == (known, proven)
    assert (5, f"slab 1 is not what was packed: somebody changed {place}") == (failed.job, failed.detail)
    assert [] == list(bench.left())


@pytest.mark.parametrize("auth", ["gmac", "none", "aead"])
def test_rows_leave_as_they_are_read(bench: Bench, tmp_path: Path, auth: Mode) -> None:
    """While the line waits: all source symbols in order, then repair. Together they are what would leave in one go.

    In ``aead`` mode all is read first, since repair is of what is not encrypted.
    """
    content = np.random.default_rng(3).bytes(FULL.source_bytes - 1000)
    packed = pack(tmp_path, content)
    bench.encoder._encoder = SlabEncoder(choose_engine(), Session(read_link_key(tmp_path / "link.key"), 5, auth), 1)
    bench.tell(begun(packed), slab_of(packed))
    *parts, last = bench.transmit.drain()
    source, repair = -(-len(content) // SYMBOL_BYTES), FULL.k * FULL.columns
    assert (auth == "aead") == (len(parts) == 1)
    assert {SendPart} == set(map(type, parts))
    assert list(range(source)) == [part.first + n for part in parts for n in range(part.count)]
    assert ((repair, 0), (repair, FULL.r * FULL.columns)) == last.runs
    left = bench.slot(replace(last, runs=((0, source), *last.runs)))
    place = Slot(memoryview(bytearray(SLOT_BYTES)), FULL)
    again = SlabEncoder(choose_engine(), Session(read_link_key(tmp_path / "link.key"), 5, auth), 1)
    runs = again.encode(place, slab_at(FULL, len(content), 0), Part(packed.id, Kind.DATA), fill_from(content))
    assert np.array_equal(left, np.concatenate([place.datagrams[first : first + count] for first, count in runs]))


def test_a_file_that_changes_while_its_slab_leaves_is_withdrawn(bench: Bench, tmp_path: Path) -> None:
    """What has left has left. The slot comes back when the last of it is sent, and is filled again."""
    packed = pack(tmp_path, bytes(FULL.source_bytes))
    sent = bench.encoder._transmit.send

    def change(message: object) -> None:
        sent(message)
        (tmp_path / "file-1").write_bytes(bytes(9))

    bench.encoder._transmit.send = change  # type: ignore[method-assign]  # the first part has left
    bench.tell(begun(packed), slab_of(packed))
    part, back, filled = bench.transmit.drain()
    _, failed = bench.supervisor.drain()
    assert (SendPart, GiveBack(part.slot), SendFiller) == (type(part), back, type(filled))
    assert "changed after it was hashed" in failed.detail
    bench.encoder._take_back(SlotSent(part.slot))
    assert list(range(SLOTS)) == sorted(bench.encoder._free)


def test_a_slab_whose_file_is_touched_while_it_leaves_is_compared(bench: Bench, tmp_path: Path) -> None:
    """A new link is no change of content: what is left of the slab leaves when all of it was compared."""
    content = np.random.default_rng(4).bytes(FULL.source_bytes)
    packed = pack(tmp_path, content)
    sent = bench.encoder._transmit.send

    def link(message: object) -> None:
        sent(message)
        if not (tmp_path / "linked").exists():
            (tmp_path / "linked").hardlink_to(tmp_path / "file-1")

    bench.encoder._transmit.send = link  # type: ignore[method-assign]  # the first part has left
    bench.tell(begun(packed), slab_of(packed))
    *parts, last = bench.transmit.drain()
    symbols = FULL.k * FULL.columns
    assert list(range(symbols)) == [part.first + n for part in parts for n in range(part.count)]
    assert content == carried(bench.slot(replace(last, runs=((0, symbols),))), len(content))
    assert 0 in bench.encoder._plans.compared(bench.encoder._plans._plans[packed.id])


def test_what_was_compared_is_forgotten_with_the_bundle(bench: Bench, tmp_path: Path) -> None:
    """Its files may be others when it is begun again."""
    packed = pack(tmp_path, bytes(FULL.source_bytes))
    bench.encoder.hear(begun(packed))
    bench.encoder.hear(ProveSlab(1, packed.id, 0))
    bench.encoder.hear(BundleEnded(packed.id))
    (tmp_path / "file-1").unlink()
    bench.tell(begun(packed), ProveSlab(2, packed.id, 0))
    _, proven, failed = bench.supervisor.drain()
    assert (Proven(1), 2) == (proven, failed.job)


def test_what_was_linked_after_it_was_hashed_is_sent(bench: Bench, tmp_path: Path) -> None:
    """``ln`` and ``cp -al`` change the ctime, and no content."""
    packed = pack(tmp_path, b"content")
    (tmp_path / "linked").hardlink_to(tmp_path / "file-1")
    bench.tell(begun(packed), slab_of(packed))
    assert b"content" == carried(bench.slot(*bench.left()), 7)


def rows_of(bench: Bench, packed: Packed, rows: Iterable[int]) -> np.ndarray:
    """The datagrams of these rows of the first slab, each read again when it leaves."""
    sent = []
    for row in rows:
        bench.encoder.hear(SendRow(1 + row, packed.id, 0, 0, row))
        slot = bench.transmit.receive(0)
        assert isinstance(slot, SendSlot)
        sent.append(bench.slot(slot))
        bench.transmit.send(SlotSent(slot.slot))
    return np.concatenate(sent)


def test_rows_are_the_slab(bench: Bench, tmp_path: Path) -> None:
    """Together they carry what the slab carries in one go, to the last row of repair; counters go on."""
    packed = pack(tmp_path, np.random.default_rng(2).bytes(3 * FULL.row_bytes + 1000))
    bench.encoder.hear(begun(packed))
    rows = rows_of(bench, packed, range(4 + 5))
    bench.tell(slab_of(packed))
    (whole,) = bench.left()
    symbols = slice(HEADER_BYTES, -TAG_BYTES)
    assert np.array_equal(rows[:, symbols], bench.slot(whole)[: len(rows), symbols])
    assert list(range(len(rows))) == headers_of(rows)["counter"].tolist()
    assert 64 - 3 == whole.filler


def test_source_rows_of_a_slab_do_not_wait_for_each_other(bench: Bench, tmp_path: Path) -> None:
    """They lie in one slot, which comes back when all of them have left. Repair and other slabs take another one."""
    packed = pack(tmp_path, content := np.random.default_rng(2).bytes(4 * FULL.row_bytes))
    bench.encoder.hear(begun(packed))
    for row in range(4):
        bench.encoder.hear(SendRow(1 + row, packed.id, 0, 0, row))
    bench.encoder.hear(SendRow(5, packed.id, 0, 0, 4))
    *sources, repair = bench.transmit.drain()
    (slot,) = {sent.slot for sent in sources}
    assert slot != repair.slot
    assert content == b"".join(carried(bench.slot(sent), FULL.row_bytes) for sent in sources)
    for sent in sources:
        assert not bench.encoder._free
        bench.encoder._take_back(SlotSent(sent.slot))
    bench.encoder.hear(SendRow(6, packed.id, 0, 0, 1))
    assert slot == bench.transmit.receive(0).slot
    bench.encoder._take_back(SlotSent(slot))
    with pytest.raises(MessageError, match="was not handed over"):
        bench.encoder._take_back(SlotSent(slot))


@pytest.mark.parametrize("changed_byte", [0, FULL.row_bytes * 3])
def test_a_file_that_changes_between_rows_is_withdrawn(bench: Bench, tmp_path: Path, changed_byte: int) -> None:
    """Also where somebody has mapped it, and no time of it tells: repair is of what was packed, or does not leave."""
    content = np.random.default_rng(1).bytes(4 * FULL.row_bytes)
    with in_memory("file-1", content) as path, path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as writer:
        packed = pack(tmp_path, content, file=path)
        bench.encoder.hear(begun(packed))
        rows_of(bench, packed, range(2))
        writer[changed_byte] ^= 1
        bench.encoder.hear(SendRow(9, packed.id, 0, 0, 4))
        assert SendFiller(FULL.columns) == bench.transmit.receive(0)
    _, failed = bench.supervisor.receive(0), bench.supervisor.receive(0)
    place = f"bytes 0 to {len(content)} of {str(path)!r}"
    assert (9, f"slab 0 is not what was packed: somebody changed {place}") == (failed.job, failed.detail)


def test_a_row_that_the_slab_does_not_have_is_refused(bench: Bench, tmp_path: Path) -> None:
    """Beyond its repair, and of a slab that is sent in one go."""
    packed = pack(tmp_path, bytes(4 * FULL.row_bytes))
    with pytest.raises(MessageError, match="no such row"):
        bench.tell(begun(packed), SendRow(1, packed.id, 0, 0, 4 + 5))
