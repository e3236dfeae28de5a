"""The enclave that fuzzers attack: the real `Assemble` with its gate and assembler, and a store in memory that judges.

Regions lie in its ring as `listen` fills it. The store speaks as ``receiver.store`` does, by the real judge. Only the
clock, the pipes and the disk are ours.
"""

import itertools
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
import pytest
from securesystemslib.signer import Key

from diode.bundle.opened import Opened
from diode.errors import ContentError, Drop
from diode.process.compiled import Compiled
from diode.process.memory import LINK_SIZE, Counters, Ring, create_memfd, map_memfd
from diode.protocol.assembler import Assembler
from diode.protocol.auth import Kernel
from diode.protocol.bundles import MAX_FINISHED
from diode.protocol.early_slabs import MAX_EARLY_SLABS
from diode.protocol.fec import choose_engine
from diode.protocol.gate import Claim, Claims, Gate
from diode.protocol.handed_over import SlabKey
from diode.protocol.link_key import LinkKey, Mode
from diode.protocol.open_slab import OpenSlab
from diode.protocol.sessions import MAX_SESSIONS
from diode.protocol.sizes import Kind, ObjectType
from diode.trust.roles import open_manifest
from receiver.messages.pipeline import (
    ASSEMBLE_SAYS,
    ASSEMBLE_TO_STORE,
    STORE_TO_ASSEMBLE,
    Complete,
    Finished,
    Free,
    Known,
    Loaded,
    Redo,
    Spilled,
    Wanted,
)
from receiver.spool.slabs import key_of, pack_mask, unpack_mask
from receiver.store.judge import ArrivedManifest, Rejected, judge_manifest
from receiver.transport import assemble
from tests.faults.enclave import Box
from tests.memory_spool import DATA, MemoryBundle
from tests.trusted import anyone
from tests.worker_settings import assemble_settings

REGION_BYTES: Final = 4 << 20
MAX_PENDING: Final = 3 * REGION_BYTES // Ring.MIN_RUN_BYTES + MAX_EARLY_SLABS  # what one region can make to hand over


class Counted(Assembler):
    """The assembler, with what the fuzzers' shares are reckoned from."""

    duplicates = 0  # of symbols; other duplicates are heartbeats
    decoded = 0  # symbols of slabs that were decoded
    completed = 0
    most_pending = 0

    def place(self, slab: OpenSlab, symbols: Any, rows: Any, numbers: Any) -> bool:
        """Place, then count."""
        before = self._drops[Drop.DUPLICATE]
        is_placed = super().place(slab, symbols, rows, numbers)
        self.duplicates += self._drops[Drop.DUPLICATE] - before
        return is_placed

    def _maybe_complete(self, slab: OpenSlab) -> None:
        super()._maybe_complete(slab)
        if self._open.get(slab.key) is slab or slab.length is None:
            return
        never_sent = slab.shape.k * slab.shape.columns - -(-slab.length // slab.shape.symbol_bytes)
        self.decoded += int(np.count_nonzero(slab.have)) - never_sent
        self.completed += 1


class CountedGate(Gate):
    """The gate, likewise."""

    authentic = 0  # datagrams of data and objects

    def settle(self, claims: Claims, claim: Claim, authentic: Any, now: float) -> None:
        """Count."""
        self.authentic += len(authentic)
        super().settle(claims, claim, authentic, now)


class Spooled(MemoryBundle):
    """A bundle whose manifest was verified, with the symbols of its spilled slabs."""

    def __init__(self, number: int, opened: Opened) -> None:
        super().__init__(number, opened)
        self.spilled: dict[SlabKey, tuple[np.ndarray, np.ndarray]] = {}


class MemoryStore:
    """It publishes what has the digests that were signed, and asserts that this is what was staged."""

    def __init__(self, box: Box, arena: memoryview, keys: list[Key], staged: dict[int, bytes], seed: int) -> None:
        self.published: Counter[int] = Counter()
        self.refused: set[int] = set()
        self.counts: Counter[str] = Counter()
        self._box = box
        self._arena = arena
        self._trust = anyone(keys)
        self._staged = staged
        self._rng = random.Random(seed)
        self._bundles: dict[int, Spooled] = {}
        self._over: dict[int, Drop] = {}

    @property
    def over(self) -> set[int]:
        """Bundles that are published or refused for good."""
        return set(self._over)

    def step(self, most: int | None = None) -> None:
        """Do what waits, or the first ``most`` of it."""
        for _ in itertools.repeat(None) if most is None else range(most):
            if not self._box._inbox:
                return
            self._handle(self._box._inbox.popleft())

    def _handle(self, message: Any) -> None:
        key = key_of(message)
        bundle = self._bundles.get(key.bundle)
        self.counts[type(message).__name__] += 1
        match message:
            case Complete():
                data = bytes(self._arena[message.offset :][: message.length])
                self._take(key, data)
                self._box.send(Free(message.offset))
            case Spilled():
                have = unpack_mask(message.have, message.symbols)
                symbols = np.frombuffer(self._arena, np.uint8)[message.offset :][: len(have) * message.symbol_bytes]
                if bundle is not None:
                    bundle.spilled[key] = symbols.reshape(len(have), -1)[have], have
                self._box.send(Free(message.offset))
            case Wanted():
                self._load(key, bundle, message)

    def _load(self, key: SlabKey, bundle: Spooled | None, message: Wanted) -> None:
        have = np.zeros(message.symbols, dtype=np.bool_)
        if bundle is not None and key in bundle.spilled:
            symbols, mask = bundle.spilled[key]
            numbers = np.flatnonzero(mask)
            numbers = numbers[numbers < len(have)]
            size = message.symbol_bytes
            place = np.frombuffer(self._arena, np.uint8)[message.offset :][: len(have) * size].reshape(-1, size)
            place[numbers] = symbols[: len(numbers)]
            have[numbers] = True
        self._box.send(Loaded(*key, symbols=len(have), have=pack_mask(have)))

    def _take(self, key: SlabKey, data: bytes) -> None:
        bundle = self._bundles.get(key.bundle)
        if (key.kind, key.flags) == (Kind.OBJECT, ObjectType.MANIFEST):
            if bundle is None:
                self._judge(key.bundle, data)
        elif bundle is not None:
            if bundle.judge.is_ready:
                bundle.spilled.pop(key, None)
            self._go_on(bundle, lambda: bundle.take(key, data))

    def _judge(self, number: int, padded: bytes) -> None:
        verdict = judge_manifest(ArrivedManifest(number, padded), lambda sealed: open_manifest(sealed, self._trust))
        if isinstance(verdict, Rejected):
            self.counts[f"manifest_{verdict.error.reason}"] += 1
            return
        if number in self._over:
            self._box.send(Finished(number, self._over[number]))
            return
        assert number in self._staged, "a manifest that nobody signed was accepted"
        bundle = self._bundles[number] = Spooled(number, verdict.opened)
        manifest, shape = bundle.manifest, bundle.manifest.shape
        geometry = (shape.symbol_bytes, shape.columns, shape.k, shape.r)
        sizes = (manifest.stream_bytes, manifest.files.size, manifest.slabs.size)
        self._box.send(Known(number, geometry, *sizes, done=b"", spilled=b"", spilled_files=b"", spilled_slabs=b""))
        self._go_on(bundle, bundle.read_tables)

    def _go_on(self, bundle: Spooled, work: Callable[[], list[SlabKey]]) -> None:
        try:
            again = work()
        except ContentError:
            self.refused.add(bundle.number)
            self._end(bundle.number, Drop.REFUSED)
            return
        self.counts["redone"] += sum(key.kind == Kind.DATA for key in again)
        self.counts["table_redone"] += len({key.flags for key in again if key.kind == Kind.OBJECT})
        for key in again:
            self._box.send(Redo(*key))
        if bundle.judge.is_complete:
            assert bytes(bundle.parts[DATA]) == self._staged[bundle.number], "what is published is not what was staged"
            self.published[bundle.number] += 1
            self._end(bundle.number, self._rng.choice((Drop.REDUNDANT, *[None] * 7)))

    def _end(self, number: int, drop: Drop | None) -> None:
        """It is over; without a reason it may begin anew, as after an expiry."""
        del self._bundles[number]
        if drop is not None:
            self._over[number] = drop
        self._box.send(Finished(number, drop or ""))


class Enclave:
    """`Assemble` and the judge. What :meth:`receive` raises is a bug, and so is a broken invariant of :meth:`check`."""

    def __init__(
        self,
        keys: list[Path],
        mode: Mode,
        arena_bytes: int,
        signers: list[Key],
        staged: dict[int, bytes],
        seed: int,
        kernel: Kernel | None = None,
    ) -> None:
        control, to_store, to_assemble = Box(ASSEMBLE_SAYS), Box(STORE_TO_ASSEMBLE), Box(ASSEMBLE_TO_STORE)
        self.says = control.peer = Box()
        to_store.peer, to_assemble.peer = to_assemble, to_store
        self.now = 1000.0
        fds = [create_memfd("arena", arena_bytes), Ring.create(2, REGION_BYTES), Counters.create(assemble.COUNTERS)]
        fds.append(Counters.create(LINK_SIZE))
        arena, ring, counters, link_size = fds
        settings = assemble_settings(
            ring=ring,
            regions=2,
            region_bytes=REGION_BYTES,
            arena=arena,
            counters=counters,
            link_size=link_size,
            keys=tuple(map(str, keys)),
            auth=mode,
        )
        with pytest.MonkeyPatch.context() as patches:
            patches.setattr(assemble, "Assembler", Counted)
            patches.setattr(assemble, "Gate", CountedGate)
            patches.setattr(assemble, "choose_engine", _engine)
            self.worker = assemble.Assemble(settings, control, Compiled(kernel=kernel))
        self.judge = MemoryStore(to_store, memoryview(map_memfd(arena)), signers, staged, seed)
        for fd in fds:
            os.close(fd)
        self.worker._handover.mailbox = self.answers = to_assemble
        to_assemble.work = self._until_answered
        self._region = 0

    @property
    def assembler(self) -> Counted:
        """The real one, counted."""
        made = self.worker._assembler
        assert isinstance(made, Counted)
        return made

    @property
    def drops(self) -> Counter[Drop]:
        """What was refused."""
        return self.worker._drops

    @property
    def datagrams(self) -> int:
        """Sliced so far."""
        return self.worker._regions.datagrams

    @property
    def tagged(self) -> int:
        """Datagrams whose tag was found right."""
        beats = self.worker._gate.heartbeats + sum(self.drops[reason] for reason in HEARTBEATS)
        gate = self.worker._gate
        assert isinstance(gate, CountedGate)
        return gate.authentic + beats - self.assembler.duplicates

    def receive(self, received: bytes | np.ndarray, lengths: list[int], *, is_slow: bool = False) -> None:
        """A region as `listen` fills it, run after run. A slow store does nothing unless it is waited for."""
        ring, self._region = self.worker._regions.ring, 1 - self._region
        ring.data[self._region][: sum(lengths)] = memoryview(received).cast("B")
        for i, length in enumerate(lengths):
            ring.lengths[self._region][i] = length
        self.worker._take(self._region, len(lengths))
        pending = len(self.assembler.handed_over)
        self.worker._handover.decide()
        self.worker._handover.give()
        self.worker._publish_figures()
        self.assembler.most_pending = max(self.assembler.most_pending, pending)
        if not is_slow:
            self.drain()

    def _until_answered(self) -> None:
        """Somebody waits: the judge does no more than it must."""
        while self.judge._box._inbox and not self.answers._inbox:
            self.judge.step(1)

    def drain(self) -> None:
        """Until nobody has anything to say."""
        while self.judge._box._inbox or self.answers._inbox:
            self.judge.step()
            self.worker._handover.hear()
        self.says._inbox.clear()

    def rest(self) -> None:
        """Nothing comes for a while: what is open is spilled."""
        self.worker._handover.spill(None)
        self.drain()

    def check(self) -> None:
        """All that is kept is bounded, and nothing is lost of the arena. Call it when nobody has anything to say."""
        assembler, gate = self.assembler, self.worker._gate
        extents = assembler._extents
        held = {slab.offset for slab in assembler._open.values()}
        assert held == extents._taken.keys(), "extents leaked, or used twice"
        assert sum(extents._taken.values()) == assembler.used_bytes <= extents.size_bytes
        assert sum(size for _, size in extents._free) + assembler.used_bytes == extents.size_bytes
        assert not assembler.handed_over, "something was not handed over"
        assert assembler.most_pending <= MAX_PENDING
        assert not self.worker._handover.handed
        assert len(assembler._early) <= MAX_EARLY_SLABS
        assert set(assembler._early) <= assembler._open.keys()
        assert len(assembler._bundles.finished) <= MAX_FINISHED
        assert len(gate._sessions) <= MAX_SESSIONS
        assert all(type(reason) is Drop for reason in self.drops)
        assert min(self.drops.values(), default=0) >= 0
        refused = sum(self.drops[reason] for reason in BEFORE_ASSEMBLY)
        assert self.datagrams == refused + self.tagged, "a datagram was neither admitted nor counted as dropped"


BEFORE_ASSEMBLY: Final = (
    *(Drop.MAGIC, Drop.VERSION, Drop.KIND, Drop.FLAGS, Drop.RESERVED, Drop.SYMBOL_SIZE, Drop.GEOMETRY),
    *(Drop.KEY, Drop.SESSION, Drop.TAG, Drop.HEARTBEAT_RATE, Drop.HEARTBEAT_KIND),
)
HEARTBEATS: Final = (Drop.HEARTBEAT, Drop.HEARTBEAT_KEY, Drop.HEARTBEAT_ORDER, Drop.DUPLICATE)  # or of symbols


@cache
def _engine(name: str, library: Any = None) -> Any:
    return choose_engine(name, library)


@contextmanager
def enclave(
    folder: Path,
    key: LinkKey,
    mode: Mode,
    arena_bytes: int,
    signers: list[Key],
    staged: dict[int, bytes],
    seed: int,
    kernel: Kernel | None = None,
) -> Iterator[Enclave]:
    """An :class:`Enclave` with virtual time, its key file in ``folder``."""
    path = folder / "link.key"
    path.write_text(key.secret.hex())
    path.chmod(0o600)
    with pytest.MonkeyPatch.context() as patches:
        made = Enclave([path], mode, arena_bytes, signers, staged, seed, kernel)
        patches.setattr(assemble, "time", SimpleNamespace(monotonic=lambda: made.now))
        yield made
