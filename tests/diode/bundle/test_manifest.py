"""Manifests and tables: what is signed is read back, and nothing else is."""

import base64
import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.signer import CryptoSigner

from diode.bundle.files import FileEntry, PathSet, parse_files, read_line
from diode.bundle.manifest import Manifest, bundle_id
from diode.errors import ContentError, ManifestError, PathError, TrustError
from diode.formats.canonical import canonical
from diode.formats.names import MAX_MANIFEST_BYTES, check_component
from diode.trust.roles import open_manifest, seal_manifest
from tests.link import make_bundle
from tests.trusted import anyone

BUNDLE = make_bundle({"a": b"1", "b/c": b"22"})
SIGNER = BUNDLE.signer
HEX = "0" * 64


def opened(sealed: bytes) -> Manifest:
    """The manifest in an envelope, by the trusted key."""
    return open_manifest(sealed, anyone([SIGNER.public_key]))[0]


def test_what_is_sealed_is_opened() -> None:
    """Manifest, payload and signer come back as they were."""
    payload, sealed = seal_manifest(BUNDLE.manifest, [SIGNER])
    trust = anyone([CryptoSigner.generate_ed25519().public_key, SIGNER.public_key])
    opened = open_manifest(sealed, trust)
    assert (BUNDLE.manifest, payload, SIGNER.public_key.keyid) == (opened.manifest, opened.payload, opened.signer)
    assert BUNDLE.number == bundle_id(payload)


def test_an_unknown_signer_is_refused() -> None:
    """A signature counts only by a key that is trusted."""
    _, sealed = seal_manifest(BUNDLE.manifest, [CryptoSigner.generate_ed25519()])
    with pytest.raises(TrustError):
        opened(sealed)


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_no_flipped_byte_goes_unnoticed(place: int, flip: int) -> None:
    """An envelope that was changed anywhere is refused, or still means exactly what was signed."""
    sealed = bytearray(seal_manifest(BUNDLE.manifest, [SIGNER])[1])
    sealed[place % len(sealed)] ^= flip
    try:
        manifest = opened(bytes(sealed))
    except ContentError:
        return
    assert BUNDLE.manifest == manifest


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "diode-bundle-2"},
        {"channel": "Upper"},
        {"channel": "../x"},
        {"name": ".."},
        {"name": "a/b"},
        {"name": ".hidden"},
        {"name": "line\nbreak"},
        {"version": "current"},
        {"version": ""},
        {"sequence": 0},
        {"sequence": 2**53 + 1},
        {"sequence": True},
        {"sequence": "1"},
        {"previous": "xyz"},
        {"stream_bytes": -1},
        {"stream_bytes": 2**53},
        {"stream_bytes": 200 * 64 * 1408 + 1},
        {"shape": {**BUNDLE.manifest.shape.model_dump(), "k": 199}},
        {"shape": {**BUNDLE.manifest.shape.model_dump(), "symbol_bytes": 1409}},
        {"files": {"entries": 10**6 + 1, "size": 5, "blake3": HEX}},
        {"files": {"entries": 1, "size": 2**30 + 1, "blake3": HEX}},
        {"slabs": {"entries": 2, "size": 64, "blake3": HEX}},
        {"surprise": 1},
    ],
)
def test_signed_nonsense_is_refused(changes: dict[str, object]) -> None:
    """Every field has bounds, signed or not."""
    payload = canonical({**json.loads(seal_manifest(BUNDLE.manifest, [SIGNER])[0]), **changes})
    with pytest.raises((ManifestError, PathError)):
        opened(envelope(payload))


def envelope(payload: bytes) -> bytes:
    """Any payload, properly signed."""
    return json.dumps(signed(payload)).encode()


def signed(payload: bytes) -> dict[str, object]:
    """A DSSE envelope around any payload."""
    from securesystemslib.dsse import Envelope

    from diode.bundle.manifest import PAYLOAD_TYPE

    made = Envelope(payload, PAYLOAD_TYPE, {})
    made.sign(SIGNER)
    return dict(made.to_dict())


@pytest.mark.parametrize("payload", [b"", b"[]", b"null", b'{"a":1}', b"[" * 5000, b"\xff", b'{"a": 1}'])
def test_signed_payloads_that_are_no_manifest_are_refused(payload: bytes) -> None:
    """A trusted signature does not make anything of it."""
    with pytest.raises(ManifestError):
        opened(envelope(payload))


def test_a_manifest_that_is_not_canonical_is_refused() -> None:
    """One manifest, one byte string: white space or another order of keys is another."""
    payload, _ = seal_manifest(BUNDLE.manifest, [SIGNER])
    with pytest.raises(ManifestError):
        opened(envelope(json.dumps(json.loads(payload), indent=1).encode()))


@pytest.mark.parametrize("sealed", [b"", b"{}", b"[]", b"{" * 9999, b"x" * (MAX_MANIFEST_BYTES + 1), b'{"payload":1}'])
def test_garbage_is_refused(sealed: bytes) -> None:
    """What is not an envelope ends in one error, whatever a parser makes of it."""
    with pytest.raises(ContentError):
        opened(sealed)


def test_another_payload_type_is_refused() -> None:
    """A signature over something else by the same key is not a manifest."""
    made = signed(seal_manifest(BUNDLE.manifest, [SIGNER])[0])
    with pytest.raises(ManifestError):
        opened(json.dumps({**made, "payloadType": "application/x"}).encode())
    assert base64.b64decode(str(made["payload"]))


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0b", "a\nb", "\x7f", "\x85", "x" * 256, "é" * 128, "\udcff"])
def test_bad_names_are_refused(name: str) -> None:
    """No component may be a way out, a control sequence, or longer than a file system takes."""
    with pytest.raises(PathError):
        check_component(name)


@pytest.mark.parametrize("name", ["a b", "文件", "x" * 255, "é" * 127, "...", "back\\slash", "-rf", "~"])
def test_odd_names_are_taken(name: str) -> None:
    """Valid UTF-8 without control characters may cross."""
    check_component(name)


@pytest.mark.parametrize(
    "paths",
    [
        ["a", "a"],
        ["a", "A"],
        ["a/b", "a"],
        ["a", "a/b"],
        ["A/x", "a/y"],
        ["stra\u00dfe", "STRASSE"],
        ["\u00e9", "e\u0301"],
        ["/etc/passwd"],
        ["../x"],
        ["a//b"],
        ["a/./b"],
        ["/".join("x" * 65)],
        ["/".join(["x" * 200] * 21)],
    ],
)
def test_paths_that_cannot_live_together_are_refused(paths: list[str]) -> None:
    """Twice the same, the same but for case or form, a file that is a directory, ways out, too deep, too long."""
    taken = PathSet()
    *first, last = paths
    for path in first:
        taken.add(path)
    with pytest.raises(PathError):
        taken.add(last)


def lines(*entries: FileEntry) -> list[bytes]:
    """A table of entries."""
    return [entry.line() for entry in entries]


A, B = FileEntry("a", 1, HEX, HEX), FileEntry("b/c", 2, HEX, HEX)


@pytest.mark.parametrize(
    "table",
    [
        lines(A),
        lines(A, B, FileEntry("d", 0, HEX, HEX)),
        lines(B, A),
        lines(A, FileEntry("b/c", 3, HEX, HEX)),
        lines(A, FileEntry("../c", 2, HEX, HEX)),
        [*lines(A), b"\n"],
        [*lines(A), b"not json\n"],
        [*lines(A), B.line().replace(b'"size":2', b'"size": 2')],
        [*lines(A), B.line().replace(b'"size":2', b'"size":-2')],
        [*lines(A), B.line().replace(b'"size":2', b'"mode":511,"size":2')],
    ],
)
def test_tables_that_do_not_add_up_are_refused(table: list[bytes]) -> None:
    """Missing, additional, unsorted, unreadable or unsafe lines."""
    with pytest.raises((ManifestError, PathError)):
        list(parse_files(table, BUNDLE.manifest))


def test_a_sound_table_is_read() -> None:
    """Lines come back as entries, in order."""
    assert [A, B] == list(parse_files(lines(A, B), BUNDLE.manifest))


@given(st.binary(max_size=200))
def test_reading_a_line_never_raises_anything_else(line: bytes) -> None:
    """Whatever a line holds, it is an entry or a ManifestError."""
    with contextlib.suppress(ManifestError):
        assert line == read_line(line).line()
