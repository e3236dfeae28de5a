"""A receiver that was written from the pages alone: it meets every vector, and publishes the recorded bundles."""

import ast
import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.signer import CryptoSigner

from diode.errors import Drop
from diode.protocol.assembler import Assembler
from diode.protocol.auth import DatagramViews
from diode.protocol.fec import choose_engine
from diode.protocol.gate import Gate
from diode.protocol.geometry import Geometry
from diode.protocol.handed_over import Completed
from diode.protocol.link_key import LinkKey, Mode
from diode.protocol.sizes import Kind, ObjectType
from receiver.messages.pipeline import Known
from receiver.spool.slabs import numbers_of
from tests.enclave import Enclave
from tests.link import Staging, make_bundle
from tests.reader import Reader
from tests.reader_bundle import Bundle
from tests.vectors import generate

VECTORS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text()) for path in sorted((generate.HOME / "transfers").glob("*.json"))
}


def arriving(vector: dict[str, Any]) -> Iterator[bytes]:
    """The datagrams that are not lost, in order."""
    lost = set(vector["lost"])
    return (bytes.fromhex(one) for number, one in enumerate(vector["datagrams"]) if number not in lost)


def expected(vector: dict[str, Any]) -> dict[str, bytes]:
    """What is published, folders by a name that ends in a slash."""
    return {path: bytes.fromhex(text) for path, text in vector["files"].items()} | dict.fromkeys(vector["folders"], b"")


def test_the_second_receiver_shares_nothing_with_the_first() -> None:
    """It imports no file of this program."""
    for name in ("reader.py", "reader_bundle.py", "reader_heartbeat.py", "oracle.py"):
        nodes = [*ast.walk(ast.parse((generate.HOME.parent / name).read_text()))]
        found = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
        found |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        assert not {module for module in found if module.split(".")[0] in ("diode", "sender", "receiver")}


WIRE = {path.stem: json.loads(path.read_text()) for path in sorted((generate.HOME / "wire").glob("*.json"))}
RUNS = [name for name, vector in WIRE.items() if "run" in vector]
MEMORY = {path.stem: json.loads(path.read_text()) for path in sorted((generate.HOME / "slabs").glob("*.json"))}


@pytest.mark.parametrize("name", RUNS)
def test_the_second_receiver_meets_every_outcome_of_a_run(name: str) -> None:
    """As the first does: what passes, and what is dropped for which reason."""
    vector = WIRE[name]
    reader = Reader([bytes.fromhex(key) for key in vector["link_keys"]], vector["auth"], [])
    for datagram in vector["before"]:
        reader.receive(bytes.fromhex(datagram))
    before = reader.heartbeats
    assert len(vector["before"]) == before
    opened = reader.receive(bytes.fromhex(vector["run"]))
    assert list(zip(vector["accepted"], map(bytes.fromhex, vector["symbols"]), strict=True)) == opened
    assert vector["heartbeats"] == reader.heartbeats - before
    assert vector["drops"] == {reason: count for reason, count in reader.drops.items() if count}


@pytest.mark.parametrize("name", [name for name in MEMORY if not name.startswith("memory")])
def test_the_second_receiver_meets_every_outcome_of_a_slab(name: str) -> None:
    """As the first does, but for the budget of memory, which it has not."""
    vector = MEMORY[name]
    number = int.from_bytes(bytes.fromhex(vector["heartbeat"])[6:8], "big")
    reader = Reader({number: bytes(32)}, "none", [])
    reader.receive(bytes.fromhex(vector["heartbeat"]))
    for step in vector["steps"]:
        reader.drops.clear()
        reader.completed.clear()
        if "received" in step:
            reader.receive(bytes.fromhex(step["received"]))
        elif "verified" in step:
            said = step["verified"]
            sizes = {"files": {"size": said["files_bytes"]}, "slabs": {"size": said["slabs_bytes"]}}
            manifest = {"shape": said["shape"], "stream_bytes": said["stream_bytes"], **sizes}
            reader.know(int(said["bundle"], 16), Bundle(b"", b"", manifest, stored={*said["stored"]}))
        else:
            reader.end(int(step["ended"]["bundle"], 16), step["ended"]["outcome"])
        assert step["drops"] == {reason: count for reason, count in reader.drops.items() if count}
        complete = [(one["kind"], one["flags"], one["slab"], bytes.fromhex(one["bytes"])) for one in step["complete"]]
        assert complete == reader.completed


@pytest.mark.parametrize("name", VECTORS)
def test_the_second_receiver_publishes_it(name: str) -> None:
    """From its datagrams, by the pages alone, whatever their order, some of them twice."""
    vector = VECTORS[name]
    first, *rest = arriving(vector)
    for seed in range(3):
        order = rest * (1 + seed)
        if seed:
            random.Random(seed).shuffle(order)
        reader = Reader([bytes.fromhex(key) for key in vector["link_keys"]], vector["auth"], [*vector["keys"].values()])
        for datagram in (first, *order):
            reader.receive(datagram)
        assert {vector["place"]: expected(vector)} == reader.published
        assert set(vector["executable"]) == reader.executable


class Receiver:
    """Gate and assembler of this program in front of its real store."""

    def __init__(self, vector: dict[str, Any], folder: Path) -> None:
        self._drops: Counter[Drop] = Counter()
        keys = [LinkKey.of(bytes.fromhex(key)) for key in vector["link_keys"]]
        self._gate = Gate(keys, vector["auth"], self._drops)
        self._arena = np.zeros(64 << 20, np.uint8)
        self._assembler = Assembler(self._arena, choose_engine(), self._drops, lambda: False)
        self._told = 0
        self.enclave = Enclave(folder, {"stranger.pub": CryptoSigner.generate_ed25519()})
        for number, pem in enumerate(vector["keys"].values()):
            (folder / "keys" / "signers" / f"signer{number}.pub").write_text(pem)
        self.enclave.restart()

    def receive(self, datagram: bytes) -> None:
        """As it arrives."""
        region = np.frombuffer(bytearray(datagram), np.uint8).reshape(1, -1)
        rows = self._gate.admit(region, DatagramViews(memoryview(region.reshape(-1)), len(datagram), 1), 1.0)
        if len(rows):
            self._assembler.feed(region, rows)
        while self._assembler.handed_over:
            item = self._assembler.handed_over.popleft()
            if isinstance(item, Completed):
                content = bytes(self._arena[item.offset : item.offset + item.length])
                self._assembler.release(item.offset)
                self.enclave._hand_over(item.key, content)
                self._heed()

    def _heed(self) -> None:
        """What the store says is known."""
        sent = self.enclave._slabs.sent
        for message in sent[self._told :]:
            if isinstance(message, Known):
                sizes = {(Kind.DATA, 0): message.stream_bytes, (Kind.OBJECT, 1): message.files_bytes}
                sizes |= {(Kind.OBJECT, int(ObjectType.SLABS)): message.slabs_bytes}
                done = numbers_of(message.done).tolist()
                self._assembler.know(message.bundle, Geometry(*message.geometry), sizes, done)
        self._told = len(sent)


@pytest.mark.parametrize("name", VECTORS)
def test_this_receiver_publishes_it(name: str, tmp_path: Path) -> None:
    """Byte for byte what the vector says, and besides that its own receipts."""
    vector = VECTORS[name]
    receiver = Receiver(vector, tmp_path)
    for datagram in arriving(vector):
        receiver.receive(datagram)
    receiver.enclave.tick()
    top = receiver.enclave.config.inbox.path / vector["place"]
    found = {str(path.relative_to(top)): path for path in top.rglob("*")}
    files = {name: path.read_bytes() for name, path in found.items() if path.is_file() and "receipt" not in name}
    empty = {f"{name}/": b"" for name, path in found.items() if path.is_dir() and not any(path.iterdir())}
    assert expected(vector) == files | empty
    executable = {name for name, path in found.items() if path.is_file() and path.stat().st_mode & 0o100}
    assert set(vector["executable"]) == executable


@pytest.mark.parametrize("mode", ["gmac", "aead", "none"])
def test_the_second_receiver_reads_our_sender(mode: Mode) -> None:
    """The real scheduler and encoder, over a line that loses some datagrams at random."""
    files = {f"folder/{n}": random.Random(n).randbytes(2000 + n) for n in range(5)}
    bundle = make_bundle(files, mtu=576, profile="clean")
    secret, dice = bytes(range(32)), random.Random(7)
    public = bundle.signer._private_key.public_key()
    reader = Reader([secret], mode, [public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()])
    staging = Staging([bundle], 2, mode, LinkKey.of(secret), choose_engine(), 1e6)
    reader.receive(staging.heartbeat().tobytes())
    while (step := staging.next()) is not None:
        for datagram in step[1]:
            if dice.random() > 0.03:
                reader.receive(datagram.tobytes())
    (published,) = reader.published.values()
    assert files == {path.removeprefix("data/"): data for path, data in published.items() if path.startswith("data/")}
    assert not {"tag", "session", "signed_geometry", "conflict"} & reader.drops.keys()
