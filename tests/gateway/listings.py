"""How long lists of many names take the gateway: ``python -m tests.gateway.listings FOLDER``.

It writes cards and a snapshot of so many packages, each in a bundle of its own, and asks each protocol for its list: of
a new snapshot, and once more.
"""

import argparse
import json
import os
import resource
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from diode.layouts.kinds import Kind
from receiver.catalogue.card import CardFile, Claim, Fact, write_card
from receiver.catalogue.snapshot import CARDS, SNAPSHOT_FILE, Listed, Named, Snapshot, write_snapshot
from receiver.gateway.protocols import PROTOCOLS
from receiver.gateway.request import Request, query_of, segments_of
from receiver.gateway.view import View

AT: Final = "2026-11-28T12:00:00Z"
OFTEN: Final = 3
NAMED: Final[dict[Kind, str]] = {
    "pypi": "project-{}",
    "npm": "@o/package-{}",
    "oci": "org/image-{}",
    "hub": "org/m-{}",
}
SERVER: Final = "io.example/server-{}"
ASKED: Final[tuple[tuple[Kind, str, str], ...]] = (
    ("pypi", "simple", "application/vnd.pypi.simple.v1+json"),
    ("pypi", "simple", "text/html"),
    ("oci", "_catalog", "*/*"),
    ("hub", "api/models?limit=1000", "*/*"),
    ("mcp", "v0.1/servers?limit=100", "*/*"),
    ("mcp", "v0.1/servers?search=server-4999", "*/*"),
    ("mcp", "v0.1/servers?search=nothing", "*/*"),
    ("mcp", "v0.1/servers?search=server&version=latest&limit=100", "*/*"),
    ("mcp", "v0.1/servers?search=server&version=9.9", "*/*"),
    ("mcp", "v0.1/servers?updated_since=2027-01-01T00:00:00Z", "*/*"),
)


def make(index: Path, count: int) -> None:
    """An index of so many bundles, each of which holds a name of each kind."""
    (index / CARDS).mkdir(parents=True)
    listed, names = [], []
    for n in range(count):
        bundle = f"{n + 1:016x}"
        spelt: list[tuple[str, str]] = [(kind, name.format(n)) for kind, name in NAMED.items()]
        spelt.append(("mcp", SERVER.format(n)))
        server = {"name": SERVER.format(n), "description": "Says what there is", "version": "1.0.0", "packages": []}
        fact = Fact("mcp.server", SERVER.format(n), json.dumps([server]).encode())
        files = [CardFile("server.json", 100, f"{n:064x}")]
        write_card(index / CARDS / f"{bundle}.db", files, [fact], [Claim(kind, name, name) for kind, name in spelt])
        names += [Named(kind, name, bundle, name) for kind, name in spelt]
        place = (bundle, "all", f"bundle-{n}", "v1", n + 1, "0" * 64)
        listed.append(Listed(*place, "published", AT, AT, is_current=True, is_offered=True, was_current=True))
    write_snapshot(index / SNAPSHOT_FILE, 1, AT, listed, names, ())


def ask(snapshot: Snapshot, kind: Kind, path: str, accept: str) -> tuple[float, int]:
    """CPU seconds of one answer, and its bytes."""
    view = View(snapshot, kind, frozenset({"all"}))
    path, _, query = path.partition("?")
    request = Request("GET", segments_of(path), query_of(query), headers={"accept": accept}, base="http://enclave.test")
    begun = time.process_time()
    answer = PROTOCOLS[kind](request, view)
    took = time.process_time() - begun
    assert answer.status == 200, (path, answer.status, answer.body)
    return took, len(answer.body) if isinstance(answer.body, bytes) else 0


def measured(index: Path) -> Iterator[str]:
    """A line for each list: the median of several new snapshots, and of the same question once more."""
    for kind, path, accept in ASKED:
        first, again, size = [], [], 0
        for _ in range(OFTEN):
            with Snapshot(index) as snapshot:
                took, size = ask(snapshot, kind, path, accept)
                first.append(took)
                again.append(ask(snapshot, kind, path, accept)[0])
        figures = f"{statistics.median(first):7.3f} {statistics.median(again):7.3f} {size:9}"
        yield f"{kind:5} {path:55} {accept[-4:]:5} {figures}"


def main() -> None:
    """Make it, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=10_000, help="names of each kind")
    options = parser.parse_args()
    if not (options.folder / SNAPSHOT_FILE).exists():
        os.fsync = lambda fd: None  # of ten thousand cards, which nobody misses
        make(options.folder, options.count)
    print("CPU seconds: of a new snapshot, once more; bytes")
    for line in measured(options.folder):
        print(line, flush=True)
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB at most")


if __name__ == "__main__":
    main()
