"""Whatever an older sender wrote is taken: recorded heartbeats, envelopes and tables, read by the strict readers."""

import json
import re
from collections import Counter
from typing import Any

import numpy as np
import pytest

from diode.bundle.files import parse_files
from diode.errors import Drop
from diode.formats.dsse import load_public_key
from diode.protocol.auth import DatagramViews
from diode.protocol.gate import Gate
from diode.protocol.link_key import LinkKey
from diode.trust.roles import open_manifest
from tests.trusted import anyone
from tests.vectors import generate

RECORDED: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text()) for path in sorted((generate.HOME / "older").glob("*.json"))
}


@pytest.mark.parametrize("name", RECORDED)
def test_heartbeats_of_an_older_sender_are_heard(name: str) -> None:
    """All of them: header and text are as they must be."""
    recorded = RECORDED[name]
    drops: Counter[Drop] = Counter()
    gate = Gate([LinkKey.of(bytes.fromhex(recorded["link_key"]))], recorded["auth"], drops)
    for datagram in map(bytes.fromhex, recorded["heartbeats"]):
        matrix = np.frombuffer(bytearray(datagram), np.uint8).reshape(1, -1)
        gate.admit(matrix, DatagramViews(memoryview(matrix.reshape(-1)), len(datagram), 1), 1.0)
    assert (len(recorded["heartbeats"]), 0) == (gate.heartbeats, drops.total())


@pytest.mark.parametrize("name", RECORDED)
def test_manifests_of_an_older_sender_are_opened(name: str) -> None:
    """By every key that signed them, and their tables are read."""
    recorded = RECORDED[name]
    trust = anyone(load_public_key(pem.encode()) for pem in recorded["keys"])
    for signatures, sealed in enumerate(map(bytes.fromhex, recorded["envelopes"]), 1):
        opened = open_manifest(sealed, trust, "2026-11-29T00:00:00Z")
        assert signatures == len(opened.signatures)
        for table in map(bytes.fromhex, recorded["tables"]):
            lines = [line + b"\n" for line in table.split(b"\n")[:-1]]
            assert opened.manifest.files.entries == len(list(parse_files(lines, opened.manifest)))


@pytest.mark.parametrize("name", RECORDED)
def test_its_fields_are_explained(name: str) -> None:
    """As those of the other vectors."""
    section = (generate.HOME / "README.md").read_text().partition("\n## `older/`")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) | {"says"} == RECORDED[name].keys()
