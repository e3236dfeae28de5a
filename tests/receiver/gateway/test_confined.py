"""The serving process cannot do what it does not need: each is tried from inside, after it has confined itself."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import PATIENCE_S
from tests.serving import Serving

ATTACKS = """
import json, os, socket, sys
import receiver.gateway.server.keeper  # as much as could be loaded
from receiver.gateway.server.messages import ServeSettings
from receiver.gateway.server.serve import confine_to
folder = sys.argv[1]
def read(path): return lambda: os.close(os.open(f"{folder}/{path}", os.O_RDONLY))
def write(path): return lambda: os.close(os.open(f"{folder}/{path}", os.O_WRONLY | os.O_CREAT, 0o600))
listener = socket.create_server(("127.0.0.1", 0))
attacks = {
    "read service key": read("keys/service.key"), "read tls key": read("keys/tls.key"),
    "read anchor": read("inbox/.diode/anchor.json"), "list inbox": read("inbox"),
    "read trust": read("inbox/trust/one/1/data/t"), "read other channel": read("inbox/other/one/1/data/secret"),
    "read state": read("state/ledger.db"), "read configuration": read("receiver.toml"),
    "read passwd": lambda: os.open("/etc/passwd", os.O_RDONLY),
    "read environment": lambda: os.open("/proc/self/environ", os.O_RDONLY),
    "write inbox": write("inbox/tools/new"), "change inbox": write("inbox/tools/one/1/data/a.txt"),
    "link inbox": lambda: os.link(f"{folder}/inbox/tools/one/1/data/a.txt", f"{folder}/log/a"),
    "chmod inbox": lambda: os.chmod(f"{folder}/inbox/tools/one/1/data/a.txt", 0o777),
    "write index": write("index/snapshot.db"), "write elsewhere": write("state/new"),
    "rename in inbox": lambda: os.rename(f"{folder}/inbox/tools/one/1/data/b.txt", f"{folder}/inbox/tools/c"),
    "remove from inbox": lambda: os.unlink(f"{folder}/inbox/tools/one/1/data/c.txt"),
    "make a socket": lambda: socket.socket(), "send a datagram": lambda: socket.socket(type=socket.SOCK_DGRAM),
    "connect": lambda: listener.connect(("127.0.0.1", 1)), "run a program": lambda: os.execv("/bin/true", ["true"]),
    "fork": os.fork, "kill": lambda: os.kill(os.getppid(), 0), "become root": lambda: os.setuid(0),
    "unshare": lambda: os.chroot("/"),
}
works = {
    "read a file": read("inbox/tools/one/1/data/a.txt"), "read index": read("index/snapshot.db"),
    "write log": write("log/access.jsonl"), "import": lambda: __import__("colorsys"),
}
settings = ServeSettings(
    sockets=(), inbox=f"{folder}/inbox", index=f"{folder}/index", log=f"{folder}/log", serve={"tools": ("trees",)},
    tokens={}, certificate="", key="", account=None, url="", hosts={}, proxies=())
if sys.argv[2] == "confined":
    lacks = confine_to(settings)
else:
    lacks = []
found = {}
for name, attack in {**attacks, **works}.items():
    if name in ("run a program", "fork", "kill", "become root", "unshare") and sys.argv[2] != "confined":
        continue
    try:
        attack()
        found[name] = "done"
    except OSError as error:
        found[name] = "refused" if error.errno in (1, 13) else str(error)
os.write(1, json.dumps([lacks, found]).encode())
os._exit(0)
"""


def tried(tmp_path: Path, mode: str) -> tuple[list[str], dict[str, str]]:
    """What came of each attack."""
    serving = Serving(tmp_path / "rx", {"tools": ("trees",)})
    serving.publish("tools", "one", "1", {"a.txt": b"a", "b.txt": b"b", "c.txt": b"c"})
    for path in (
        *("keys/service.key", "keys/tls.key", "inbox/.diode/anchor.json", "inbox/trust/one/1/data/t"),
        *("state/ledger.db", "inbox/other/one/1/data/secret", "receiver.toml", "log/.keep"),
    ):
        (serving.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (serving.folder / path).write_text("x")
    command = [sys.executable, "-c", ATTACKS, str(serving.folder), mode]
    root = str(Path(__file__).parents[3])
    done = subprocess.run(
        command, capture_output=True, timeout=PATIENCE_S, check=False, env={**os.environ, "PYTHONPATH": root}
    )
    assert 0 == done.returncode, done.stderr.decode()
    lacks, found = json.loads(done.stdout)
    return lacks, found


WORKS = {"read a file", "read index", "write log", "import"}


def test_the_serving_process_can_do_nothing_else(tmp_path: Path) -> None:
    """No key, no ledger, nothing of .diode and of other channels can be read; nothing in the inbox can be changed."""
    lacks, found = tried(tmp_path, "confined")
    if lacks:
        pytest.skip(f"the kernel lacks what confines: {'; '.join(lacks)}")
    assert dict.fromkeys(WORKS, "done") == {name: found.pop(name) for name in WORKS}
    assert {} == {name: what for name, what in found.items() if what != "refused"}


def test_the_attacks_are_attacks(tmp_path: Path) -> None:
    """Without it nearly all of them succeed, so it is the sandbox that refuses."""
    _, found = tried(tmp_path, "free")
    assert 5 > len([name for name, what in found.items() if what != "done"])
