"""How long commands and starts take beside many bundles: ``python -m tests.ledger_scale FOLDER``.

It makes both sides of a link that have transferred many bundles: ledgers and audit logs as the daemons would have left
them. Rows are inserted by SQL into ledgers that the program made. Entries of the audit logs follow each other by the
program's own code; their signatures have the right length, and are not made, since nothing that is measured verifies
them. What was published was looked into, and is in use by its name's pointer, with its file and its link; a card is an
empty file, which nothing that is measured opens. Then each command is run as a person runs it, and each daemon is
started until it says that it is ready.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from diode.audit.chain import GENESIS, Entry, What, line_hash
from diode.audit.log import SEGMENT_BYTES
from diode.audit.segments import segment_path
from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.layouts.kinds import KINDS
from diode.storage.database import LEDGER_FILE
from receiver.catalogue.pointer import Pointer, Version, write_pointer
from receiver.catalogue.snapshot import CARDS
from receiver.inbox.folder import Inbox
from receiver.ledger.ledgers import StoreLedger
from receiver.ledger.peer import MAX_HEARD
from receiver.promotion.files import LINK, PointerFiles
from sender.ledger import Ledger

OFTEN: Final = 5  # is each run; the median counts
COMMAND_S: Final = 1.0
START_S: Final = 2.0
CHANNELS: Final = ("models", "packages", "reports", "feeds")
VERSIONS: Final = 20  # of each name
FIRST: Final = datetime(2026, 1, 1, tzinfo=UTC)
EVERY: Final = timedelta(minutes=4)
DIGEST: Final = "ab" * 32
SIGNATURE: Final = "A" * 86 + "=="
READY: Final = b"READY=1"
PATIENCE_S: Final = 600.0


def at(n: int) -> str:
    """When bundle ``n`` was packed."""
    return (FIRST + n * EVERY).strftime("%Y-%m-%dT%H:%M:%SZ")


def id_of(n: int) -> str:
    """Its id: spread over all beginnings, as digests are."""
    return f"{(n * 0x9E3779B97F4A7C15 + 1) % (1 << 64):016x}"


def place_of(n: int) -> tuple[str, str, str, int]:
    """Channel, name, version and sequence number of bundle ``n``."""
    channel, rank = CHANNELS[n % len(CHANNELS)], n // len(CHANNELS)
    return channel, f"name-{rank // VERSIONS:05d}", f"v{rank % VERSIONS}", rank + 1


def fill_sender(path: Path, count: int) -> None:
    """A sender's ledger of bundles that were sent, all but the last ten of them."""
    Ledger(path).close()
    rows = (
        (id_of(n), *place_of(n), DIGEST, 5_000_000, 3, 1, 0.0, "sent" if n < count - 10 else "confirmed", "", at(n), "")
        for n in range(count)
    )
    with closing(sqlite3.connect(path)) as db, db:
        db.executemany(f"INSERT INTO bundle VALUES ({', '.join('?' * 14)}, 1)", rows)
        _fill_channels(db, "INSERT INTO channel VALUES (?, ?, NULL)", count)


def fill_receiver(path: Path, count: int) -> None:
    """A receiver's ledger of bundles that were published, of which each hundredth was refused."""
    StoreLedger(path).close()
    rows = (
        (
            *(id_of(n), *place_of(n), 5_000_000, 3, 4, DIGEST, DIGEST),
            *(("refused", "policy: no such format") if n % 100 == 0 else ("published", "")),
            at(n),
        )
        for n in range(count)
    )
    with closing(sqlite3.connect(path)) as db, db:
        db.executemany(f"INSERT INTO bundle VALUES ({', '.join('?' * 13)})", rows)
        _fill_channels(db, "INSERT OR REPLACE INTO channel VALUES (?, ?, 0)", count)
        heard = ((id_of(n),) for n in range(max(0, count - MAX_HEARD), count))
        db.executemany("INSERT OR IGNORE INTO heard (bundle) VALUES (?)", heard)


def fill_use(config: ReceiverConfig, count: int) -> None:
    """What follows publications: entries, claims, holders and cards, pointers with their files and links."""
    inbox, cards = Inbox(config.inbox.path), config.gateway.index / CARDS
    inbox.prepare()
    cards.mkdir(parents=True)
    files, pointers = PointerFiles(inbox), list(_pointers(count))
    for pointer in pointers:
        assert pointer.current is not None
        folder = config.inbox.path / pointer.channel / pointer.name
        (folder / pointer.current.version).mkdir(parents=True)
        (folder / LINK).symlink_to(pointer.current.version)
        files.write(pointer)
    looked_into = [n for n in range(count) if n % 100]
    for n in looked_into:
        (cards / f"{id_of(n)}.db").touch()
    serve = {
        name: ",".join(kind for kind in KINDS if kind in channel.serve) for name, channel in config.channels.items()
    }
    with closing(sqlite3.connect(config.state / LEDGER_FILE)) as db, db:
        entries = ((id_of(n), serve.get(place_of(n)[0], ""), at(n), "built", "{}") for n in looked_into)
        db.executemany("INSERT INTO entry (bundle, serve, dated, dated_by, facts) VALUES (?, ?, ?, ?, ?)", entries)
        claims = (("hub", f"models/{place_of(n)[1]}", id_of(n), place_of(n)[1]) for n in looked_into)
        db.executemany("INSERT INTO claim VALUES (?, ?, ?, ?)", claims)
        holders = (("hub", f"models/{one.name}", CHANNELS[0], at(0), CHANNELS[0]) for one in pointers)
        db.executemany("INSERT OR IGNORE INTO holder VALUES (?, ?, ?, ?, ?)", holders)
        states = ((one.channel, one.name, one.number, write_pointer(one).decode()) for one in pointers)
        db.executemany("INSERT INTO pointer VALUES (?, ?, ?, ?)", states)
        moves = ((at(n), *place_of(n)[:2], "current", "", place_of(n)[2], id_of(n), "", "") for n in looked_into)
        db.executemany(f"INSERT INTO moved VALUES (NULL, {', '.join('?' * 9)})", moves)


def _pointers(count: int) -> Iterator[Pointer]:
    """Of each name, of which every version that was published was in use."""
    deployed: dict[tuple[str, str], list[Version]] = {}
    for n in range(count):
        if n % 100:
            channel, name, version, sequence = place_of(n)
            deployed.setdefault((channel, name), []).append(Version(version, id_of(n), sequence))
    for place, versions in deployed.items():
        yield Pointer(*place, len(versions), "newest", tuple(versions), changed=at(count - 1))


def _fill_channels(db: sqlite3.Connection, statement: str, count: int) -> None:
    last = {place_of(n)[0]: place_of(n)[3] for n in range(max(0, count - len(CHANNELS)), count)}
    db.executemany(statement, last.items())


def write_log(folder: Path, side: str, whats: Sequence[What], count: int) -> int:
    """An audit log with an entry of each kind for each bundle. Returns its size in bytes."""
    folder.mkdir(parents=True, mode=0o700)
    number, total, head, segment = 1, 0, GENESIS, []
    size = 0
    for line in _lines(side, whats, count):
        text = line.replace(GENESIS, head)
        head = line_hash(text.encode())
        segment.append(text)
        size += len(text) + 1
        if size >= SEGMENT_BYTES:
            total, number, size = total + _write(folder, number, segment), number + 1, 0
            segment = []
    return total + _write(folder, number, segment)


def _lines(side: str, whats: Sequence[What], count: int) -> Iterator[str]:
    """Entries whose ``prev`` is that of a first one. Made from one entry of each kind, by their texts."""
    forms = []
    for what in whats:
        channel, name, version, _ = place_of(0)
        fields: dict[str, Any] = {"n": 1, "at": at(0), "side": side, "who": "diode:990", "what": what, "prev": GENESIS}
        fields |= {"bundle": id_of(0), "channel": channel, "name": name, "version": version, "digest": DIGEST}
        forms.append(Entry.model_validate(fields | {"sig": SIGNATURE}).line.decode())
    number = 0
    for n in range(count):
        channel, name, version, _ = place_of(n)
        for form in forms:
            number += 1
            text = form.replace(id_of(0), id_of(n)).replace(at(0), at(n)).replace('"n":1,', f'"n":{number},')
            text = text.replace(f'"channel":"{CHANNELS[0]}"', f'"channel":"{channel}"')
            yield text.replace('"name":"name-00000"', f'"name":"{name}"').replace('"v0"', f'"{version}"')


def _write(folder: Path, number: int, segment: list[str]) -> int:
    if not segment:
        return 0
    path = segment_path(folder, number)
    path.write_text("".join(f"{line}\n" for line in segment))
    path.chmod(0o600)
    return path.stat().st_size


def make(folder: Path, count: int) -> None:
    """Both sides below ``folder``."""
    port = _free_port()
    init = ["diode", "init", "pair", str(folder), "--to", f"127.0.0.1:{port}"]
    subprocess.run([_program(init[0]), *init[1:]], check=True, capture_output=True)
    for side, fill in (("sender", fill_sender), ("receiver", fill_receiver)):
        state = folder / side / "state"
        shutil.rmtree(state / "audit", ignore_errors=True)
        fill(state / LEDGER_FILE, count)
    fill_use(load(ReceiverConfig, folder / "receiver" / "receiver.toml"), count)
    sent = (What.PACKED, What.QUEUED, What.SENT)
    size = write_log(folder / "sender" / "state" / "audit", "sender", sent, count)
    _say(f"sender's audit log: {size / 1e6:.0f} MB")
    size = write_log(folder / "receiver" / "state" / "audit", "receiver", (What.ACCEPTED, What.PUBLISHED), count)
    _say(f"receiver's audit log: {size / 1e6:.0f} MB")


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _program(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def measured(words: Sequence[str]) -> tuple[float, float]:
    """Seconds and CPU seconds of one run of a command."""
    before, began = os.times(), time.monotonic()
    subprocess.run(words, check=True, capture_output=True)
    wall, after = time.monotonic() - began, os.times()
    return wall, after.children_user + after.children_system - before.children_user - before.children_system


def started(words: Sequence[str], folder: Path) -> tuple[float, float]:
    """Seconds until a daemon says that it is ready. It is stopped then."""
    place = folder / "notify"
    place.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(place))
        heard.settimeout(PATIENCE_S)
        before, began = os.times(), time.monotonic()
        daemon = subprocess.Popen(
            words, env=os.environ | {"NOTIFY_SOCKET": str(place)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            while READY not in heard.recv(4096):
                pass
            wall = time.monotonic() - began
        finally:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(PATIENCE_S)
        after = os.times()
        return wall, after.children_user + after.children_system - before.children_user - before.children_system


def measure(folder: Path, count: int) -> Iterator[dict[str, object]]:
    """Each command and each start, as a row of figures."""
    old, new = id_of(0), id_of(count - 1)
    for side in ("sender", "receiver"):
        program = [_program(f"diode-{side}"), "-c", str(folder / side / f"{side}.toml")]
        rare = "refused" if side == "receiver" else "confirmed"
        rest = (["status"], ["ls"], ["ls", "--channel", "feeds", "--state", rare], ["log", old], ["log", new[:8]])
        for words in rest:
            yield _row(
                f"diode-{side} {' '.join(words)}", [measured([*program, *words]) for _ in range(OFTEN)], COMMAND_S
            )
        yield _row(f"diode-{side} run", [started([*program, "run"], folder) for _ in range(OFTEN)], START_S)


def _row(what: str, costs: list[tuple[float, float]], most_s: float) -> dict[str, object]:
    wall, cpu = (round(statistics.median(column), 3) for column in zip(*costs, strict=True))
    return {"what": what, "wall_s": wall, "least_wall_s": round(min(costs)[0], 3), "cpu_s": cpu, "must_s": most_s}


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    """Make the sides unless they are there, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bundles", type=int, default=100_000)
    given = parser.parse_args()
    if not given.folder.exists():
        os.fsync = lambda fd: None  # of what is made here, which nobody misses
        make(given.folder, given.bundles)
    for row in measure(given.folder, given.bundles):
        _say(json.dumps(row))


if __name__ == "__main__":
    main()
