"""Datagrams that know the format: honest ones in parts, out of order, repeated, and wrong in every field, by the batch.

Everything is drawn from one generator of numbers, for whole matrices of datagrams at once: a batch of 4,000 takes
milliseconds. An attacker who has the link key seals what was changed; one who has not leaves stale tags, seals under a
key of his own, or sends noise.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray
from securesystemslib.signer import CryptoSigner

from diode.bundle.manifest import PAYLOAD_TYPE
from diode.protocol.auth import DatagramViews, HeartbeatAuth, Session
from diode.protocol.encoder import Part, SlabEncoder, Slot, fill_from
from diode.protocol.fec import Engine
from diode.protocol.geometry import object_geometry, slab_at, slab_count
from diode.protocol.heartbeat import Heartbeat, HeartbeatSealer, InFlight
from diode.protocol.link_key import LinkKey, Mode
from diode.protocol.sizes import HEADER_BYTES, OVERHEAD_BYTES, TAG_BYTES, Kind, datagram_bytes
from diode.protocol.wire import PADDING_COUNTER, headers_of, pack_lone_headers
from tests.fuzz.enclave import REGION_BYTES
from tests.link import Bundle, make_bundle

Bytes2D = NDArray[np.uint8]
Rng = np.random.Generator

MOST_ROWS: Final = 4096
TRAIN: Final = 44
NUMBERS: Final = 1 << 20  # of heartbeats that an attacker may put between two honest ones
SESSION, HEART_SESSION = 0x0123456789ABCDEF, 0xFEDCBA9876543210
EDGES: Final = {  # values that sit on or beside a bound
    "magic_version": (0x44494F01, 0x44494F00, 0x44494F02, 0x44494E01, 0, 0xFFFFFFFF),
    "kind": (0, 1, 2, 3, 4, 255),
    "flags": (0, 1, 2, 3, 255),
    "key_id": (0, 0xFFFF),
    "session": (0, 1, SESSION, HEART_SESSION, (1 << 64) - 1),
    "counter": (0, PADDING_COUNTER - 1, PADDING_COUNTER, (1 << 64) - 1),
    "bundle": (0, 1, (1 << 64) - 1),
    "slab": (0, 1, 2, 3, (1 << 26) - 1, 1 << 26, (1 << 32) - 1),
    "symbol": (0, 1, 63, 64, 255, 256, 16383, 16384, 65535),
    "symbol_bytes": (0, 1, 447, 448, 449, 512, 1408, 8896, 8960, 65535),
    "columns": (0, 1, 2, 31, 32, 33, 63, 64, 65, 255),
    "k": (0, 1, 2, 3, 4, 5, 63, 64, 65, 200, 254, 255),
    "reserved": (0, 1, 255),
}


def signer_of(rng: Rng) -> CryptoSigner:
    """A signing key that the seed determines."""
    return CryptoSigner(Ed25519PrivateKey.from_private_bytes(rng.bytes(32)))


def honest_bundles(rng: Rng, signer: CryptoSigner, mtu: int) -> tuple[list[Bundle], list[Bundle]]:
    """(good ones of several sizes, signed ones whose table breaks the rules)."""
    size = 448 if mtu < 1500 else 1408
    sizes = [[0], [1], [size, 0, 3], [5 * size - 1], [int(rng.integers(1, 100 * size))], [2 * 4 * 64 * size + 7 * size]]
    good = [
        make_bundle(
            {f"f{i}": rng.bytes(n) for i, n in enumerate(files)},
            mtu=mtu,
            profile="clean",
            sequence=i + 1,
            signer=signer,
        )
        for i, files in enumerate(sizes)
    ]
    tables = (b"{}\n", b'{"path":"../x/"}\n', b"\xff\n" * 3, b"[" * 900 + b"\n", b'{"path":"a/"}\n{"path":"A/"}\n')
    i = int(rng.integers(len(tables)))
    bad = make_bundle({"f": rng.bytes(9)}, mtu=mtu, profile="clean", sequence=99, signer=signer, table=tables[i])
    return good, [bad]


@dataclass(frozen=True)
class Pool:
    """Datagrams of all slabs of some bundles, sealed and not; ``slabs`` are ranges of rows."""

    plain: Bytes2D
    sealed: Bytes2D
    slabs: list[tuple[int, int]]

    @classmethod
    def of(cls, bundles: list[Bundle], session: Session, key_id: int, engine: Engine) -> "Pool":
        """Encode them as a sender does, all repair rows that passes would send."""
        full = bundles[0].manifest.shape.geometry
        size = datagram_bytes(full.symbol_bytes)
        encoder = SlabEncoder(engine, Session(None, session.session, "none"), key_id)
        whole = object_geometry(full.symbol_bytes)
        slot = Slot(memoryview(bytearray(whole.rows * whole.columns * size)), whole)
        made: list[np.ndarray] = []
        slabs: list[tuple[int, int]] = []
        for bundle in bundles:
            for (kind, flags), data in bundle.parts.items():
                cut = full if kind == Kind.DATA else object_geometry(full.symbol_bytes)
                for number in range(slab_count(cut, len(data))):
                    slab = slab_at(cut, len(data), number, is_object=kind == Kind.OBJECT)
                    part = Part(bundle.number, kind, flags)
                    fill = fill_from(data[slab.offset : slab.offset + slab.length])
                    runs = encoder.encode(slot, slab, part, fill)
                    rows = np.concatenate([slot.datagrams[first : first + count] for first, count in runs])
                    first = slabs[-1][1] if slabs else 0
                    slabs.append((first, first + len(rows)))
                    made.append(rows)
        plain = np.concatenate(made)
        sealed = plain.copy()
        session.seal(sealed, DatagramViews(memoryview(sealed.reshape(-1)), size, len(sealed)), 0, len(sealed))
        return cls(plain, sealed, slabs)


class Hostile:
    """One attacker on one link. ``has_key``: what he changes may carry a valid tag."""

    def __init__(
        self,
        rng: Rng,
        key: LinkKey,
        mode: Mode,
        bundles: list[Bundle],
        engine: Engine,
        *,
        has_key: bool,
        silences: bool,
    ) -> None:
        self.session = Session(key, SESSION, mode)
        self.pool = Pool.of(bundles, self.session, key.key_id, engine)
        self.size = self.pool.plain.shape[1]
        self._rng = rng
        self._key_id = key.key_id
        self._has_key = has_key
        self._silences = silences
        self._numbers = np.array([bundle.number for bundle in bundles], dtype=np.uint64)
        self._heart = HeartbeatSealer(key, Session(key, HEART_SESSION, mode), self.size - OVERHEAD_BYTES)
        self._heart_session = Session(key, HEART_SESSION, mode)
        self._heart_auth = HeartbeatAuth(key, mode)
        self._is_old = bool(rng.random() < 0.3)  # a sender that knows no kind 4
        own = LinkKey.of(rng.bytes(32))
        self._own = Session(own, SESSION, mode)
        self._beats = 0
        lengths = np.array([last - first for first, last in self.pool.slabs])
        self._weights = lengths**-0.6 / (lengths**-0.6).sum()
        self._texts = _manifests(rng, self.size - OVERHEAD_BYTES, bundles)
        self._beat_texts = _beats(rng, bundles, silences=silences)
        self._most = min(MOST_ROWS, REGION_BYTES * 4 // 5 // self.size) - 400
        self._bench = np.zeros((MOST_ROWS + 512, self.size), np.uint8)
        self._views = DatagramViews(memoryview(self._bench.reshape(-1)), self.size, len(self._bench))

    def heartbeat(self) -> Bytes2D:
        """An honest one: it admits the honest session."""
        self._beats += 1
        sessions = {f"{SESSION:016x}": len(self.pool.plain), f"{HEART_SESSION:016x}": 0}
        beat = Heartbeat(epoch=1, number=self._beats * NUMBERS, clock=0, sessions=sessions, channels={}, bundles=[])
        seal = self._heart.seal if self._is_old else self._heart.seal_mac
        return np.frombuffer(seal(beat), np.uint8).reshape(1, -1)

    def batch(self) -> Bytes2D:
        """A few thousand datagrams."""
        rng = self._rng
        chosen, cuts = self._segments(int(rng.integers(self._most // 2, self._most)))
        rows = self.pool.plain[chosen]
        changed = np.zeros(len(rows), dtype=np.bool_)
        headers = headers_of(rows)
        for first, last in cuts:
            if rng.random() < 0.4:
                self._change_segment(headers[first:last], rows[first:last])
                changed[first:last] = True
        self._change_fields(headers, changed)
        self._seal(rows, chosen, changed)
        rows = np.concatenate([rows, self._forged(), self._noise()])
        self._flip_bytes(rows)
        return self._scatter(rows, cuts)

    def _segments(self, count: int) -> tuple[NDArray[np.intp], list[tuple[int, int]]]:
        """Rows of the pool, slab after slab: whole, in part, shuffled, twice."""
        rng, made, cuts, total = self._rng, [], [], 0
        for number in rng.choice(len(self.pool.slabs), 400, p=self._weights).tolist():
            first, last = self.pool.slabs[number]
            rows = np.arange(first, last)
            way = rng.random()
            if way < 0.35:
                start = int(rng.integers(len(rows)))
                rows = rows[start : start + int(rng.integers(1, 128))]
            elif way < 0.5:
                rows = rng.permutation(rows)
            elif way < 0.6:
                rows = rng.choice(rows, len(rows))
            rows = rows[: count - total]
            cuts.append((total, total + len(rows)))
            made.append(rows)
            total += len(rows)
            if total >= count:
                break
        return np.concatenate(made), cuts

    def _change_segment(self, headers: NDArray[np.void], rows: Bytes2D) -> None:
        """One lie that a whole stretch tells."""
        rng = self._rng
        match int(rng.integers(9)):
            case 0:
                headers["bundle"] = rng.integers(1, 1 << 63, dtype=np.uint64)
            case 1:
                headers["bundle"] = rng.choice(self._numbers)
            case 2:
                headers["slab"] = rng.choice(EDGES["slab"])
            case 3:
                headers["kind"], headers["flags"] = rng.choice((Kind.DATA, Kind.OBJECT)), rng.integers(3)
            case 4:
                headers["columns"], headers["k"] = rng.integers(1, 65), rng.integers(1, 256)
            case 5:
                headers["k"] = rng.integers(1, 65)
            case 6:
                headers["symbol"] = (headers["symbol"].astype(np.int64) + int(rng.integers(1, 300))) % 65536
            case 7:
                headers["symbol"] = rng.integers(0, 1 << int(rng.integers(1, 17)), len(headers))
            case 8:
                rows[:, HEADER_BYTES:-TAG_BYTES] ^= rng.integers(1, 256, dtype=np.uint8)  # conflicts

    def _change_fields(self, headers: NDArray[np.void], changed: NDArray[np.bool_]) -> None:
        """Single datagrams wrong in one field: on a bound, or anywhere."""
        rng = self._rng
        for name, edges in EDGES.items():
            picked = np.flatnonzero(rng.random(len(headers)) < 0.004)
            if not len(picked):
                continue
            column = headers[name]
            if name == "reserved":
                column[picked, rng.integers(0, 6, len(picked))] = rng.choice(edges, len(picked))
            elif rng.random() < 0.7:
                column[picked] = rng.choice(np.array(edges, dtype=np.uint64), len(picked))
            else:
                highest = (1 << 8 * column.dtype.itemsize) - 1
                column[picked] = rng.integers(0, highest, len(picked), dtype=np.uint64, endpoint=True)
            changed[picked] = True

    def _seal(self, rows: Bytes2D, chosen: NDArray[np.intp], changed: NDArray[np.bool_]) -> None:
        """Tags: of what is unchanged as sent; of what is changed as the attacker can."""
        rng = self._rng
        rows[~changed] = self.pool.sealed[chosen[~changed]]
        way = rng.random(len(rows))
        if self._has_key:
            self._seal_some(rows, np.flatnonzero(changed & (way < 0.8)), self.session)
        else:
            self._seal_some(rows, np.flatnonzero(changed & (way < 0.05)), self._own)
            invented = np.flatnonzero(changed & (way > 0.5))
            rows[invented, -TAG_BYTES:] = rng.integers(0, 256, (len(invented), TAG_BYTES), dtype=np.uint8)

    def _seal_some(self, rows: Bytes2D, picked: NDArray[np.intp], session: Session) -> None:
        self._bench[: len(picked)] = rows[picked]
        session.seal(self._bench, self._views, 0, len(picked))
        rows[picked] = self._bench[: len(picked)]

    def _forged(self) -> Bytes2D:
        """Lone objects of invented bundles, complete at once, and heartbeats of all kinds."""
        rng = self._rng
        count = int(rng.integers(30, 120))
        rows = np.zeros((count, self.size), np.uint8)
        headers = headers_of(rows)
        pack_lone_headers(
            headers, kind=Kind.OBJECT, key_id=self._key_id, session=SESSION, counter=1 << 32,
            symbol_bytes=self.size - OVERHEAD_BYTES,
        )  # fmt: skip
        headers["bundle"] = rng.integers(1, 1 << 63, count, dtype=np.uint64)
        headers["bundle"][rng.random(count) < 0.1] = rng.choice(self._numbers)
        headers["flags"] = rng.choice((0, 0, 0, 0, 1, 2), count)
        headers["symbol"] = rng.integers(0, 3, count)
        for row in rows:
            text = self._texts[int(rng.integers(len(self._texts)))]
            row[HEADER_BYTES : HEADER_BYTES + len(text)] = np.frombuffer(text, np.uint8)
        beats = np.flatnonzero(rng.random(count) < 0.06)
        headers["kind"][beats] = Kind.HEARTBEAT
        headers["flags"][beats] = 0
        headers["session"][beats] = HEART_SESSION
        headers["bundle"][beats] = 0
        headers["counter"][beats] = rng.integers(1 << 32, 1 << 63, len(beats), dtype=np.uint64)
        macs = beats[rng.random(len(beats)) < (0.0 if self._is_old else 0.5)]
        headers["kind"][macs] = Kind.HEARTBEAT_MAC
        headers["bundle"][macs] = 1  # the epoch that most texts have
        for place in beats.tolist():
            row = rows[place]
            text = self._beat_texts[int(rng.integers(len(self._beat_texts)))]
            number = self._beats * NUMBERS + int(rng.integers(NUMBERS))  # before the next honest one
            text = text.replace(b'"NUMBER"', b"%d" % number)[: self.size - OVERHEAD_BYTES]
            row[HEADER_BYTES:] = 0
            row[HEADER_BYTES : HEADER_BYTES + len(text)] = np.frombuffer(text, np.uint8)
            if place in macs:
                headers["counter"][place] = number
        unseen = beats[rng.random(len(beats)) < 0.3]
        headers["session"][unseen] = rng.integers(0, 1 << 63, len(unseen), dtype=np.uint64)
        if self._has_key:
            self._seal_some(rows, np.setdiff1d(np.arange(count), beats), self.session)
            self._seal_some(rows, np.setdiff1d(beats, unseen), self._heart_session)
            for place in macs.tolist():
                datagram = bytearray(rows[place])
                self._heart_auth.seal(datagram)
                rows[place] = np.frombuffer(datagram, np.uint8)
        else:
            rows[:, -TAG_BYTES:] = rng.integers(1, 256, (count, TAG_BYTES), dtype=np.uint8)
        rows[beats[rng.random(len(beats)) < 0.2]] = self.heartbeat()
        return rows

    def _noise(self) -> Bytes2D:
        rng = self._rng
        rows = rng.integers(0, 256, (int(rng.integers(20, 150)), self.size), dtype=np.uint8)
        half = headers_of(rows[: len(rows) // 2])
        pack_lone_headers(
            half,
            kind=Kind.DATA,
            key_id=self._key_id,
            session=SESSION,
            counter=0,
            symbol_bytes=self.size - OVERHEAD_BYTES,
        )
        half["bundle"] = rng.integers(0, 1 << 63, len(half), dtype=np.uint64)
        half["session"][::2] = rng.integers(0, 1 << 63, len(half[::2]), dtype=np.uint64)
        return rows

    def _flip_bytes(self, rows: Bytes2D) -> None:
        picked = np.flatnonzero(self._rng.random(len(rows)) < 0.01)
        rows[picked, self._rng.integers(0, self.size, len(picked))] ^= 1

    def _scatter(self, rows: Bytes2D, cuts: list[tuple[int, int]]) -> Bytes2D:
        """Put what was forged among the rest, mostly between stretches."""
        rng, body = self._rng, cuts[-1][1]
        order = np.arange(len(rows), dtype=np.float64)
        starts = np.array([first for first, _ in cuts])
        order[body:] = rng.choice(starts, len(rows) - body) - 0.5
        loose = np.flatnonzero(rng.random(len(rows)) < 0.003)
        order[loose] = rng.uniform(0, body, len(loose))
        return rows[np.argsort(order, kind="stable")]

    def region(self, rows: Bytes2D) -> tuple[bytes | Bytes2D, list[int]]:
        """(bytes, lengths of runs) as a socket would fill a region: trains, some cut short, some of other sizes."""
        rng, lengths, at = self._rng, [], 0
        while at < len(rows):
            count = min(int(rng.integers(1, TRAIN + 1)), len(rows) - at)
            lengths.append(count * self.size)
            at += count
        if rng.random() < 0.85:
            return rows, lengths
        data, pieces, cut = memoryview(np.ascontiguousarray(rows)).cast("B"), [], []
        at = 0
        for length in lengths:
            piece: Any = data[at : at + length]
            at += length
            if rng.random() < 0.1:
                piece = self._spoil(piece)
            pieces.append(piece)
            cut.append(len(piece))
        return b"".join(pieces), cut

    def _spoil(self, piece: memoryview) -> bytes | memoryview:
        rng = self._rng
        match int(rng.integers(4)):
            case 0:
                return piece[: int(rng.integers(len(piece)))]
            case 1:
                return bytes(piece) + rng.bytes(int(rng.integers(1, self.size)))
            case 2:
                return rng.bytes(int(rng.integers(1, 9000)))
            case _:
                return self._other_size(piece)

    def _other_size(self, piece: memoryview) -> bytes:
        """The same headers over symbols of another size, sealed by who can."""
        symbol_bytes = int(self._rng.choice((448, 512, 1408, 4096)))
        size = datagram_bytes(symbol_bytes)
        old = np.frombuffer(piece, np.uint8)[: len(piece) // self.size * self.size].reshape(-1, self.size)[:8]
        rows = np.zeros((len(old), size), np.uint8)
        rows[:, :HEADER_BYTES] = old[:, :HEADER_BYTES]
        headers_of(rows)["symbol_bytes"] = symbol_bytes
        session = self.session if self._has_key else self._own
        session.seal(rows, DatagramViews(memoryview(rows.reshape(-1)), size, len(rows)), 0, len(rows))
        return rows.tobytes()


def _manifests(rng: Rng, room: int, bundles: list[Bundle]) -> list[bytes]:
    """What may pass for a manifest in one symbol, up to the signature."""
    keyid = bundles[0].signer.public_key.keyid
    sealed = bundles[0].parts[Kind.OBJECT, 0].rstrip(b"\0")

    def envelope(**changes: Any) -> bytes:
        signature = {"keyid": keyid, "sig": "MEUCIQ=="}
        return json.dumps(
            {"payload": "e30=", "payloadType": PAYLOAD_TYPE, "signatures": [signature]} | changes
        ).encode()

    texts = [
        b"", b"{}", b"[]", b"null", b"[" * room, b'{"a":' * (room // 5), b"9" * room, b"\xff" * room, sealed[:room],
        envelope(), envelope(payload="!"), envelope(payload=7), envelope(payloadType="x"), envelope(signatures=[]),
        envelope(signatures=[{"keyid": 1, "sig": 2}]), envelope(signatures=[{"keyid": keyid, "sig": ""}]),
        envelope(signatures={"keyid": keyid}), envelope(signatures=[{"keyid": "\ud800", "sig": "AAAA"}]),
        envelope(signatures=[{"keyid": keyid, "sig": "A" * 88}] * 2),
    ]  # fmt: skip
    for _ in range(8):
        damaged = bytearray(envelope())
        damaged[int(rng.integers(len(damaged)))] = int(rng.integers(256))
        texts.append(bytes(damaged))
    return [text[:room] for text in texts]


def _beats(rng: Rng, bundles: list[Bundle], *, silences: bool) -> list[bytes]:
    """Bodies of heartbeats, some of them well-formed. ``silences``: some outdo every later honest one."""

    def body(**changes: Any) -> bytes:
        fields = {"epoch": 1, "number": "NUMBER", "clock": 0, "sessions": {}, "channels": {}}
        return json.dumps(fields | {"bundles": []} | changes).encode()

    over = InFlight(id=f"{bundles[-1].number:016x}", **{"pass": 0}, passes=1, state="over").model_dump(by_alias=True)
    many = {f"{int(n):016x}": 5 for n in rng.integers(0, 1 << 63, 16)}
    texts = [
        b"", b"{}", b"[" * 400, b"nul", b"9" * 400, body(epoch=-1), body(epoch=1 << 63), body(number=1e999),
        body(sessions={"x": 1}), body(sessions=many | {"0" * 16: 1}), body(channels={"a" * 65: 1}), body(extra=1),
        body(bundles=[over | {"state": "lost"}]), body(bundles=[over] * 9), body(epoch="1"), body(clock=1.5),
    ]  # fmt: skip
    sent = {f"{SESSION:016x}": int(rng.integers(1 << 40))}
    texts += [body(sessions=sent, bundles=[over]), body(sessions=sent | dict(list(many.items())[:9])), body(number=1)]
    if silences:
        texts += [body(epoch=(1 << 63) - 1, number=int(rng.integers(1 << 62)), sessions=many) for _ in range(4)]
    return texts
