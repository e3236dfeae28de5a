"""How long the catalogue's commands take, and how much memory: ``python -m tests.catalogue_scale FOLDER``.

It makes a receiver that has published many bundles, as the daemon would have left it: ledger, audit log, cards, the
index for searching. Then each command is run as a person runs it, in a process of its own.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from diode.audit.chain import What
from diode.audit.log import AuditLog
from diode.config.init import init_receiver
from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.storage.database import LEDGER_FILE
from diode.trust.keys import new_link_key
from receiver.catalogue import search
from receiver.catalogue.card import CardFile, Claim, Fact, write_card
from receiver.catalogue.pointer import Pointer, Version
from receiver.catalogue.snapshot import CARDS
from receiver.inbox.folder import Inbox
from receiver.ledger.bundles import Row
from receiver.ledger.catalogue import Entry, Holder
from receiver.ledger.ledgers import StoreLedger
from receiver.ledger.pointers import Move
from receiver.ledger.states import State
from receiver.recovery.rebaseline import open_ledger

VERSIONS: Final = 10  # of each name
DAY: Final = "2026-11-28"
AT: Final = f"{DAY}T12:00:00Z"
FACTS: Final = json.dumps({"built": AT, "sboms": [], "names": ["pypi:x"] * 20})
OFTEN: Final = 3  # is each run; the median counts
LIMITS: Final = (1.0, 256 << 20)  # seconds and bytes of memory that a command may take


class Cost(NamedTuple):
    """What a command took."""

    seconds: float
    cpu_s: float
    memory_bytes: int
    output_bytes: int


def row(n: int, files: int) -> Row:
    """The ledger's row of the bundle of this number."""
    name = f"org--model-{n // VERSIONS}"
    place = (f"{n + 1:016x}", "models", name, f"v{n % VERSIONS}", n + 1)
    digest = hashlib.sha256(name.encode()).hexdigest()
    return Row(*place, files * 1000, files, 1, digest, "a" * 64, State.PUBLISHED, "", AT)


def make(folder: Path, bundles: int, files: int) -> ReceiverConfig:
    """A receiver that has published so many bundles of so many files each."""
    init_receiver(folder, listen="127.0.0.1:9", auth="none", link_key=new_link_key(), public=None)
    config = load(ReceiverConfig, folder / "receiver.toml")
    Inbox(config.inbox.path).prepare()
    open_ledger(config).close()
    rows = [row(n, files) for n in range(bundles)]
    _fill_ledger(config, rows)
    _fill_audit(config, rows)
    (config.gateway.index / CARDS).mkdir(parents=True)
    (config.gateway.index / search.SEARCH).mkdir()
    for one in rows:
        _write_card(config, one)
    return config


def _fill_ledger(config: ReceiverConfig, rows: list[Row]) -> None:
    ledger = StoreLedger(config.state / LEDGER_FILE)
    ledger.rebaseline(rows, {}, 0)
    with ledger.catalogue.together():
        for one in rows:
            entry = Entry(one.id, "hub,pypi", AT, "built", FACTS)
            claims = [Claim("hub", f"models/{one.name}", one.name), Claim("pypi", f"p-{one.name}", one.name)]
            ledger.catalogue.note(entry, claims)
            ledger.catalogue.hold(Holder(claim.kind, claim.normal, "models", AT, "models") for claim in claims)
        for name in {one.name for one in rows}:
            versions = tuple(Version(one.version, one.id, one.sequence) for one in rows if one.name == name)[:VERSIONS]
            for n, used in enumerate(versions):
                before = versions[n - 1].version if n else ""
                move = Move(AT, "models", name, "current", before, used.version, used.bundle, "", "")
                ledger.pointers.move(Pointer("models", name, n + 1, "newest", versions[: n + 1], changed=AT), move)
    ledger.close()


def _fill_audit(config: ReceiverConfig, rows: list[Row]) -> None:
    """Four entries for each bundle, as the daemon writes: accepted, approved, published, current."""
    log = AuditLog(config.audit_folder, "receiver", None)
    for first in range(0, len(rows), 4):
        log.append_all([
            (what, {"bundle": one.id, "channel": one.channel, "name": one.name, "version": one.version})
            for one in rows[first : first + 4]
            for what in (What.ACCEPTED, What.APPROVED, What.PUBLISHED, What.CURRENT)
        ])  # fmt: skip


def _write_card(config: ReceiverConfig, one: Row) -> None:
    facts = [Fact(search.TERM, f"component lib-{n}-{one.sequence % 97}", b"") for n in range(10)]
    claims = [Claim("hub", f"models/{one.name}", one.name)]
    write_card(config.gateway.index / CARDS / f"{one.id}.db", _files(one), facts, claims)


def _files(one: Row) -> Iterator[CardFile]:
    for n in range(one.files):
        path = f"shards/part-{n // 10:03}/model-{one.sequence}-{n:05}.safetensors"
        yield CardFile(path, 1000, hashlib.sha256(path.encode()).hexdigest())


# Run by a small process: what a process inherits counts among its own memory.
_RUN: Final = """
import os, resource, subprocess, sys, time
begun = time.monotonic()
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(time.monotonic() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, len(done.stdout))
"""


def cost(config: ReceiverConfig, *arguments: str) -> Cost:
    """Run a command in a process of its own."""
    toml = str(config.state.parent / "receiver.toml")
    program = "from receiver.cli.main import main; main()"
    command = [sys.executable, "-c", program, "-c", toml, *arguments]
    done = subprocess.run([sys.executable, "-c", _RUN, *command], capture_output=True, text=True, check=True)
    seconds, cpu_s, memory, size = done.stdout.split()
    return Cost(float(seconds), float(cpu_s), int(memory), int(size))


def commands(bundles: int, files: int) -> list[tuple[str, ...]]:
    """Every command, and the searches that cost most."""
    name = f"models/org--model-{bundles // VERSIONS // 2}"
    last = f"model-{bundles}-{files - 1:05}.safetensors"
    digest = next(d for d in [list(_files(row(bundles - 1, files)))[-1].sha256])
    catalogue = [
        ("ls", "nobody"), ("ls",), ("ls", "--json"), ("ls", name), ("show", f"{name}@v3"), ("show", name, "--json"),
        ("history", name), ("history", name, "--on", DAY), ("diff", name, "v1", "v2"),
        ("search", last), ("search", digest), ("search", digest[:12]), ("search", "lib-3-50"),
        ("search", "safetensor"), ("search", "part-00"), ("search", "nothing is called so"),
        ("search", name.split("/")[1]),
    ]  # fmt: skip
    others = [("gc", "--dry-run"), ("drill", "ls"), ("status",)]
    return [("catalogue", *one) for one in catalogue] + others


def main() -> None:
    """Make it, measure it, print it; ends with 1 when a command takes more than it may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bundles", type=int, default=10_000)
    parser.add_argument("--files", type=int, default=100, help="of each bundle")
    options = parser.parse_args()
    if not options.folder.exists():
        os.fsync = lambda fd: None  # of ten thousand cards, which nobody misses
        make(options.folder, options.bundles, options.files)
    config = load(ReceiverConfig, options.folder / "receiver.toml")
    begun = time.monotonic()
    index = config.gateway.index
    is_new = search.write_search(index, index / search.SEARCH / search.SEARCH_FILE)
    size = (index / search.SEARCH / search.SEARCH_FILE).stat().st_size
    print(f"index for searching: {time.monotonic() - begun:.1f} s, {size >> 20} MiB, written: {is_new}")
    worst = 0.0
    for arguments in commands(options.bundles, options.files):
        taken = sorted(cost(config, *arguments) for _ in range(OFTEN))[OFTEN // 2]
        worst = max(worst, taken.seconds / LIMITS[0], taken.memory_bytes / LIMITS[1])
        figures = f"{taken.seconds:6.2f} s {taken.cpu_s:6.2f} CPU s {taken.memory_bytes >> 20:5} MiB"
        print(f"{' '.join(arguments)[:60]:60} {figures}", flush=True)
    raise SystemExit(worst > 1.0)


if __name__ == "__main__":
    main()
