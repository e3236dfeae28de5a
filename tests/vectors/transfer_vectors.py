"""The vectors of ``transfers/``: every datagram of a small bundle, and what a receiver publishes of it."""

import hashlib
from collections.abc import Iterator
from typing import Any

from blake3 import blake3

from tests.vectors.datagrams import LINK_KEY, SESSION, Mode, S, Vector, header, heartbeat_mac, painted, seal
from tests.vectors.datagrams import heartbeat as heartbeat_3
from tests.vectors.envelope_vectors import ALICE, BOB, MANIFEST_TYPE, base64_of, canonical, pae
from tests.vectors.slabs import row_symbols

FILES = {"a": painted(430), "bin/run.sh": b"#!/bin/sh\necho ok\n", 'é \\ "': painted(470, 5)}
EXECUTABLE, FOLDER = "bin/run.sh", "empty/"
CLEAN_REPAIR_ROWS = 10


def digest(data: bytes) -> str:
    """BLAKE3, in hex digits."""
    return blake3(data).hexdigest()


def files_table() -> bytes:
    """All paths, sorted by their bytes."""
    lines: dict[str, dict[str, Any]] = {FOLDER: {"path": FOLDER}}
    for path, content in FILES.items():
        executable = {"executable": True} if path == EXECUTABLE else {}
        sums = {"blake3": digest(content), "sha256": hashlib.sha256(content).hexdigest()}
        lines[path] = {"path": path, "size": len(content), **sums, **executable}
    return "".join(canonical(lines[path]) + "\n" for path in sorted(lines, key=str.encode)).encode()


STREAM = b"".join(FILES[path] for path in sorted(FILES, key=str.encode))
TABLE, SLABS_TABLE = files_table(), blake3(STREAM).digest()


def manifest() -> bytes:
    """The payload that Alice and Bob sign."""
    pinned = {
        "files": {"blake3": digest(TABLE), "entries": len(FILES) + 1, "size": len(TABLE)},
        "slabs": {"blake3": digest(SLABS_TABLE), "entries": 1, "size": 32},
    }
    named = {"channel": "models", "name": "item", "version": "1", "sequence": 1, "created": "2026-01-02T03:04:05Z"}
    absent = dict.fromkeys(("previous", "expires", "supersedes", "labels", "attestation"))
    shape = {"profile": "clean", "symbol_bytes": S, "columns": 64, "k": 200, "r": CLEAN_REPAIR_ROWS}
    whole = {"format": "diode-bundle-1", "shape": shape, "stream_bytes": len(STREAM), **named, **absent, **pinned}
    return canonical(whole).encode()


PAYLOAD = manifest()
SIGNATURES = sorted(
    ({"keyid": s.key_id, "sig": base64_of(s.sign(pae(PAYLOAD)))} for s in (ALICE, BOB)), key=lambda one: one["keyid"]
)
ENVELOPE = canonical({"payload": base64_of(PAYLOAD), "payloadType": MANIFEST_TYPE, "signatures": SIGNATURES}).encode()
NUMBER = int.from_bytes(blake3(PAYLOAD).digest()[:8], "big") or 1


class Line:
    """The sending process: it counts what it seals."""

    def __init__(self, mode: Mode) -> None:
        self.mode = mode
        self.counter = 0
        self.sent: list[bytes] = []

    def slab(self, content: bytes, kind: int, flags: int = 0) -> range:
        """A slab of one row of symbols, whole: its source, then its repair. Returns which datagrams those are."""
        first, columns = len(self.sent), -(-len(content) // S)
        repair = list(range(1, 3 if kind == 2 else 1 + CLEAN_REPAIR_ROWS))
        symbols = {n: content[n * S :][:S].ljust(S, b"\0") for n in range(columns)}
        for number, symbol in sorted((symbols | row_symbols(content, columns, repair)).items()):
            place: dict[str, Any] = {"bundle": NUMBER, "slab": 0, "symbol": number, "columns": columns, "k": 1}
            head = header(kind=kind, flags=flags, counter=self.counter, **place)
            self.sent.append(seal(head, symbol, self.mode))
            self.counter += 1
        return range(first, len(self.sent))

    def objects(self) -> Iterator[range]:
        """Manifest and tables."""
        columns = -(-len(ENVELOPE) // S)
        yield self.slab(ENVELOPE.ljust(columns * S, b"\0"), 2, 0)
        yield self.slab(TABLE, 2, 1)
        yield self.slab(SLABS_TABLE, 2, 2)

    def heartbeats(self, number: int, state: str) -> None:
        """One of each kind."""
        flight = {"id": f"{NUMBER:016x}", "pass": 0, "passes": 1, "state": state}
        books: dict[str, Any] = {
            "channels": {"models": 1},
            "bundles": [flight],
            "sessions": {f"{SESSION:016x}": self.counter},
        }
        self.sent += [heartbeat_mac(7, number, self.mode, **books), heartbeat_3(7, number, self.mode, number, **books)]

    def padding(self) -> None:
        """One datagram of it."""
        place = {"bundle": 0, "slab": 0, "symbol": 0, "columns": 1, "k": 1}
        self.sent.append(seal(header(counter=1 << 63, **place), bytes(S), self.mode))


def sums(name: str) -> bytes:
    """A file of check sums, in the order of the table."""
    lines = []
    for path in sorted(FILES, key=str.encode):
        found = hashlib.new(name, FILES[path]).hexdigest() if name == "sha256" else digest(FILES[path])
        escaped = path.replace("\\", "\\\\")
        lines.append(f"{'' if path == escaped else chr(92)}{found}  data/{escaped}\n")
    return "".join(lines).encode()


def transfer(says: str, mode: Mode) -> Vector:
    """One pass, as it is sent, and which of its datagrams get lost."""
    line = Line(mode)
    line.heartbeats(1, "sending")
    sealed, files, _ = line.objects()
    line.padding()
    data = line.slab(STREAM, 1)
    _, _, slabs = line.objects()
    line.heartbeats(2, "over")
    lost = [sealed[0], sealed[2], files[0], data[0], data[2], *data[3:20], *slabs]
    papers = {
        "manifest.json": PAYLOAD,
        "manifest.dsse.json": ENVELOPE,
        "SHA256SUMS": sums("sha256"),
        "B3SUMS": sums("blake3"),
    }
    published = papers | {f"data/{path}": content for path, content in FILES.items()}
    return {
        "says": says,
        "link_keys": [LINK_KEY.hex()],
        "auth": mode,
        "symbol_bytes": S,
        "keys": {signer.key_id: signer.pem for signer in (ALICE, BOB)},
        "datagrams": [datagram.hex() for datagram in line.sent],
        "lost": lost,
        "bundle": f"{NUMBER:016x}",
        "place": "models/item/1",
        "files": {name: content.hex() for name, content in published.items()},
        "folders": [f"data/{FOLDER}"],
        "executable": [f"data/{EXECUTABLE}"],
    }


def transfers() -> dict[str, Vector]:
    """All of them, by file name without suffix."""
    return {
        "good_gmac": transfer("a bundle of three files and an empty folder; what is lost is restored", "gmac"),
        "good_aead": transfer("the same, encrypted", "aead"),
    }
