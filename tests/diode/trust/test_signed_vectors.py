"""The code does what the vectors of docs/bundle-format.md say: envelopes, manifests, tables, paths, JSON, times."""

import json
from typing import Any

import pytest

from diode.bundle.files import PathSet, parse_files
from diode.bundle.manifest import bundle_id, read_manifest
from diode.bundle.recall import read_recall, write_recall
from diode.bundle.tables import read_files
from diode.bundle.times import write_times
from diode.errors import ContentError, ManifestError, PathError
from diode.formats.canonical import canonical
from diode.formats.dsse import load_public_key, read_envelope
from diode.formats.names import MAX_MANIFEST_BYTES
from diode.formats.strict_json import read_json
from diode.formats.timestamps import check_moment
from tests.link import make_bundle
from tests.trusted import anyone
from tests.vectors import generate

VECTORS: dict[str, dict[str, dict[str, Any]]] = {
    folder: {path.stem: json.loads(path.read_text()) for path in sorted((generate.HOME / folder).glob("*.json"))}
    for folder in ("envelopes", "manifests", "recalls", "second", "tables", "texts")
}
SAMPLE = make_bundle({"a": b"1"}).manifest


def outcome(name: str, error: ContentError) -> None:
    """See that a failure is the one that its file is named after."""
    assert name.startswith(error.reason)


@pytest.mark.parametrize("name", VECTORS["envelopes"])
def test_envelopes(name: str) -> None:
    """Who has signed what, or why nobody has."""
    vector = VECTORS["envelopes"][name]
    keys = [load_public_key(pem.encode()) for pem in vector["keys"].values()]
    assert list(vector["keys"]) == [key.keyid for key in keys]
    try:
        envelope = read_envelope(bytes.fromhex(vector["envelope"]), vector["payload_type"], MAX_MANIFEST_BYTES)
        signed = anyone(keys).signatures(envelope, None)
    except ContentError as error:
        assert not vector["signed_by"]
        outcome(name, error)
        return
    assert name.startswith("good")
    assert sorted(vector["signed_by"]) == sorted(signature.key_id for signature in signed)
    assert vector["payload"] == envelope.payload.hex()


@pytest.mark.parametrize("name", VECTORS["manifests"])
def test_manifests(name: str) -> None:
    """Which payloads are a manifest, and of which bundle."""
    vector = VECTORS["manifests"][name]
    payload = bytes.fromhex(vector["payload"])
    assert int(vector["bundle"], 16) == bundle_id(payload)
    if name.startswith("good"):
        assert payload == canonical(read_manifest(payload).model_dump())
        return
    with pytest.raises(ManifestError) as caught:
        read_manifest(payload)
    outcome(name, caught.value)


@pytest.mark.parametrize("name", VECTORS["recalls"])
def test_recalls(name: str) -> None:
    """Which payloads are a recall."""
    payload = bytes.fromhex(VECTORS["recalls"][name]["payload"])
    if name.startswith("good"):
        assert payload == write_recall(read_recall(payload))
        return
    with pytest.raises(ManifestError) as caught:
        read_recall(payload)
    outcome(name, caught.value)


@pytest.mark.parametrize("name", VECTORS["tables"])
def test_tables(name: str) -> None:
    """Which files tables a manifest may name."""
    vector = VECTORS["tables"][name]
    table = bytes.fromhex(vector["table"])
    files = SAMPLE.files.model_copy(update={"entries": vector["entries"]})
    manifest = SAMPLE.model_copy(update={"files": files, "stream_bytes": vector["stream_bytes"]})
    lines = [line + b"\n" for line in table.split(b"\n")]
    lines[-1:] = [lines[-1][:-1]] if lines[-1] != b"\n" else []
    if name.startswith("good"):
        assert lines == [entry.line() for entry in parse_files(lines, manifest)]
        return
    with pytest.raises((ManifestError, PathError)) as caught:
        list(parse_files(lines, manifest))
    outcome(name, caught.value)


@pytest.mark.parametrize("name", VECTORS["second"])
def test_the_second_version(name: str) -> None:
    """Which links and times a manifest may name."""
    vector = VECTORS["second"][name]
    table, times = bytes.fromhex(vector["table"]), vector["times"]
    files = SAMPLE.files.model_copy(update={"entries": vector["entries"], "size": len(table)})
    said = {part: vector[part] for part in ("links", "times", "content", "stream_bytes")}
    manifest = SAMPLE.model_copy(update={"format": "diode-bundle-2", "files": files, **said})
    end = manifest.lines_bytes
    try:
        tables = read_files(table[:end].splitlines(keepends=True), table, manifest)
    except ContentError as error:
        outcome(name, error)
        return
    assert name.startswith("good")
    assert table == b"".join(entry.line() for entry in tables.index) + write_times(tables.times)
    assert times == len(tables.times)


@pytest.mark.parametrize("case", VECTORS["texts"]["paths"]["cases"], ids=lambda case: case["says"])
def test_paths(case: dict[str, Any]) -> None:
    """Which paths may be together; the last one is what is refused."""
    paths = PathSet()
    *others, last = case["paths"]
    for path in others:
        paths.add(path)
    if case["is_taken"]:
        paths.add(last)
        return
    with pytest.raises(PathError):
        paths.add(last)


@pytest.mark.parametrize("case", VECTORS["texts"]["canonical_json"]["cases"], ids=lambda case: ascii(case["text"])[:40])
def test_canonical_json(case: dict[str, Any]) -> None:
    """A text is canonical when it is read, and written again alike."""
    text = case["text"].encode()
    try:
        is_canonical = canonical(read_json(text)) == text
    except ValueError:
        is_canonical = False
    assert case["is_canonical"] == is_canonical


@pytest.mark.parametrize("case", VECTORS["texts"]["times"]["cases"], ids=lambda case: ascii(case["text"]))
def test_times(case: dict[str, Any]) -> None:
    """Days and seconds that there are, in one spelling."""
    if case["is_time"]:
        assert case["text"] == check_moment(case["text"])
        return
    with pytest.raises(ValueError, match="time"):
        check_moment(case["text"])


def test_limits_of_an_envelope_and_an_attestation_are_bytes() -> None:
    """An envelope one byte too long is not read, nor an attestation whose letters take two bytes each."""
    vector = VECTORS["envelopes"]["good_one_signature"]
    text = bytes.fromhex(vector["envelope"])
    longest = text + b" " * (MAX_MANIFEST_BYTES - len(text))
    assert vector["payload_type"] == read_envelope(longest, vector["payload_type"], MAX_MANIFEST_BYTES).payload_type
    with pytest.raises(ManifestError):
        read_envelope(longest + b" ", vector["payload_type"], MAX_MANIFEST_BYTES)
    for letters, is_taken in ((32768, True), (32769, False)):
        payload = canonical(SAMPLE.model_dump() | {"attestation": "é" * letters})
        if is_taken:
            assert "é" * letters == read_manifest(payload).attestation
            continue
        with pytest.raises(ManifestError):
            read_manifest(payload)
