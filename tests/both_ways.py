"""One link, received both ways: by the readable gate and assembler, and by RunTaker over a kernel's tags.

What is sent is drawn from one generator: slabs of known bundles in order, with losses; among them repeats, conflicts,
forged tags, padding, heartbeats, rows of other slabs, shapes, sessions and keys. Symbols stay open from region to
region. After each region both sides must keep and hand over the same.
"""

from typing import Any, Final

import numpy as np

from diode.errors import Drop
from diode.protocol.assembler import Assembler
from diode.protocol.auth import DatagramViews, Kernel, Session
from diode.protocol.encoder import Part
from diode.protocol.gate import Gate
from diode.protocol.geometry import Geometry, slab_count
from diode.protocol.heartbeat import Heartbeat, HeartbeatSealer
from diode.protocol.link_key import LinkKey, Mode
from diode.protocol.run_taker import RunTaker
from diode.protocol.sizes import HEADER_BYTES, TAG_BYTES, Kind
from diode.protocol.wire import headers_of, pack_lone_headers
from tests.diode.protocol.caller import Caller, sent

Bytes2D = np.ndarray[Any, np.dtype[np.uint8]]
Rng = np.random.Generator

FULL: Final = Geometry(448, 4, 8, 3)
SLAB_BYTES: Final = FULL.k * FULL.columns * FULL.symbol_bytes
BUNDLES: Final = (11, 12, 13, 14)  # the last one's manifest is never known
LENGTH: Final = 5 * SLAB_BYTES + 777
KEYS: Final = (LinkKey.of(bytes(range(32))), LinkKey.of(bytes(range(1, 33))))
SESSIONS: Final = (71, 72, 73, 74)  # of data: two under each key; the last one is never admitted
HEART: Final = 99
SIZES: Final = {(Kind.DATA, 0): LENGTH, (Kind.OBJECT, 1): 1000, (Kind.OBJECT, 2): 1000}


class Side:
    """A receiver. ``kernel`` None: the readable way."""

    def __init__(self, mode: Mode, kernel: Kernel | None, arena_bytes: int) -> None:
        self.caller = Caller(arena_bytes)
        self.assembler: Assembler = self.caller.assembler
        self.gate = Gate(KEYS, mode, self.caller.drops, None, (), kernel)
        self._taker = RunTaker(self.gate, self.assembler, self.caller.drops) if kernel else None

    def receive(self, datagrams: Bytes2D, now: float) -> None:
        """A run."""
        if self._taker is not None:
            shown = datagrams.copy()
            shown.flags.writeable = False  # as the ring is
            self._taker.take(shown, now)
            return
        mine = datagrams.copy()
        rows = self.gate.admit(mine, DatagramViews(memoryview(mine.reshape(-1)), mine.shape[1], len(mine)), now)
        self.assembler.feed(mine, rows)

    def kept(self) -> dict[str, Any]:
        """What it keeps, counted and handed over."""
        caller = self.caller
        return kept(self.gate, self.assembler) | {
            "drops": +caller.drops,
            "handed over": [str(item) for item in self.assembler.handed_over],
            "completed": caller.completed.copy(),
            "began": (caller.begun.copy(), caller.wanted.copy()),
            "spilled": {
                key: (have.tobytes(), symbols[have].tobytes()) for key, (symbols, have) in caller.spilled.items()
            },
        }


def kept(gate: Gate, assembler: Assembler) -> dict[str, Any]:
    """What a gate and an assembler keep, by name."""
    known = assembler._bundles.known
    return {
        "figures": str(assembler.figures),
        "gate": (gate.received, gate.expected, gate.heartbeats, gate.heard, list(gate.old_key_sessions)),
        "sessions": {
            session: (one.key_id, one.received, one.expected, one.before, one._seen.tobytes())
            for session, one in gate._sessions.items()
        },
        "open": [_slab(slab) for slab in assembler._open.values()],
        "early": list(assembler._early),
        "memory": (sorted(assembler._extents._taken.items()), str(assembler._extents._free)),
        "done": {(n, part): mask.tobytes() for n, one in known.items() for part, mask in one.done.items()},
        "to be loaded": {number: sorted(one.spilled) for number, one in known.items()},
    }


def _slab(slab: Any) -> tuple[Any, ...]:
    masks = (slab.have.tobytes(), slab.settled.tobytes())
    facts = (slab.key, slab.offset, slab.shape, slab.length, slab.count, slab.is_early, slab.is_loading)
    return *facts, *masks, slab.symbols[slab.have].tobytes()


class Line:
    """Draws what is sent over one link."""

    def __init__(self, rng: Rng, mode: Mode) -> None:
        self._rng = rng
        self._ciphers = {(key.key_id, number): Session(key, number, mode) for key in KEYS for number in SESSIONS}
        self._sealers = [HeartbeatSealer(key, Session(key, HEART, mode), FULL.symbol_bytes) for key in KEYS]
        slabs = range(slab_count(FULL, LENGTH))
        self._slabs = {(b, n): sent(FULL, _part(b), _content(b), n) for b in BUNDLES for n in slabs}
        self._at = (BUNDLES[0], 0, 0)  # what is sent next
        self._counter = 0
        self._beats = 0
        self._newest = np.empty((0, FULL.symbol_bytes + HEADER_BYTES + TAG_BYTES), np.uint8)  # sealed, may come again

    def beat(self, which: int = 0) -> Bytes2D:
        """A heartbeat under one of the keys, which admits half of the sessions."""
        self._beats += 1
        sessions = {f"{number:016x}": self._counter for number in SESSIONS[2 * which : 2 * which + 2][: 2 - which]}
        beat = Heartbeat(epoch=1, number=self._beats, clock=0, sessions=sessions, channels={}, bundles=[])
        sealer = self._sealers[which]
        seal = sealer.seal if self._rng.random() < 0.1 and which else sealer.seal_mac
        return np.frombuffer(seal(beat), np.uint8).reshape(1, -1)

    def run(self) -> Bytes2D:
        """Some pieces of the stream, most of them as an honest sender sends them."""
        rng, pieces = self._rng, []
        for _ in range(int(rng.integers(1, 6))):
            pieces.append(self._sealed(self._next(int(rng.integers(1, 30)))))
            if rng.random() < 0.3:
                pieces.append(self._odd())
        rows = np.concatenate(pieces)
        self._newest = rows
        return rows

    def _next(self, count: int) -> Bytes2D:
        """What comes next, with losses; sometimes the stream goes on elsewhere."""
        rng = self._rng
        bundle, number, first = self._at
        rows = self._slabs[bundle, number][first : first + count]
        self._at = (bundle, number, first + count)
        if first + count >= len(self._slabs[bundle, number]):
            self._at = (bundle, number + 1, 0)
        if self._at[:2] not in self._slabs or rng.random() < 0.02:
            self._at = (int(rng.choice(BUNDLES)), int(rng.integers(6)), 0)
        kept = rows[rng.random(len(rows)) >= rng.choice((0.0, 0.02, 0.3))]
        return np.array(kept if len(kept) else rows[:1])

    def _sealed(self, rows: Bytes2D, which: int = 0, session: int = SESSIONS[0]) -> Bytes2D:
        headers = headers_of(rows)
        key = KEYS[which]
        headers["key_id"], headers["session"] = key.key_id, session
        is_padding = headers["bundle"] == 0
        headers["counter"] = self._counter + np.arange(len(rows)) + np.where(is_padding, 1 << 63, 0).astype(np.uint64)
        self._counter += len(rows)
        views = DatagramViews(memoryview(rows.reshape(-1)), rows.shape[1], len(rows))
        self._ciphers[key.key_id, session].seal(rows, views, 0, len(rows))
        return rows

    def _odd(self) -> Bytes2D:
        """What is not the next piece of the stream."""
        ways = (self._lone, self._again, self._forged, self._reshaped, self._elsewhere, self._shuffled)
        return ways[int(self._rng.integers(len(ways)))]()

    def _lone(self) -> Bytes2D:
        """A heartbeat, padding or noise."""
        rng, size = self._rng, FULL.symbol_bytes + HEADER_BYTES + TAG_BYTES
        rows = rng.integers(0, 256, (int(rng.integers(1, 9)), size), dtype=np.uint8)
        way = rng.random()
        if way < 0.2:
            return rows
        if way < 0.6:
            return self.beat(int(rng.random() < 0.2))
        pack_lone_headers(headers_of(rows), kind=Kind.DATA, key_id=0, session=0, counter=0, symbol_bytes=size - 64)
        return self._sealed(rows)

    def _again(self) -> Bytes2D:
        """Of the run before, once more: as it was, sealed anew, or with other symbols."""
        rng = self._rng
        if not len(self._newest):
            return self.beat()
        rows = np.array(self._newest[rng.integers(0, len(self._newest), int(rng.integers(1, 9)))])
        if rng.random() < 0.4:
            return rows
        if rng.random() < 0.5:
            rows[:, HEADER_BYTES:-TAG_BYTES] ^= 5
        return self._sealed(rows[headers_of(rows)["kind"] < Kind.HEARTBEAT])

    def _forged(self) -> Bytes2D:
        """Wrong tags at places that the honest ones are yet to take, which may follow at once."""
        at = self._at
        rows = self._sealed(self._next(6))
        honest = rows.copy()
        rows[:, int(self._rng.integers(HEADER_BYTES, rows.shape[1]))] ^= 1
        if self._rng.random() < 0.5:
            return np.stack([rows, honest], 1).reshape(-1, rows.shape[1])
        self._at = at
        return rows

    def _reshaped(self) -> Bytes2D:
        """Rows of the stream that claim another shape, symbol or part, or fall outside."""
        rng, rows = self._rng, self._next(4)
        headers = headers_of(rows)
        match int(rng.integers(5)):
            case 0:
                headers["columns"], headers["k"] = rng.integers(1, 6), rng.integers(1, 10)
            case 1:
                headers["k"] += 1
            case 2:
                headers["symbol"] = rng.integers(0, 60, len(rows))
            case 3:
                headers["kind"], headers["flags"] = Kind.OBJECT, rng.integers(0, 3)
            case 4:
                headers["slab"] = rng.integers(0, 9)
        return self._sealed(rows)

    def _elsewhere(self) -> Bytes2D:
        """Rows of any slab, or of the next ones in another session or under the other key."""
        rng = self._rng
        if rng.random() < 0.5:
            return self._sealed(self._next(5), int(rng.random() < 0.5), int(rng.choice(SESSIONS)))
        rows = self._slabs[int(rng.choice(BUNDLES)), int(rng.integers(6))]
        return self._sealed(np.array(rows[rng.integers(0, len(rows), int(rng.integers(1, 9)))]))

    def _shuffled(self) -> Bytes2D:
        """The next ones out of order, some twice."""
        rows = self._next(20)
        return self._sealed(rows[self._rng.integers(0, len(rows), len(rows))])


def _part(bundle: int) -> Part:
    """Its data."""
    return Part(bundle, Kind.DATA)


def _content(bundle: int) -> bytes:
    return np.random.default_rng(bundle).bytes(LENGTH)


def decide(sides: list[Side], rng: Rng) -> None:
    """What a store does between two regions, the same on both sides."""
    bundle, way = int(rng.choice(BUNDLES[:3])), rng.random()
    reason = (Drop.REDUNDANT, Drop.REFUSED, None)[int(rng.integers(3))]
    answers = int(rng.integers(0, 4))
    done = [number for number in range(5) if rng.random() < 0.1]
    for side in sides:
        if way < 0.003:
            side.assembler.finish(bundle, reason)
        elif way < 0.06:  # it begins anew
            side.assembler.finish(bundle, None)
            side.assembler.know(bundle, FULL, SIZES, done)
        elif way < 0.1:
            side.assembler.know(bundle, FULL, SIZES, done, [key for key in side.caller.spilled if key.bundle == bundle])
        elif way < 0.15:
            side.assembler.spill(bundle)
        elif way < 0.2 and side.caller.completed:
            side.assembler.redo(next(reversed(side.caller.completed)))
        for _ in range(answers):
            side.caller.answer_one()


def play(seed: int, kernel: Kernel, regions: int) -> int:
    """One link. Raises AssertionError where the sides differ. Returns how many datagrams both received."""
    rng = np.random.default_rng(seed)
    mode: Mode = rng.choice(("gmac", "gmac", "none"))
    arena_bytes = int(rng.choice([1, 3, 8])) << 20  # early slabs take half a mebibyte each
    line, sides, count = Line(rng, mode), [Side(mode, one, arena_bytes) for one in (None, kernel)], 0
    for number in range(regions):
        datagrams = line.run() if number else line.beat()
        count += len(datagrams)
        for side in sides:
            side.receive(datagrams, float(number))
        one, other = (side.kept() for side in sides)
        for name in one:
            assert one[name] == other[name], f"seed {seed}, region {number}: {name}"
        decide(sides, rng)
        if number == 1:
            for side in sides:
                for bundle in BUNDLES[:3]:
                    side.assembler.know(bundle, FULL, SIZES, [])
    return count
