"""The committed test vectors are what the generator writes, and the code does what they say."""

import json
import re
from collections import Counter
from typing import Any

import numpy as np
import pytest

from diode.errors import Drop
from diode.protocol.assembler import Assembler
from diode.protocol.auth import DatagramViews
from diode.protocol.fec import Engine
from diode.protocol.gate import Gate
from diode.protocol.geometry import Geometry, slab_at, slab_count
from diode.protocol.handed_over import Completed
from diode.protocol.isal import IsaL, find_isal
from diode.protocol.link_key import LinkKey, Mode
from diode.protocol.runs import slice_runs
from diode.protocol.sizes import Kind
from diode.protocol.wire import headers_of
from diode.protocol.zfec_code import Zfec
from tests.vectors import datagrams as made
from tests.vectors import generate

FOLDERS = {folder: sorted((generate.HOME / folder).glob("*.json")) for folder in generate.folders()}
VECTORS: dict[str, dict[str, Any]] = {path.stem: json.loads(path.read_text()) for path in FOLDERS["wire"]}
SLABS: dict[str, dict[str, Any]] = {path.stem: json.loads(path.read_text()) for path in FOLDERS["slabs"]}


def named(part: str) -> list[str]:
    """Names of the vectors that have this field."""
    return [name for name, vector in VECTORS.items() if part in vector]


def test_the_files_are_what_the_generator_writes() -> None:
    """Nobody edited a vector by hand, or forgot to write one."""
    for folder, vectors in generate.folders().items():
        expected = {f"{name}.json": generate.text(vector) for name, vector in vectors.items()}
        assert expected == {path.name: path.read_text() for path in FOLDERS[folder]}


def receive(gate: Gate, run: bytes, drops: "Counter[Drop]") -> list[tuple[int, bytes]]:
    """Numbers and opened symbols of the datagrams of one run that ``gate`` admits."""
    region = memoryview(bytearray(run))
    admitted = []
    for piece in slice_runs(region, [len(run)], drops):
        assert 0 == piece.offset
        datagrams = np.frombuffer(region, np.uint8, piece.size * piece.count).reshape(piece.count, piece.size)
        rows = gate.admit(datagrams, DatagramViews(region, piece.size, piece.count), now=100.0)
        admitted += [(row, datagrams[row, 48:-16].tobytes()) for row in rows.tolist()]
    return admitted


@pytest.mark.parametrize("name", named("run"))
def test_a_run_meets_its_outcome(name: str) -> None:
    """What passes, with which symbols, and what is dropped for which reason."""
    vector = VECTORS[name]
    drops: Counter[Drop] = Counter()
    gate = Gate([LinkKey.of(bytes.fromhex(key)) for key in vector["link_keys"]], vector["auth"], drops)
    for datagram in vector["before"]:
        receive(gate, bytes.fromhex(datagram), drops)
    before = gate.heartbeats
    assert (len(vector["before"]), 0) == (before, drops.total())
    admitted = receive(gate, bytes.fromhex(vector["run"]), drops)
    assert list(zip(vector["accepted"], map(bytes.fromhex, vector["symbols"]), strict=True)) == admitted
    assert vector["heartbeats"] == gate.heartbeats - before
    assert vector["drops"] == {str(reason): count for reason, count in drops.items() if count}


@pytest.mark.parametrize("name", [name for name in named("run") if VECTORS[name]["drops"]])
def test_a_vector_of_a_drop_is_named_after_it(name: str) -> None:
    """One failure per file; a name that is none of the reasons says what is special."""
    [reason] = VECTORS[name]["drops"]
    assert name.startswith(reason) or name == "first_failure_names_the_drop"


class Slabs:
    """A receiver's memory, as a vector of ``slabs/`` goes through it."""

    def __init__(self, vector: dict[str, Any]) -> None:
        self._drops: Counter[Drop] = Counter()
        key_ids = headers_of(np.frombuffer(bytes.fromhex(vector["heartbeat"]), np.uint8).reshape(1, -1))["key_id"]
        self._gate = Gate([LinkKey(bytes(32), int(key_ids[0]))], "none", self._drops)
        self._arena = np.zeros(vector["memory_bytes"], np.uint8)
        self._assembler = Assembler(self._arena, engines()[0], self._drops, lambda: False)
        self.step({"received": vector["heartbeat"]})

    def step(self, step: dict[str, Any]) -> tuple[dict[str, int], list[dict[str, Any]]]:
        """What was dropped, and what was completed."""
        before = self._drops.copy()
        match step:
            case {"received": run}:
                self._receive(bytes.fromhex(run))
            case {"verified": signed}:
                shape = Geometry(*(signed["shape"][name] for name in ("symbol_bytes", "columns", "k", "r")))
                sizes = {(Kind.DATA, 0): signed["stream_bytes"]}
                sizes |= {(Kind.OBJECT, 1): signed["files_bytes"], (Kind.OBJECT, 2): signed["slabs_bytes"]}
                self._assembler.know(int(signed["bundle"], 16), shape, sizes, signed["stored"])
            case {"ended": over}:
                self._assembler.finish(int(over["bundle"], 16), Drop(over["outcome"]))
        return {str(drop): n - before[drop] for drop, n in self._drops.items() if n != before[drop]}, self._complete()

    def _receive(self, run: bytes) -> None:
        region = memoryview(bytearray(run))
        for piece in slice_runs(region, [len(run)], self._drops):
            datagrams = np.frombuffer(region, np.uint8).reshape(piece.count, piece.size)
            rows = self._gate.admit(datagrams, DatagramViews(region, piece.size, piece.count), now=100.0)
            if len(rows):
                self._assembler.feed(datagrams, rows)

    def _complete(self) -> list[dict[str, Any]]:
        found = []
        while self._assembler.handed_over:
            item = self._assembler.handed_over.popleft()
            if isinstance(item, Completed):
                content = bytes(self._arena[item.offset : item.offset + item.length]).hex()
                found.append(
                    {"kind": item.key.kind, "flags": item.key.flags, "slab": item.key.number, "bytes": content}
                )
                self._assembler.release(item.offset)
        return found


@pytest.mark.parametrize("name", SLABS)
def test_a_receivers_memory_meets_its_outcome(name: str) -> None:
    """Each step of a vector drops what it says, and completes the slabs that it says."""
    receiver = Slabs(SLABS[name])
    for step in SLABS[name]["steps"]:
        assert (step["drops"], step["complete"]) == receiver.step(step)


@pytest.mark.parametrize("name", SLABS)
def test_a_vector_of_slabs_is_named_after_its_drop(name: str) -> None:
    """One failure per file."""
    drops = [reason for step in SLABS[name]["steps"] for reason in step["drops"]]
    assert drops == [] if name.startswith("good") else len(drops) == 1 and name.startswith(drops[0])


@pytest.mark.parametrize("name", named("session_keys"))
def test_derived_keys(name: str) -> None:
    """Key id, session keys and heartbeat keys of a link key."""
    vector = VECTORS[name]
    key = LinkKey.of(bytes.fromhex(vector["link_key"]))
    assert vector["key_id"] == key.key_id
    assert vector["session_keys"] == {s: key.session_key(int(s, 16)).hex() for s in vector["session_keys"]}
    ciphers = vector["heartbeat_cipher_keys"]
    assert ciphers == {s: key.heartbeat_cipher_key(int(s, 16)).hex() for s in ciphers}
    modes: tuple[Mode, ...] = ("gmac", "aead")
    assert vector["heartbeat_mac_keys"] == {mode: key.heartbeat_mac_key(mode).hex() for mode in modes}


def engines() -> list[Engine]:
    """Those that are installed."""
    try:
        return [Zfec(), IsaL(find_isal())]
    except OSError:
        return [Zfec()]


@pytest.mark.parametrize("name", named("repair"))
def test_repair_rows_and_what_they_restore(name: str) -> None:
    """Every engine has the vector's repair rows, and gets the lost source rows back from them."""
    vector = VECTORS[name]
    k, lost = vector["k"], vector["lost"]
    source = np.array([list(bytes.fromhex(row)) for row in vector["source"]], dtype=np.uint8)
    numbers = [int(number) for number in vector["repair"]]
    for engine in engines():
        rows = np.zeros((256, source.shape[1]), dtype=np.uint8)
        rows[:k] = source
        engine.encode(rows[:k], rows[k:])
        assert list(vector["repair"].values()) == [rows[number].tobytes().hex() for number in numbers]
        have = np.zeros((256, 1), dtype=np.bool_)
        have[[*range(k), *numbers]] = True
        have[lost] = False
        rows[lost] = 0
        engine.restore(rows[:, None, :], have, k)
        assert np.array_equal(source, rows[:k])


@pytest.mark.parametrize("name", named("cases"))
def test_tails(name: str) -> None:
    """The last slab of each stream has the vector's length and shape."""
    for case in VECTORS[name]["cases"]:
        full = Geometry(case["symbol_bytes"], *case["full"])
        slab = slab_at(full, case["total"], case["slab"], is_object=case["is_object"])
        assert case["slab"] == slab_count(full, case["total"]) - 1
        shape = [slab.shape.columns, slab.shape.k, slab.shape.r]
        assert (case["length"], case["shape"], case["source_symbols"]) == (slab.length, shape, slab.source_symbols)


def test_the_generator_and_the_code_lay_a_header_out_alike() -> None:
    """A header packed by the generator reads back by the code's record."""
    header = headers_of(np.frombuffer(made.data(), np.uint8).reshape(1, -1))[0]
    assert (made.SESSION, made.BUNDLE, 3, 2 * 64 + 7, made.S, 64, 200) == tuple(
        int(header[name]) for name in ("session", "bundle", "slab", "symbol", "symbol_bytes", "columns", "k")
    )


def keys_of(value: Any) -> set[str]:
    """Names of fields in a vector; keys that are data (reasons, numbers, sessions, key ids) are none."""
    if isinstance(value, list):
        return set().union(*map(keys_of, value))
    if not isinstance(value, dict):
        return set()
    inner = {name: item for name, item in value.items() if name not in DATA}
    return {*value} | keys_of([*inner.values()])


DATA = {"drops", "repair", "session_keys", "heartbeat_mac_keys", "heartbeat_cipher_keys", "keys", "files"}


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_field_is_explained(folder: str) -> None:
    """The README's section on a folder has a row for each field of its files, and none besides."""
    section = (generate.HOME / "README.md").read_text().partition(f"\n## `{folder}/`")[2].partition("\n## ")[0]
    explained = set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
    fields = set().union(*(keys_of(json.loads(path.read_text())) for path in FOLDERS[folder]))
    assert explained | {"says"} == fields


def test_no_file_lies_beside_the_scenarios() -> None:
    """The folders hold vectors only."""
    for folder in FOLDERS:
        assert [] == [path for path in (generate.HOME / folder).iterdir() if path.suffix != ".json"]
