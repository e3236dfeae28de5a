"""What `listen` hands over: runs of bytes are cut into datagrams, screened, and their tags checked.

Input: auth mode, number of runs, their lengths (2 bytes each), then the region.
"""

from collections import Counter
from typing import Final

import numpy as np

from diode.errors import Drop
from diode.protocol.auth import DatagramViews, Session
from diode.protocol.gate import Gate
from diode.protocol.heartbeat import Heartbeat, HeartbeatSealer
from diode.protocol.link_key import LinkKey, Mode
from diode.protocol.runs import slice_runs
from diode.protocol.sessions import Admitted
from diode.protocol.sizes import Kind, datagram_bytes, is_symbol_size
from diode.protocol.wire import headers_of, pack_headers
from tests.fuzz.reading import Input

KEY: Final = LinkKey.of(bytes(32))
SESSION, HEART_SESSION = 5, 6
MODES: Final[tuple[Mode, ...]] = ("none", "gmac", "aead")


def one_input(data: bytes) -> None:
    """Every byte of a region is a datagram's or dropped; every datagram is admitted, heard or counted as dropped."""
    given = Input(data)
    mode = MODES[given.number(1) % len(MODES)]
    lengths = [given.number(2) for _ in range(given.number(1))]
    region = given.rest()
    lengths = [length for i, length in enumerate(lengths) if sum(lengths[: i + 1]) <= len(region)]
    drops: Counter[Drop] = Counter()
    runs = slice_runs(memoryview(bytes(region)), lengths, drops)
    admitted = [Admitted(KEY.key_id, session, 0) for session in (SESSION, HEART_SESSION)]
    gate = Gate([KEY], mode, drops, admitted=admitted)
    end = 0
    for run in runs:
        assert is_symbol_size(run.size - datagram_bytes(0))
        assert end <= run.offset <= run.offset + run.size * run.count <= sum(lengths)
        end = run.offset + run.size * run.count
        matrix = np.frombuffer(bytearray(region[run.offset : end]), np.uint8).reshape(-1, run.size)
        before, heard = sum(drops.values()), gate.heartbeats
        rows = gate.admit(matrix, DatagramViews(memoryview(matrix.reshape(-1)), run.size, run.count), 1.0)
        assert run.count == len(rows) + sum(drops.values()) - before + gate.heartbeats - heard
        headers = headers_of(matrix)[rows]
        assert (headers["kind"] < Kind.HEARTBEAT).all()
        assert (headers["symbol"] < headers["columns"].astype(int) * 256).all()


def seeds() -> dict[str, bytes]:
    """A run of data, a heartbeat and an object, in each mode; a cut one, one of another size, and noise."""
    made: dict[str, bytes] = {}
    for number, mode in enumerate(MODES):
        beat = Heartbeat(epoch=1, number=2, clock=3, sessions={f"{9:016x}": 4}, channels={"cve": 5}, bundles=[])
        datagrams = HeartbeatSealer(KEY, Session(KEY, HEART_SESSION, mode), 448).seal(beat)
        datagrams += HeartbeatSealer(KEY, Session(KEY, HEART_SESSION, mode), 448).seal_mac(beat)
        runs = [_run(mode, 448, 2), datagrams, _run(mode, 448, 1, Kind.OBJECT)]
        made[mode] = _region(number, runs)
    made["cut"] = _region(0, [_run("none", 448, 2)[:-100]])
    made["other_size"] = _region(0, [_run("none", 512, 1), _run("none", 448, 1)])
    made["noise"] = _region(0, [bytes(range(256)) * 2, b"\xff" * 70])
    return made


def _run(mode: Mode, symbol_bytes: int, count: int, kind: Kind = Kind.DATA) -> bytes:
    rows = np.zeros((count, datagram_bytes(symbol_bytes)), np.uint8)
    pack_headers(
        headers_of(rows), kind=kind, flags=0, key_id=KEY.key_id, session=SESSION, counter=1, bundle=7, slab=0,
        symbols=np.arange(count), symbol_bytes=symbol_bytes, columns=2, k=1,
    )  # fmt: skip
    Session(KEY, SESSION, mode).seal(rows, DatagramViews(memoryview(rows.reshape(-1)), rows.shape[1], count), 0, count)
    return rows.tobytes()


def _region(mode: int, runs: list[bytes]) -> bytes:
    return bytes([mode, len(runs)]) + b"".join(len(run).to_bytes(2, "big") for run in runs) + b"".join(runs)
