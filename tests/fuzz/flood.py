"""``make flood``: a transfer between two network namespaces while somebody floods it; needs root.

1. From another address, as fast as this machine can, against pins on the receiver's interface: no more than 1.2 times
   as slow.
2. From the sender's own address and port, below what `listen` can take: it completes, within its memory.
3. From the sender's address, as fast as this machine can: what is lost is put down to the flood, and a code is printed.
4. The scenes of ``tests/fuzz/flood_scenes.py``, from the sender's address and port, each at a tenth of the datagrams a
   second that reading alone takes here, beside a transfer at half of what it can: no more than 1.2 times as slow.

The flooder has watched the link: a third of what it sends has headers of the transfer itself under wrong tags; the rest
is of unknown sessions, other keys, other sizes, or noise. It runs on the same cores as the daemons, so the first case
pays for the flooder's own work, too; it has the lowest priority, since a real one brings its own machine.
"""

import argparse
import asyncio
import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from diode.config.init import init_pair
from diode.errors import IncompleteError
from diode.net.address import Address
from diode.net.batched import BatchedSender
from diode.net.sockets import open_sender
from diode.net.trains import train_datagrams
from diode.process.measure import pss_bytes
from diode.protocol.sizes import HEADER_BYTES, TAG_BYTES
from diode.protocol.wire import HEADER, headers_of
from tests.e2e.pair import Process
from tests.fuzz.flood_scenes import SCENES, listen_alone, play, send_all

LOW, HIGH = "fzlow", "fzhigh"
LOW_LINK, HIGH_LINK = "fzl0", "fzh0"
SENDER, RECEIVER, STRANGER = "10.99.77.1", "10.99.77.2", "10.99.77.3"
PORT: Final = 9001
MTU: Final = 1500
RATE: Final = 10_000_000
RATES: Final = (160, 120, 80, 56, 40, 28, 20, 14, 10)  # megabytes a second that a transfer is tried at
DATAGRAM_BYTES: Final = 1472
SLOWER: Final = 1.2  # at most, behind the pins
GENTLE: Final = 30_000_000  # bytes a second of a flood that `listen` can take: three times the transfer's rate
BUDGET_BYTES: Final = (256 + 32 + 2 * 32 + 4 * 60) << 20  # limits.memory, ring, twice the socket buffer, interpreters
TRAINS: Final = 48
_SIOCETHTOOL: Final = 0x8946  # linux/sockios.h
_ETHTOOL_SGRO: Final = 0x2C  # linux/ethtool.h


# the link


@contextmanager
def namespaces() -> Iterator[None]:
    """Two of them with a veth pair between, neighbours fixed; gone afterwards."""
    try:
        for name in (LOW, HIGH):
            _run("ip", "netns", "add", name)
        ends = ("type", "veth", "peer", "name", HIGH_LINK, "netns", HIGH)
        _run("ip", "-n", LOW, "link", "add", LOW_LINK, "mtu", str(MTU), *ends, "mtu", str(MTU))
        _run("ip", "-n", LOW, "addr", "add", f"{SENDER}/24", "dev", LOW_LINK)
        _run("ip", "-n", LOW, "addr", "add", f"{STRANGER}/24", "dev", LOW_LINK)
        _run("ip", "-n", HIGH, "addr", "add", f"{RECEIVER}/24", "dev", HIGH_LINK)
        _run("ip", "-n", LOW, "link", "set", LOW_LINK, "gso_max_segs", "1")  # single datagrams cross the link
        _run("ip", "netns", "exec", HIGH, sys.executable, "-m", "tests.fuzz.flood", "--coalesce")
        for name, link in ((LOW, LOW_LINK), (HIGH, HIGH_LINK)):
            _run("ip", "-n", name, "link", "set", "lo", "up")
            _run("ip", "-n", name, "link", "set", link, "up")
        _neighbour(LOW, LOW_LINK, RECEIVER, HIGH, HIGH_LINK)
        for address in (SENDER, STRANGER):
            _neighbour(HIGH, HIGH_LINK, address, LOW, LOW_LINK)
        yield
    finally:
        for name in (LOW, HIGH):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def pin() -> None:
    """Only the sender's datagrams to the receiver's port come in at its interface: as the rules to be shipped say."""
    rules = f"""table netdev fz_pins {{
        chain ingress {{
            type filter hook ingress device "{HIGH_LINK}" priority -500; policy drop;
            ip saddr {SENDER} ip daddr {RECEIVER} udp dport {PORT} accept
            counter drop
        }}
    }}"""
    subprocess.run(["ip", "netns", "exec", HIGH, "nft", "-f", "-"], input=rules, text=True, check=True)


def pinned_out() -> int:
    """Packets that the pins dropped; a train that was not cut on its way counts as one."""
    listed = _run("ip", "netns", "exec", HIGH, "nft", "-j", "list", "chain", "netdev", "fz_pins", "ingress")
    rules = [entry["rule"]["expr"] for entry in json.loads(listed)["nftables"] if "rule" in entry]
    return sum(part["counter"]["packets"] for rule in rules for part in rule if "counter" in part)


def coalesce() -> None:
    """Let the receiver's interface do as network cards do: datagrams of one flow become one run, whoever sent them."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        wish = array("I", [_ETHTOOL_SGRO, 1])
        request = struct.pack("16sP", HIGH_LINK.encode(), wish.buffer_info()[0])
        fcntl.ioctl(sock, _SIOCETHTOOL, request.ljust(40, b"\0"))


def _neighbour(name: str, link: str, address: str, other: str, other_link: str) -> None:
    listed = json.loads(_run("ip", "-j", "-n", other, "link", "show", other_link))
    mac = listed[0]["address"]
    _run("ip", "-n", name, "neigh", "replace", address, "lladdr", mac, "dev", link, "nud", "permanent")


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


# one transfer


@dataclass
class Transfer:
    """How a transfer went."""

    seconds: float
    exit_code: int
    published: bool
    summary: dict[str, Any]
    result: dict[str, Any]
    peak_bytes: int
    flood: dict[str, int] = field(default_factory=dict)


async def transfer(folder: Path, name: str, seconds: float, flood: list[str] | None, *, early: bool = True) -> Transfer:
    """Send ``model.bin`` as version ``name``; a flooder joins from the start, or once the manifest is there."""
    config = ("-c", str(folder / "receiver" / "receiver.toml"))
    async with _started(HIGH, "receiver.cli.main", *config, "run", "--bundles", "1", "--json") as receiver:
        await receiver.said("udp_path_chosen")
        watch = asyncio.create_task(_peak(receiver.process.pid))
        began = time.monotonic()
        sender_config = ("-c", str(folder / "sender" / "sender.toml"))
        send = ("send", "--json", "--channel", "models", "--name", "m", "--version", name, str(folder / "model.bin"))
        flooding = None
        is_scene = flood is not None and flood[0].startswith("--scene=")  # lasts as long as the transfer
        async with _started(LOW, "sender.cli.main", *sender_config, *send) as sender:
            if flood is not None:
                if not early:
                    await receiver.said("bundle_accepted")
                flooding = await _flooder(flood, 6 * seconds if is_scene else seconds)
            await sender.ended(6 * seconds)
            over = asyncio.create_task(receiver.ended(6 * seconds))
            await receiver.said('"message_type": "bundle"')
            took = time.monotonic() - began
            if flooding is not None and is_scene:
                flooding.terminate()
            sent = await _finish(flooding)
            code = await over
        watch.cancel()
        results = [m for m in receiver.messages if m.get("message_type") == "bundle"] or [{}]
        summaries = [m for m in receiver.messages if m.get("message_type") == "summary"] or [{}]
        published = (folder / "receiver" / "inbox" / "models" / "m" / name / "receipt.json").exists()
        peak = max(_PEAKS.pop(receiver.process.pid, [0]))
        return Transfer(took, code, published, summaries[-1], results[-1], peak, sent)


_PEAKS: dict[int, list[int]] = {}


async def _peak(pid: int) -> None:
    seen = _PEAKS[pid] = []
    while True:
        seen.append(await asyncio.to_thread(pss_bytes, pid))
        await asyncio.sleep(1.0)


@asynccontextmanager
async def _started(namespace: str, module: str, *arguments: str) -> AsyncIterator[Process]:
    pipe = asyncio.subprocess.PIPE
    program = f"from {module} import main; main()"
    command = ("ip", "netns", "exec", namespace, sys.executable, "-c", program, *arguments)
    process = Process(await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe))
    try:
        yield process
    finally:
        if process.process.returncode is None:
            process.process.kill()


async def _flooder(options: list[str], seconds: float) -> asyncio.subprocess.Process:
    return await _here(LOW, "--flooder", f"--seconds={seconds}", *options)


async def _finish(flooding: asyncio.subprocess.Process | None) -> dict[str, int]:
    if flooding is None:
        return {}
    out, _ = await flooding.communicate()
    found: dict[str, int] = json.loads(out or b"{}")
    return found


# the flooder


def flooder(source: str, rate: float, seconds: float, *, same_port: bool) -> dict[str, int]:
    """Watch the link for a datagram, then send what resembles it, and what does not."""
    os.nice(19)
    header, port = _overheard()
    rng = np.random.default_rng(1)
    trains = _trains(rng, header)
    size = trains[0].shape[1]
    to = Address(RECEIVER, PORT)
    sock = open_sender(to)
    sock.bind((source, 0))
    sender = BatchedSender(sock, to, size)
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
    raw.bind((source, 0))
    udp = struct.pack("!HHHH", port, PORT, 8 + size, 0)  # no checksum
    sent, began = 0, time.monotonic()
    while (now := time.monotonic()) - began < seconds:
        if rate and sent * size > (now - began) * rate:
            time.sleep(0.001)
            continue
        train = trains[int(rng.integers(len(trains)))]
        if same_port:
            for datagram in train:
                with suppress(OSError):
                    raw.sendto(udp + datagram.tobytes(), (RECEIVER, 0))
        else:
            sender.send(memoryview(train.reshape(-1)))
        sent += len(train)
    return {"datagrams": sent - sender.refused, "datagram_bytes": size, "seconds": int(time.monotonic() - began)}


def _overheard() -> tuple[bytes, int]:
    """(header, source port) of a datagram on its way, as anybody on the wire may read them."""
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0003))
    tap.bind((LOW_LINK, 0x0003))
    tap.settimeout(30.0)
    while True:
        packet = tap.recv(65535)
        start = (packet[0] & 15) * 4
        if packet[9] != socket.IPPROTO_UDP or int.from_bytes(packet[start + 2 : start + 4], "big") != PORT:
            continue
        header = packet[start + 8 : start + 8 + HEADER_BYTES]
        if len(header) == HEADER_BYTES and header[4] == 1 and any(header[24:32]):  # data, and no padding
            return header, int.from_bytes(packet[start : start + 2], "big")


def _trains(rng: np.random.Generator, header: bytes) -> list[np.ndarray]:
    """Trains of one size; datagrams of all kinds mixed in each."""
    model = np.frombuffer(header, HEADER)
    size = int(model["symbol_bytes"][0]) + HEADER_BYTES + TAG_BYTES
    count = train_datagrams(size)
    made = []
    for _ in range(TRAINS):
        rows = rng.integers(0, 256, (count, size), dtype=np.uint8)
        kind = rng.integers(0, 12, count)
        known = kind < 9
        rows[known, :HEADER_BYTES] = np.frombuffer(header, np.uint8)
        headers = headers_of(rows)
        headers["counter"][known] = rng.integers(0, 1 << 40, int(known.sum()), dtype=np.uint64)
        headers["symbol"][known] = rng.integers(0, 14000, int(known.sum()))
        for chosen, name in ((4, "session"), (5, "session"), (6, "key_id"), (7, "bundle")):
            picked = kind == chosen
            column = headers[name]
            column[picked] = rng.integers(0, 1 << 16, int(picked.sum()))
        headers["symbol_bytes"][kind == 8] = 448
        made.append(rows)
    return made


# the whole


def judge(went: dict[str, Transfer], dropped: int) -> list[str]:
    """What is not as it should be."""
    base, pinned, gentle, hard = (went[name] for name in ("none", "pinned", "gentle", "hard"))
    said = str(hard.result.get("detail"))
    checks = {
        "without a flood, nothing was published": base.published,
        "behind the pins: not published": pinned.published,
        f"behind the pins: {pinned.seconds:.1f} s against {base.seconds:.1f}": pinned.seconds <= SLOWER * base.seconds,
        "the pins dropped nothing": dropped > 0,
        "below saturation: not published": gentle.published,
        "below saturation: nothing was refused": gentle.summary.get("refused", 0) > 0,
        "above saturation: nothing was lost": not hard.published,
        f"above saturation: exit code {hard.exit_code}": hard.exit_code == IncompleteError.exit_code,
        "above saturation: no resend code": bool(hard.result.get("resend_code")),
        f"above saturation: the losses are not put down to the flood: {said}": "flood" in said,
        "above saturation: nothing was dropped at the socket": hard.summary.get("socket_drops", 0) > 0,
    }
    over = {
        f"{name}: {one.peak_bytes >> 20} MiB, more than {BUDGET_BYTES >> 20}": one.peak_bytes <= BUDGET_BYTES
        for name, one in went.items()
    }
    return [what for what, is_good in (checks | over).items() if not is_good]


async def run_scenes(names: list[str], seconds: float, rate: int) -> int:
    """A transfer alone, then one beside each scene. ``rate``: bytes a second, 0: half of what is found. The exit code.

    What reading takes and what a transfer can are measured first, in this run.
    """
    with tempfile.TemporaryDirectory(prefix="diode-flood-", dir=_memory()) as place, namespaces():
        taken = await _listen_alone()
        flood_per_s = taken // 10
        can = 2 * rate or await _fastest(Path(place))
        rate = rate or can // 2
        folder = _prepared(Path(place) / "scenes", rate, seconds)
        print(f"reading alone takes {taken:,} datagrams a second; floods of {flood_per_s:,}", flush=True)
        print(f"a transfer can {can / 1e6:.0f} MB/s; paced at {rate / 1e6:.0f}", flush=True)
        base = await transfer(folder, "base", seconds, None)
        _show("alone", base)
        wrong = [] if base.published else ["alone: not published"]
        for name in names:
            asked = [f"--scene={name}", f"--rate={flood_per_s}"]
            one = await transfer(folder, name, seconds, asked)
            _show(name, one)
            reached = one.flood.get("datagrams", 0) / max(one.flood.get("ms", 0), 1) * 1000
            share = one.seconds / base.seconds
            print(f"  {share:.2f} of the time alone; {reached:,.0f} datagrams a second of flood", flush=True)
            wrong += [] if one.published else [f"{name}: not published"]
            wrong += [] if share <= SLOWER else [f"{name}: {share:.2f} of the time alone"]
            if reached < 0.7 * flood_per_s:
                wrong.append(f"{name}: this machine floods with {reached:,.0f} a second only")
        print(f"flood scenes: {'; '.join(wrong) if wrong else 'ok'}")
        return 1 if wrong else 0


async def _listen_alone() -> int:
    """Datagrams a second that come through to a reader which does nothing else, from a sender that does its most."""
    reading = await _here(HIGH, "--listen-alone", "--seconds=2")
    await asyncio.sleep(0.5)
    sending = await _here(LOW, "--send-all", "--seconds=4", f"--source={SENDER}")
    out, _ = await reading.communicate()
    await sending.communicate()
    return int(json.loads(out))


async def _fastest(place: Path) -> int:
    """The highest of a few rates at which a short transfer arrives in its time, with next to nothing lost."""
    for megabytes in RATES:
        rate, seconds = megabytes * 1_000_000, 4.0
        one = await transfer(_prepared(place / f"at-{megabytes}", rate, seconds), "fast", seconds, None)
        _show(f"at {megabytes} MB/s", one)
        if one.published and one.seconds < seconds + 5 and one.summary.get("lost_before_fec", 1) < 100:
            return rate
    return RATES[-1] * 1_000_000


def _prepared(folder: Path, rate: int, seconds: float) -> Path:
    """A pair in ``folder``, and a file that takes about so long."""
    where = f"{RECEIVER}:{PORT}"
    init_pair(folder, to=where, listen=where, mtu=MTU, rate=rate, profile="standard", auth="gmac")
    (folder / "model.bin").write_bytes(np.random.default_rng(1).bytes(int(rate * seconds * 0.85)))
    return folder


async def _here(namespace: str, *options: str) -> asyncio.subprocess.Process:
    command = ("ip", "netns", "exec", namespace, sys.executable, "-m", "tests.fuzz.flood", *options)
    return await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)


async def run(seconds: float, rate: int, gentle_rate: int) -> int:
    """All four transfers. The exit code."""
    with tempfile.TemporaryDirectory(prefix="diode-flood-", dir=_memory()) as place, namespaces():
        folder = Path(place)
        _prepared(folder, rate, seconds)
        size = (folder / "model.bin").stat().st_size
        print(f"{size / 1e6:.0f} MB at {rate / 1e6:.0f} MB/s of datagrams, {seconds:.0f} s each", flush=True)
        base = await transfer(folder, "base", seconds, None)
        _show("no flood", base)
        gentle = await transfer(
            folder, "gentle", seconds, [f"--source={SENDER}", f"--rate={gentle_rate}", "--same-port"]
        )
        _show("same address and port, below saturation", gentle)
        hard = await transfer(folder, "hard", seconds, [f"--source={SENDER}", "--rate=0"], early=False)
        _show("same address, all that this machine can", hard)
        pin()
        pinned = await transfer(folder, "pinned", seconds, [f"--source={STRANGER}", "--rate=0"])
        dropped = pinned_out()
        _show(f"another address, against pins (they dropped {dropped:,} packets)", pinned)
        went = {"none": base, "pinned": pinned, "gentle": gentle, "hard": hard}
        wrong = judge(went, dropped)
        print(f"flood: behind the pins {pinned.seconds / base.seconds:.2f} of the time without a flood")
        print(f"flood: {'; '.join(wrong) if wrong else 'ok'}")
        return 1 if wrong else 0


def _show(name: str, one: Transfer) -> None:
    flood = one.flood.get("datagrams", 0)
    rate = flood * one.flood.get("datagram_bytes", 0) / max(one.flood.get("seconds", 0), 1) / 1e6
    names = ("datagrams", "lost_before_fec", "blocks_lost", "socket_drops", "refused")
    outcome = "published" if one.published else "incomplete"
    print(f"{name}: {outcome} after {one.seconds:.1f} s, exit code {one.exit_code}")
    print(f"  {flood:,} datagrams of flood, {rate:.0f} MB/s; at most {one.peak_bytes >> 20} MiB")
    print(f"  { ({key: one.summary.get(key) for key in names}) }; drops {one.summary.get('drops')}")
    if one.result.get("resend_code"):
        print(f"  {one.result['detail']}\n  resend code {one.result['resend_code']}", flush=True)


def _memory() -> Path | None:
    memory = Path("/dev/shm")
    return memory if memory.is_dir() and shutil.disk_usage(memory).free > 8 << 30 else None


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="each transfer takes about so long")
    parser.add_argument("--rate", type=int, help="bytes a second: of the transfer, or of the flooder (0: all it can)")
    parser.add_argument("--gentle", type=int, default=GENTLE, help="bytes a second of the flood below saturation")
    chosen = ("all", "volume", *SCENES)
    parser.add_argument("--only", choices=chosen, action="append", help="'volume': cases 1 to 3; or scenes, by name")
    parser.add_argument("--scene-seconds", type=float, default=20.0, help="each transfer beside a scene takes so long")
    parser.add_argument("--scene-rate", type=int, default=0, help="bytes a second of those; 0: half of what is found")
    for flag in ("--flooder", "--coalesce", "--same-port", "--listen-alone", "--send-all"):
        parser.add_argument(flag, action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--source", default=STRANGER, help=argparse.SUPPRESS)
    parser.add_argument("--scene", choices=[*SCENES], help=argparse.SUPPRESS)
    return parser.parse_args()


def _part(given: argparse.Namespace) -> bool:
    """Be one of the processes of a run, in a namespace; whether that was asked for."""
    to = Address(RECEIVER, PORT)
    if given.coalesce:
        coalesce()
    elif given.listen_alone:
        print(json.dumps(listen_alone(to, given.seconds)))
    elif given.send_all:
        print(json.dumps(send_all(given.source, to, DATAGRAM_BYTES, given.seconds)))
    elif given.flooder and given.scene:
        print(json.dumps(play(given.scene, LOW_LINK, SENDER, to, given.rate, given.seconds)))
    elif given.flooder:
        print(json.dumps(flooder(given.source, given.rate, given.seconds, same_port=given.same_port)))
    else:
        return False
    return True


def main() -> None:
    """The whole, or what was picked, or one process of it."""
    given = _parse()
    if _part(given):
        return
    lacking = [tool for tool in ("ip", "nft") if shutil.which(tool) is None]
    if os.geteuid() or lacking:
        sys.exit(f"flood: needs root, ip and nft{': no ' + ' and no '.join(lacking) if lacking else ''}")
    only = set(given.only or ["all"])
    names = [name for name in SCENES if only & {name, "all"}]
    code = 0
    if only & {"volume", "all"}:
        code |= asyncio.run(run(given.seconds, given.rate or RATE, given.gentle))
    if names:
        code |= asyncio.run(run_scenes(names, given.scene_seconds, given.scene_rate))
    sys.exit(code)


if __name__ == "__main__":
    main()
