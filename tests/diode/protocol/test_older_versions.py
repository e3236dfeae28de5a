"""The version that knew three kinds, against this one: each as sender, each as receiver."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diode.errors import Drop
from diode.protocol.auth import DatagramViews, Session
from diode.protocol.gate import Gate
from diode.protocol.heartbeat import Heartbeat, HeartbeatSealer
from diode.protocol.link_key import LinkKey, Mode

ROOT = Path(__file__).parents[3]
BEFORE_KIND_4 = "480b873899859b99e1192313212dccbfaf0e63d6"
KEY = bytes(range(32))

RECEIVES = """
import json, sys
from collections import Counter
import numpy as np
from diode.auth import DatagramViews, LinkKey
from diode.gate import Gate
given, drops = json.load(sys.stdin), Counter()
gate = Gate([LinkKey.of(bytes(range(32)))], given["mode"], drops)
passed = 0
for datagram in map(bytes.fromhex, given["datagrams"]):
    matrix = np.frombuffer(bytearray(datagram), np.uint8).reshape(1, -1)
    passed += len(gate.admit(matrix, DatagramViews(memoryview(matrix.reshape(-1)), len(datagram), 1), 1.0))
drops = {str(reason): count for reason, count in drops.items() if count}
print(json.dumps({"passed": passed, "heartbeats": gate.heartbeats, "drops": drops}))
"""
SENDS = """
import json, sys
from diode.auth import LinkKey, Session
from diode.heartbeat import Heartbeat, HeartbeatSealer
given, key = json.load(sys.stdin), LinkKey.of(bytes(range(32)))
sealer = HeartbeatSealer(key, Session(key, 78, given["mode"]), 448)
books = {"epoch": 1, "clock": 0, "sessions": {f"{77:016x}": 0}, "channels": {"models": 3}, "bundles": []}
beats = [sealer.seal(Heartbeat(number=number, **books)).hex() for number in range(3)]
print(json.dumps(beats))
"""


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its core, as the history of this repository has it."""
    folder = tmp_path_factory.mktemp("older")
    archive = subprocess.run(
        ["git", "-C", str(ROOT), "archive", BEFORE_KIND_4, "diode"], capture_output=True, check=False
    )
    if archive.returncode:
        pytest.skip("the history of this repository is not here")
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder


def run(older: Path, program: str, given: dict[str, Any]) -> Any:
    """What it prints."""
    command = [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(older)!r})\n{program}"]
    done = subprocess.run(command, cwd=older, input=json.dumps(given), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("mode", ["gmac", "aead", "none"])
def test_an_older_receiver_drops_kind_4_and_works(older: Path, mode: Mode) -> None:
    """It hears kind 3 and takes the data: what is new is counted as ``kind``, and costs it nothing else."""
    key = LinkKey.of(KEY)
    sealer = HeartbeatSealer(key, Session(key, 78, mode), 448)
    datagrams = []
    for number in range(3):
        books = {"epoch": 1, "number": number, "clock": 0, "channels": {"models": 3}, "bundles": []}
        beat = Heartbeat.model_validate(books | {"sessions": {f"{78:016x}": 0}, "health": {"failed": 1}})
        datagrams += [sealer.seal_mac(beat), sealer.seal(beat)]
    said = run(older, RECEIVES, {"mode": mode, "datagrams": [datagram.hex() for datagram in datagrams]})
    assert {"passed": 0, "heartbeats": 3, "drops": {"kind": 3}} == said


@pytest.mark.parametrize("mode", ["gmac", "aead", "none"])
def test_an_older_sender_is_heard(older: Path, mode: Mode) -> None:
    """Kind 3 alone, for as long as it sends no other."""
    drops: Counter[Drop] = Counter()
    gate = Gate([LinkKey.of(KEY)], mode, drops)
    for datagram in map(bytes.fromhex, run(older, SENDS, {"mode": mode})):
        matrix = np.frombuffer(bytearray(datagram), np.uint8).reshape(1, -1)
        gate.admit(matrix, DatagramViews(memoryview(matrix.reshape(-1)), len(datagram), 1), 1.0)
    assert (3, 0) == (gate.heartbeats, sum(drops.values()))
    assert [77, 78] == sorted(session for _, session, _ in gate.admitted)
