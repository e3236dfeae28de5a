"""What comparing slabs with their digests costs the encode worker: CPU seconds a GB, by turns, as medians.

``python -m tests.sender.transport.cost`` encodes 16 slabs of a packed bundle for each MTU, profile and kind of tag:
with no slab compared, as a first pass streams them; streamed, and then proven; and with all of them compared, as
later passes and resends do it, and a first pass while the line is busy.
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
from sender.pack.writing import Identity, write_packed
from sender.transport import reading
from sender.transport.plan import Job, Plan

TIMES: Final = 7
SLABS: Final = 16


def packed_bundle(folder: Path, profile: str, full: Geometry) -> tuple[Path, Plan]:
    """A packed bundle of so many slabs, in one file: its folder, and what the worker is told of it."""
    (folder / "file").write_bytes(np.random.default_rng(1).bytes(SLABS * full.source_bytes))
    sources = collect([folder / "file"], "refuse")
    identity = Identity("bench", "file", "1", 1, None, "2026-01-02T03:04:05Z")
    content, signer = hash_content(sources, full.source_bytes), CryptoSigner.generate_ed25519()
    packed = write_packed(folder, identity, PROFILES[profile], full.symbol_bytes, sources, content, [signer])
    tables = (packed.travelling_bytes, len(content.files), len(content.slabs), 1)
    plan = Plan(packed.id, full, packed.manifest.stream_bytes, *tables)
    return packed.folder, plan


def seconds_per_gb(folder: Path, plan: Plan, encoder: SlabEncoder, slot: Slot, way: str) -> float:
    """CPU seconds a GB for all slabs: "streamed", "proven" afterwards, or "compared" before they leave."""
    bundle = reading.Bundle(folder, plan, reading.Compared(SLABS))
    begun = time.process_time()
    jobs = [Job(plan.bundle, Kind.DATA, 0, number) for number in range(SLABS)]
    for job in jobs:
        part = Part(plan.bundle, Kind.DATA)
        reads = bundle.reads(job, slot, may_stream=way != "compared")
        for _ in encoder.encode_as_read(slot, plan.slab(job), part, reads):
            pass
    for job in jobs if way == "proven" else ():
        bundle.prove(job)
    return (time.process_time() - begun) * 1e9 / plan.stream_bytes


def measure(folder: Path, mtu: int, profile: str, auth: Mode) -> str:
    """A row of a table."""
    full = stream_geometry(symbol_bytes_for(mtu), PROFILES[profile])
    bundle, plan = packed_bundle(folder, profile, full)
    slot = Slot(memoryview(mmap.mmap(-1, full.rows * full.columns * datagram_bytes(full.symbol_bytes))), full)
    encoder = SlabEncoder(choose_engine(), Session(LinkKey.of(bytes(32)), 1, auth), 1)
    ways = ("streamed", "proven", "compared")
    rounds = [[seconds_per_gb(bundle, plan, encoder, slot, way) for way in ways] for _ in range(TIMES)]
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
