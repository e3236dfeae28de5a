"""A whole transfer in one process: real scheduler, encoder, gate and assembler, a lossy line, virtual time, no files.

The store of this enclave keeps bundles in memory, and judges by the real judge: signature, tables, slabs.
"""

import hashlib
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from securesystemslib.signer import CryptoSigner

from diode.bundle.files import FileEntry
from diode.bundle.manifest import Manifest, Shape, Table, bundle_id, padded_manifest
from diode.bundle.times import write_times
from diode.errors import Drop
from diode.formats.digest import digest
from diode.net.impairments import Impairer, Impairments
from diode.protocol.assembler import Assembler
from diode.protocol.auth import DatagramViews, Session
from diode.protocol.encoder import SlabEncoder, Slot, fill_from
from diode.protocol.fec import Engine, choose_engine
from diode.protocol.gate import Gate
from diode.protocol.geometry import PROFILES, slab_count, stream_geometry
from diode.protocol.handed_over import Completed, SlabKey, Spilled, Wanted
from diode.protocol.heartbeat import Heartbeat, HeartbeatSealer
from diode.protocol.link_key import LinkKey, Mode
from diode.protocol.sizes import Kind, ObjectType, datagram_bytes, symbol_bytes_for
from diode.trust.roles import open_manifest, seal_manifest
from receiver.store.judge import ArrivedManifest, Signed, judge_manifest
from sender.transport.plan import Job, Padding, Plan, Wait
from sender.transport.schedule import Scheduler
from tests.memory_spool import MemoryBundle
from tests.sealing import datagrams_of
from tests.trusted import anyone

PADDING = 64
REST_S = 0.5
REGION = 2000  # datagrams a region of this receiver holds
DATA, OBJECT = Kind.DATA, Kind.OBJECT
ProfileName = Literal["clean", "standard", "lossy", "extreme"]


@dataclass
class Bundle:
    """A signed bundle in memory."""

    number: int
    manifest: Manifest
    parts: dict[tuple[Kind, int], bytes]
    signer: CryptoSigner

    def plan(self, passes: int) -> Plan:
        """What the scheduler must know."""
        full = self.manifest.shape.geometry
        manifest, files, slabs = (len(self.parts[OBJECT, int(kind)]) for kind in ObjectType)
        sizes = (self.manifest.stream_bytes, manifest, files, slabs)
        return Plan(self.number, full, *sizes, self.manifest.files.entries, passes=passes, pass_delay_s=1.0)


def make_bundle(
    files: dict[str, bytes],
    *,
    mtu: int = 1500,
    profile: ProfileName = "standard",
    sequence: int = 1,
    signer: CryptoSigner | None = None,
    table: bytes | None = None,
    signers: Sequence[CryptoSigner] | None = None,
    entries: int | None = None,
    links: Mapping[str, str] | None = None,
    times: Sequence[int] = (),
    **fields: Any,
) -> Bundle:
    """Pack and sign ``files``. ``table`` is signed in place of their table, as a signer with a bug might.

    ``entries``: lines of ``table``; ``signers``: who signs, if not one; ``fields``: of the manifest, if not as usual.
    With ``links`` (by path, what they say) or ``times`` it is of version 2.
    """
    symbol_bytes = symbol_bytes_for(mtu)
    full = stream_geometry(symbol_bytes, PROFILES[profile])
    paths = sorted(files, key=str.encode)
    stream = b"".join(files[path] for path in paths)
    every = {
        p: FileEntry(p, len(files[p]), digest(files[p]).hex(), hashlib.sha256(files[p]).hexdigest()) for p in paths
    }
    every |= {path: FileEntry(path, link=text) for path, text in (links or {}).items()}
    lines = table or b"".join(every[path].line() for path in sorted(every, key=str.encode))
    entries, content, files_table = len(every) if entries is None else entries, digest(lines).hex(), lines
    if links or times:
        files_table += write_times(times)
        fields = {
            "format": "diode-bundle-2",
            "content": content,
            "links": len(links or {}),
            "times": len(times),
            **fields,
        }
    count = slab_count(full, len(stream))
    slabs = b"".join(digest(stream[n * full.source_bytes : (n + 1) * full.source_bytes]) for n in range(count))
    usual = {"channel": "test", "name": "bundle", "version": str(sequence), "previous": None}
    usual |= {"created": "2026-01-01T00:00:00Z", "expires": None, "supersedes": None}
    manifest = Manifest(
        sequence=sequence,
        **{"format": "diode-bundle-1", **usual, "labels": None, "attestation": None, **fields},
        shape=Shape.model_validate(
            {"profile": profile, "symbol_bytes": symbol_bytes, "columns": full.columns, "k": full.k, "r": full.r}
        ),
        stream_bytes=len(stream),
        files=Table(entries=entries, size=len(files_table), blake3=digest(files_table).hex()),
        slabs=Table(entries=count, size=len(slabs), blake3=digest(slabs).hex()),
    )
    signer = signer or CryptoSigner.generate_ed25519()
    payload, sealed = seal_manifest(manifest, [signer] if signers is None else signers)
    parts = {
        (DATA, 0): stream,
        (OBJECT, int(ObjectType.MANIFEST)): padded_manifest(sealed, symbol_bytes),
        (OBJECT, int(ObjectType.FILES)): files_table,
        (OBJECT, int(ObjectType.SLABS)): slabs,
    }
    return Bundle(bundle_id(payload), manifest, parts, signer)


class Staging:
    """The sending side: datagrams come out of :meth:`next` as virtual time goes on."""

    def __init__(
        self, bundles: list[Bundle], passes: int, mode: Mode, key: LinkKey, engine: Engine, rate: float
    ) -> None:
        shape = bundles[0].manifest.shape
        self.now = 0.0
        self.line = 0
        self.size = datagram_bytes(shape.symbol_bytes)
        self._rate = rate
        self._bundles = {bundle.number: bundle for bundle in bundles}
        self._plans = {bundle.number: bundle.plan(passes) for bundle in bundles}
        self._scheduler = Scheduler(rate, self.size)
        for plan in self._plans.values():
            self._scheduler.add(plan)
        session = Session(key, 1, mode)
        self._encoder = SlabEncoder(engine, session, key.key_id)
        full = shape.geometry
        self._slot = Slot(memoryview(bytearray(full.rows * full.columns * self.size)), full)
        self._padding = Slot(memoryview(bytearray(PADDING * self.size)), type(full)(full.symbol_bytes, 1, PADDING, 0))
        self._encoder.padding(self._padding, PADDING)
        self._sealer = HeartbeatSealer(key, Session(key, 2, mode), shape.symbol_bytes)
        self._beats = 0
        self._beat_at = 0.0

    def heartbeat(self) -> np.ndarray:
        """One heartbeat as a matrix of one datagram."""
        self._beats += 1
        sessions = {f"{1:016x}": self._encoder.counter, f"{2:016x}": 0}
        beat = Heartbeat(epoch=1, number=self._beats, clock=0, sessions=sessions, channels={}, bundles=[])
        return np.frombuffer(self._sealer.seal(beat), np.uint8).reshape(1, -1)

    def next(self) -> tuple[Job | Padding | None, np.ndarray] | None:
        """(what was sent, its datagrams), or None when all is over. Time passes."""
        if self.now >= self._beat_at:
            self._beat_at = self.now + 1.0
            return None, self.heartbeat()
        step = self._scheduler.next(self.now)
        if step is None:
            return None
        if isinstance(step, Wait):
            self.now += step.seconds
            return None, np.empty((0, self.size), np.uint8)
        datagrams = self._datagrams(step)
        self.now += datagrams.size / self._rate
        self.line += len(datagrams)
        self._scheduler.sent(step, len(datagrams), self.now)
        return step, datagrams

    def _datagrams(self, step: Job | Padding) -> np.ndarray:
        if isinstance(step, Padding):
            return np.tile(self._padding.datagrams, (-(-step.datagrams // PADDING), 1))[: step.datagrams]
        slab = self._plans[step.bundle].slab(step)
        data = self._bundles[step.bundle].parts[step.kind, step.flags][slab.offset : slab.offset + slab.length]
        plan = self._plans[step.bundle]
        return datagrams_of(self._encoder, self._slot, self._padding, plan, step, fill_from(data))


@dataclass
class Enclave:
    """The receiving side, with a store in memory."""

    keys: list[LinkKey]
    mode: Mode
    engine: Engine
    trusted: list[CryptoSigner]
    arena_bytes: int = 160 << 20
    drops: Counter[Drop] = field(default_factory=Counter)
    published: dict[int, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.gate = Gate(self.keys, self.mode, self.drops)
        self.arena = np.zeros(self.arena_bytes, np.uint8)
        self.assembler = Assembler(self.arena, self.engine, self.drops, lambda: False)
        self.receiving: dict[int, MemoryBundle] = {}
        self.spilled: dict[SlabKey, tuple[np.ndarray, np.ndarray]] = {}

    def receive(self, datagrams: np.ndarray, now: float) -> None:
        """Take datagrams of one size as they arrive."""
        for first in range(0, len(datagrams), REGION):
            region = np.ascontiguousarray(datagrams[first : first + REGION]).copy()
            views = DatagramViews(memoryview(region.reshape(-1)), region.shape[1], len(region))
            rows = self.gate.admit(region, views, now)
            if len(rows):
                self.assembler.feed(region, rows)
            self._handle()

    def rest(self) -> None:
        """Nothing comes for a while: what is open is spilled."""
        self.assembler.spill()
        self._handle()

    def _handle(self) -> None:
        while self.assembler.handed_over:
            item = self.assembler.handed_over.popleft()
            match item:
                case Completed():
                    self._store(item)
                case Spilled():
                    symbols = self.arena[item.offset : item.offset + len(item.have) * item.symbol_bytes]
                    self.spilled[item.key] = symbols.copy(), item.have.copy()
                    self.assembler.release(item.offset)
                case Wanted():
                    symbols, have = self.spilled.pop(item.key)
                    place = self.arena[item.offset :][: len(symbols)].reshape(len(have), -1)
                    place[have] = symbols.reshape(len(have), -1)[have]
                    self.assembler.loaded(item.key, have)

    def _store(self, done: Completed) -> None:
        data = bytes(self.arena[done.offset : done.offset + done.length])
        self.assembler.release(done.offset)
        number = done.key.bundle
        if (done.key.kind, done.key.flags) == (OBJECT, ObjectType.MANIFEST):
            if number not in self.receiving and number not in self.published:
                self._judge(number, data)
        elif number in self.receiving:
            self._go_on(number, self.receiving[number].take(done.key, data))

    def _judge(self, number: int, data: bytes) -> None:
        trust = anyone(signer.public_key for signer in self.trusted)
        verdict = judge_manifest(ArrivedManifest(number, data), lambda sealed: open_manifest(sealed, trust))
        assert isinstance(verdict, Signed), verdict
        bundle = self.receiving[number] = MemoryBundle(number, verdict.opened)
        self.assembler.know(number, bundle.manifest.shape.geometry, bundle.sizes, [])
        self._go_on(number, bundle.read_tables())

    def _go_on(self, number: int, again: list[SlabKey]) -> None:
        for key in again:
            self.assembler.redo(key)
        bundle = self.receiving[number]
        if bundle.judge.is_complete:
            self.published[number] = bytes(bundle.parts[DATA, 0])
            del self.receiving[number]
            self.assembler.finish(number, Drop.REDUNDANT)


def transfer(
    bundles: list[Bundle],
    impairments: Impairments,
    seed: int,
    *,
    passes: int = 1,
    mode: Mode = "gmac",
    engine: Engine | None = None,
    rate: float = 100e6,
    warm_up: int = 0,
    arena_bytes: int = 160 << 20,
) -> Enclave:
    """Send ``bundles`` through the impaired line; ``warm_up`` datagrams of padding shift where its bursts fall."""
    engine = engine or choose_engine()
    key = LinkKey.of(random.Random(seed).randbytes(32))
    staging = Staging(bundles, passes, mode, key, engine, rate)
    enclave = Enclave([key], mode, engine, [bundle.signer for bundle in bundles], arena_bytes)
    enclave.receive(staging.heartbeat(), 0.0)  # several are sent before data; one of them arrives
    line = Impairer(impairments, seed)
    if warm_up:
        line.apply(staging._datagrams(Padding(warm_up)))
    heard_at = 0.0
    while (step := staging.next()) is not None:
        if staging.now - heard_at > REST_S:
            enclave.rest()
        enclave.receive(line.apply(step[1]), staging.now)
        heard_at = staging.now if step[0] is not None else heard_at
    enclave.receive(line.flush(), staging.now)
    return enclave
