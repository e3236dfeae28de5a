"""What comparing slabs with their digests costs the encode worker: CPU seconds a GB, by turns, as medians.

``python -m tests.sender.transport.cost`` encodes 16 slabs of a packed bundle for each MTU, profile and kind of tag:
with no slab compared, as a first pass does it, and with all of them compared, as later passes and resends do it.
"""

import mmap
import statistics
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import Final

import numpy as np
from securesystemslib.signer import CryptoSigner

from diode.protocol.auth import Session
from diode.protocol.encoder import Part, SlabEncoder, Slot
from diode.protocol.fec import choose_engine
from diode.protocol.geometry import PROFILES, Geometry, stream_geometry
from diode.protocol.link_key import LinkKey, Mode
from diode.protocol.sizes import Kind, datagram_bytes, symbol_bytes_for
from sender.outbox.hashing import hash_content
from sender.outbox.scan import collect
from sender.pack.packed import Identity, write_packed
from sender.transport import encode
from sender.transport.plan import Job, Plan

TIMES: Final = 7
SLABS: Final = 16


def packed_bundle(folder: Path, profile: str, full: Geometry) -> encode.Bundle:
    """A packed bundle of so many slabs, in one file."""
    (folder / "file").write_bytes(np.random.default_rng(1).bytes(SLABS * full.source_bytes))
    sources = collect([folder / "file"], "refuse")
    identity = Identity("bench", "file", "1", 1, None, "2026-01-02T03:04:05Z")
    content, signer = hash_content(sources, full.source_bytes), CryptoSigner.generate_ed25519()
    packed = write_packed(folder, identity, PROFILES[profile], full.symbol_bytes, sources, content, [signer])
    tables = (packed.travelling_bytes, len(content.files), len(content.slabs), 1)
    return encode.Bundle(packed.folder, Plan(packed.id, full, packed.manifest.stream_bytes, *tables))


def seconds_per_gb(bundle: encode.Bundle, encoder: SlabEncoder, slot: Slot, sending_pass: int, proven_of: int) -> float:
    """CPU seconds a GB for all slabs, when of a first pass one of ``proven_of`` is compared."""
    encode.PROVEN_OF = proven_of  # type: ignore[misc]  # measured at other values than its own
    plan, begun = bundle.plan, time.process_time()
    for number in range(SLABS):
        job = Job(plan.bundle, Kind.DATA, 0, number, sending_pass)
        encoder.encode(slot, plan.slab(job), Part(plan.bundle, Kind.DATA), bundle.fill(job))
    return (time.process_time() - begun) * 1e9 / plan.stream_bytes


def measure(folder: Path, mtu: int, profile: str, auth: Mode) -> str:
    """A row of a table."""
    full = stream_geometry(symbol_bytes_for(mtu), PROFILES[profile])
    bundle = packed_bundle(folder, profile, full)
    slot = Slot(memoryview(mmap.mmap(-1, full.rows * full.columns * datagram_bytes(full.symbol_bytes))), full)
    encoder = SlabEncoder(choose_engine(), Session(LinkKey.of(bytes(32)), 1, auth), 1)
    never, usual = 1 << 40, encode.PROVEN_OF
    ways = ((0, never), (0, usual), (1, usual))
    rounds = [[seconds_per_gb(bundle, encoder, slot, *way) for way in ways] for _ in range(TIMES)]
    encode.PROVEN_OF = usual  # type: ignore[misc]
    none, some, each = (statistics.median(way) for way in zip(*rounds, strict=True))
    shares = [statistics.median(row[way] / row[0] for row in rounds) - 1 for way in (1, 2)]
    figures = (f"{none:.2f}", *(f"{s:.2f} ({share:+.0%})" for s, share in zip((some, each), shares, strict=True)))
    return " | ".join(("", str(mtu), profile, auth, *figures, "")).strip()


def main() -> None:
    """Print the rows."""
    modes: tuple[Mode, ...] = ("none", "gmac", "aead")
    for mtu, profile, auth in product((1500, 9000), ("standard", "clean"), modes):
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            print(measure(Path(folder), mtu, profile, auth), flush=True)


if __name__ == "__main__":
    main()
