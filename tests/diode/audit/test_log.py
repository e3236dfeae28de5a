"""The audit log: whatever is done to it is found, and whoever appends keeps one chain."""

import fcntl
import json
import os
import random
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st
from securesystemslib.signer import CryptoSigner

from diode.audit.chain import FACTS, GENESIS, MAX_LINE_BYTES, Entry, LogCheckpoint, What, bounded, read_line
from diode.audit.facts import unix_user
from diode.audit.log import AuditLog
from diode.audit.segments import segments
from diode.audit.verify import checkpoints_heard, entries_of, newest_entries, read_service_keys, verify
from diode.errors import IntegrityError, SignatureError, UsageError
from diode.formats.digest import digest
from diode.formats.dsse import load_signer
from diode.trust.keys import new_signing_key
from tests.diode.audit.lines import lines_of
from tests.patience import PATIENCE_S


def rewrite(folder: Path, lines: list[bytes]) -> None:
    """Put them there instead."""
    (folder / "audit-000001.jsonl").write_bytes(b"".join(lines))


def test_an_entry_says_who_what_and_when(folder: Path, keys: list[Ed25519PublicKey]) -> None:
    """Nothing more than what is known is in a line; the first has no line before it."""
    first = json.loads(lines_of(folder)[0])
    facts = {"n": 1, "side": "sender", "who": unix_user(), "what": "sent", "bundle": "0" * 16}
    place = {"channel": "cve", "name": "item0", "version": "1", "prev": GENESIS}
    assert facts | place == {name: first[name] for name in first if name not in ("at", "sig")}
    found = verify(folder, keys)
    assert (9, digest(lines_of(folder)[-1][:-1]).hex()) == found.head
    assert (1, "sender", 1, []) == (found.first, found.side, found.files, found.repairs)


def changed(lines: list[bytes]) -> list[bytes]:
    """An entry says something else."""
    return [line.replace(b"item4", b"item5") for line in lines]


def swapped(lines: list[bytes]) -> list[bytes]:
    """Two change places."""
    return [*lines[:3], lines[4], lines[3], *lines[5:]]


def re_chained(lines: list[bytes]) -> list[bytes]:
    """An entry is changed by somebody who can compute digests, and all that follow are adapted."""
    prev, made = GENESIS, []
    for line in changed(lines):
        made.append(read_line(line[:-1]).model_copy(update={"prev": prev}).line + b"\n")
        prev = digest(made[-1][:-1]).hex()
    return made


TAMPERED: dict[str, tuple[Callable[[list[bytes]], list[bytes]], int, type[Exception]]] = {
    "changed": (changed, 5, SignatureError),
    "removed": (lambda lines: [*lines[:4], *lines[5:]], 5, IntegrityError),
    "first removed": (lambda lines: lines[1:], 1, IntegrityError),
    "swapped": (swapped, 4, IntegrityError),
    "duplicated": (lambda lines: [*lines[:4], lines[3], *lines[4:]], 5, IntegrityError),
    "re-chained": (re_chained, 5, SignatureError),
    "signature taken off": (
        lambda lines: [*lines[:8], read_line(lines[8][:-1]).model_copy(update={"sig": None}).line + b"\n"],
        *(9, SignatureError),
    ),
    "signature spelt otherwise": (
        lambda lines: [*lines[:8], re.sub(rb"[AQgw]==", lambda end: bytes([end[0][0] + 1]) + b"==", lines[8])],
        *(9, IntegrityError),
    ),
    "too long": (
        lambda lines: [*lines[:4], b'{"a":"' + b"a" * MAX_LINE_BYTES + b'"}\n', *lines[4:]],
        5,
        IntegrityError,
    ),
    "torn": (lambda lines: [*lines[:8], lines[8][:40]], 9, IntegrityError),
    "binary junk": (lambda lines: [*lines[:4], random.Random(1).randbytes(300), b"\n", *lines[4:]], 5, IntegrityError),
    "empty line": (lambda lines: [*lines[:4], b"\n", *lines[4:]], 5, IntegrityError),
    "another field": (
        lambda lines: [*lines[:4], lines[4].replace(b'"n":5', b'"m":1,"n":5'), *lines[5:]],
        5,
        IntegrityError,
    ),
    "white space": (lambda lines: [*lines[:4], lines[4].replace(b'"n":5', b'"n": 5'), *lines[5:]], 5, IntegrityError),
    "a name twice": (
        lambda lines: [*lines[:4], lines[4].replace(b'"n":5', b'"n":5,"n":5'), *lines[5:]],
        5,
        IntegrityError,
    ),
    "deep": (lambda lines: [*lines[:4], b"[" * 9000 + b"\n", *lines[5:]], 5, IntegrityError),
    "half a character": (
        lambda lines: [*lines[:4], lines[4].replace(b"item4", rb"\ud800"), *lines[5:]],
        *(5, IntegrityError),
    ),
    "another side": (
        lambda lines: [*lines[:4], lines[4].replace(b"sender", b"receiver"), *lines[5:]],
        5,
        IntegrityError,
    ),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_the_first_wrong_line_is_named(name: str, folder: Path, keys: list[Ed25519PublicKey]) -> None:
    """Whatever is changed, taken out, put in or moved."""
    tamper, number, kind = TAMPERED[name]
    rewrite(folder, tamper(lines_of(folder)))
    with pytest.raises(kind, match=rf"audit-000001\.jsonl:{number}: "):
        verify(folder, keys)


def test_another_key_signed(folder: Path, keys: list[Ed25519PublicKey], tmp_path: Path) -> None:
    """A log by another service key is not this side's, unless that key is given, too."""
    (tmp_path / "other.pub").write_bytes(new_signing_key()[1])
    other = read_service_keys([tmp_path / "other.pub"])
    with pytest.raises(SignatureError, match=r":1: entry 1 has a wrong signature"):
        verify(folder, other)
    assert verify(folder, other + keys).head.n == 9


def test_a_fork_shows_in_the_heads_that_were_heard(folder: Path, signer: CryptoSigner, tmp_path: Path) -> None:
    """Two logs with the same numbers, both signed: the other side knows which one was spoken of."""
    fork = AuditLog(tmp_path / "fork", "sender", signer)
    for _ in range(9):
        fork.append(What.SENT, bundle="f" * 16)
    enclave = AuditLog(tmp_path / "enclave", "receiver", None)
    enclave.append(What.PEER_HEAD, head=verify(folder, []).head)
    heads = checkpoints_heard(enclave.folder)
    assert verify(folder, [], heads).heads == 1
    with pytest.raises(IntegrityError, match=r":9: the other side heard of another entry 9"):
        verify(fork.folder, [], heads)
    rewrite(folder, lines_of(folder)[:7])
    with pytest.raises(IntegrityError, match="ends with entry 7; the other side heard of entry 9: the end was cut off"):
        verify(folder, [], heads)


def test_segments_hold_one_chain(signer: CryptoSigner, keys: list[Ed25519PublicKey], tmp_path: Path) -> None:
    """It goes on across files. One file alone is verified from its first entry; one that is missing is noticed."""
    log = AuditLog(tmp_path / "audit", "receiver", signer, segment_bytes=600)
    for _ in range(12):
        log.append(What.STARTED)
    files = segments(log.folder)
    assert len(files) > 3
    assert ([*range(1, 13)], len(files)) == (
        [entry.n for entry in entries_of(log.folder)],
        verify(log.folder, keys).files,
    )
    assert verify(files[1], keys).first > 1
    files[1].unlink()
    with pytest.raises(IntegrityError, match="segment 2 is missing"):
        verify(log.folder, keys)
    files[0].unlink()
    with pytest.raises(IntegrityError, match="segment 1 is missing"):
        verify(log.folder, keys)


def test_the_newest_entries_are_read_from_as_few_files_as_hold_them(signer: CryptoSigner, tmp_path: Path) -> None:
    """An older one may be damaged, or huge."""
    log = AuditLog(tmp_path / "audit", "receiver", signer, segment_bytes=600)
    for _ in range(12):
        log.append(What.STARTED)
    files = segments(log.folder)
    everything = list(entries_of(log.folder))
    for count in (1, 2, 5, 12, 99):
        assert everything[-count:] == newest_entries(log.folder, count)
    assert list(entries_of(files[1]))[-1:] == newest_entries(files[1], 1)
    files[0].write_bytes(b"junk")
    assert everything[-5:] == newest_entries(log.folder, 5)
    with pytest.raises(IntegrityError, match=r"audit-000001\.jsonl:1: "):
        newest_entries(log.folder, 12)


def test_a_line_that_is_being_written_is_waited_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Verifying a log in use: a writer holds the folder until its line is whole."""
    path = folder / "audit-000001.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    waited = []

    def flock(fd: int, how: int) -> None:
        waited.append((os.readlink(f"/proc/self/fd/{fd}"), how))
        path.write_bytes(whole)

    monkeypatch.setattr(fcntl, "flock", flock)
    assert 9 == verify(folder, []).head.n
    assert [(str(folder), fcntl.LOCK_SH)] == waited


WRITER = """
import sys
from pathlib import Path
from typing import Any
from diode.audit.log import AuditLog
from diode.audit.chain import What
log = AuditLog(Path(sys.argv[1]), "sender", None, segment_bytes=20_000)
for number in range(100):
    log.append(What.SENT, name=sys.argv[2], version=str(number))
"""


@pytest.mark.long
def test_processes_that_append_at_once_keep_one_chain(tmp_path: Path) -> None:
    """Four writers, and segments that are closed meanwhile: each entry is there once, each writer's in order."""
    command = [sys.executable, "-c", WRITER, str(tmp_path / "audit")]
    writers = [subprocess.Popen([*command, f"writer{n}"]) for n in range(4)]
    assert [0] * 4 == [writer.wait(PATIENCE_S) for writer in writers]
    entries = list(entries_of(tmp_path / "audit"))
    assert [*range(1, 401)] == [entry.n for entry in entries]
    for n in range(4):
        assert [*map(str, range(100))] == [entry.version for entry in entries if entry.name == f"writer{n}"]
    assert verify(tmp_path / "audit", []).files > 3


@pytest.mark.long
def test_a_long_log_takes_little_memory(tmp_path: Path) -> None:
    """A hundred thousand entries are verified line by line."""
    prev, path = GENESIS, tmp_path / "audit-000001.jsonl"
    fields = {"at": "2026-01-01T00:00:00Z", "side": "sender", "who": "diode:998", "what": What.SENT}
    with path.open("wb") as file:
        for n in range(1, 100_001):
            line = Entry.model_validate(fields | {"n": n, "prev": prev}).line
            prev = digest(line).hex()
            file.write(line + b"\n")
    tracemalloc.start()
    assert verify(path, []).head == (100_000, prev)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 << 20


@settings(max_examples=200)
@given(st.text(st.characters(), max_size=900), st.sampled_from(sorted(FACTS)))
def test_any_text_makes_a_sound_line(text: str, field: str) -> None:
    """It is cut to size and stays one line, whatever is in it."""
    fields = {"n": 1, "at": "2026-01-01T00:00:00Z", "side": "sender", "who": "?", "what": What.SENT, "prev": GENESIS}
    entry = Entry.model_validate(fields | {field: bounded(text or "?", FACTS[field])})
    assert (entry, 0) == (read_line(entry.line), entry.line.count(b"\n"))
    assert not any(byte < 0x20 for byte in entry.line)


def test_the_longest_line_is_short_enough() -> None:
    """Every text as long as it may be, and escaped."""
    fields = {
        "n": 1 << 53,
        "at": "2026-01-01T00:00:00Z",
        "side": "receiver",
        "what": What.PEER_BACKWARDS,
        "prev": GENESIS,
    }
    texts = {name: "\1" * most for name, most in FACTS.items()}
    facts = {"digest": GENESIS, "head": LogCheckpoint(1, GENESIS), "again": True, "sig": f"{'A' * 86}=="}
    line = Entry.model_validate(fields | texts | facts).line
    assert MAX_LINE_BYTES > len(line)


def test_what_is_no_log(tmp_path: Path) -> None:
    """A folder without segments, a file that is not there, a key that is none."""
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(UsageError):
            verify(path, [])
    (tmp_path / "key.pub").write_bytes(b"no key")
    with pytest.raises(UsageError, match="no public key"):
        read_service_keys([tmp_path / "key.pub"])


def test_a_key_makes_a_signer(folder: Path, keys: list[Ed25519PublicKey]) -> None:
    """Entries of before there was a key are not signed, and that is found."""
    AuditLog(folder, "sender", None).append(What.STOPPED)
    AuditLog(folder, "sender", load_signer(new_signing_key()[0])).append(What.STARTED)
    with pytest.raises(SignatureError, match=":10: entry 10 is not signed"):
        verify(folder, keys)
    assert verify(folder, []).head.n == 11


def test_a_head_that_is_told_is_durable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process may have died before its sync: whoever tells of its entry syncs first, once."""
    log, synced = AuditLog(folder, "sender", None), list[str]()
    monkeypatch.setattr(os, "fdatasync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))
    heads = [log.head(), log.head()]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(AuditLog, "_write", lambda self, path, end, data, was_torn: path.open("ab").write(data))
        AuditLog(folder, "sender", None).append(What.STOPPED)
    heads.append(log.head())
    assert [9, 9, 10] == [head.n for head in heads if head]
    assert [str(folder / "audit-000001.jsonl")] * 2 == synced


def test_a_head_of_our_own_is_not_synced_twice(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has just written an entry knows it, until somebody else writes one."""
    log, synced = AuditLog(folder, "sender", None), list[int]()
    monkeypatch.setattr(os, "fdatasync", synced.append)
    log.append(What.STOPPED)
    own = log.head()
    assert (10, 1) == (own and own.n, len(synced))
    AuditLog(folder, "sender", None).append(What.STARTED)
    other = log.head()
    assert (11, 3) == (other and other.n, len(synced))
