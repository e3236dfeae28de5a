"""The rules that hold for every kind of identity material, with a kind that has little of its own."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import BinaryIO, NamedTuple, Self

import pytest

from diode.identity import check as checking
from diode.identity.check import MOST_BYTES, MOST_CHANGES, Before, RefusedMaterialError, check
from diode.identity.kept import FolderFiles, Kept, read_before
from diode.identity.material import Fault, IdentityError, Read
from diode.identity.rules import IdentityRules
from diode.layouts.source import Source, write_source
from diode.storage.folder import Folder

AT = datetime(2026, 11, 29, tzinfo=UTC)
RULES = IdentityRules(kinds=("crl", "ldif"), crl_lag_days=1.0)


class _File(NamedTuple):
    path: str
    size: int
    sha256: str = ""


class _Files:
    """Files in memory."""

    def __init__(self, content: Mapping[str, bytes]) -> None:
        self._content = dict(content)

    def table(self) -> Iterable[_File]:
        return [_File(path, len(content)) for path, content in sorted(self._content.items())]

    def get(self, path: str) -> _File | None:
        return next((file for file in self.table() if file.path == path), None)

    def open(self, path: str) -> BinaryIO:
        return BytesIO(self._content[path])

    def read(self, path: str, most: int) -> bytes:
        if len(self._content[path]) > most:
            raise ValueError("too large")
        return self._content[path]


@dataclass(frozen=True, slots=True)
class Crl(Read):
    """``-----BEGIN X509 CRL-----NUMBER:DAYS``: it is out of date so many days after AT."""

    number: int = 0

    def read(self, content: bytes, rules: IdentityRules, at: datetime) -> Self:
        number, days = (int(word) for word in content.rpartition(b"-----")[2].split(b":"))
        if AT + timedelta(days=days - rules.crl_lag_days) < at:
            raise IdentityError(Fault.EXPIRED, "out of date")
        return type(self)(AT - timedelta(days=number), ("a note",), number)

    def follow(self, before: Self | None, rules: IdentityRules) -> Sequence[str]:
        del rules
        if before is not None and before.number > self.number:
            raise IdentityError(Fault.OLDER, f"{self.number} after {before.number}")
        return [f"serial {n}" for n in range(before.number if before else 0, self.number)]


def check_deltas(crls: Mapping[str, Crl]) -> None:
    """As the real one: a delta needs its base."""
    if any(crl.number == 666 for crl in crls.values()):
        raise IdentityError(Fault.BASE, "without its base")


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("stand_in")
    module.__dict__.update(Crl=Crl, check_deltas=check_deltas)
    monkeypatch.setitem(sys.modules, "stand_in", module)
    readers = dict.fromkeys(("crl", "ldif"), ("stand_in", "Crl"))
    monkeypatch.setattr(checking, "_READERS", readers)


def crl(number: int, days: int = 10) -> bytes:
    """A file of the stand-in kind."""
    return b"-----BEGIN X509 CRL-----%d:%d" % (number, days)


def before(*numbers: int, days: int = 10) -> Before:
    """What was taken at AT: a file for each number."""
    return Before(_Files({f"{i}.crl": crl(number, days) for i, number in enumerate(numbers)}), AT)


def test_what_changed_is_told() -> None:
    """A line for each change and note, with the file's name; the oldest date counts."""
    report = check(RULES, _Files({"0.crl": crl(3), "1.crl": crl(1)}), before(2), AT)
    changes = ("0.crl: serial 2", "0.crl: a note", "1.crl: new, crl", "1.crl: serial 0", "1.crl: a note")
    assert (changes, {"crl": 2}, AT - timedelta(days=3)) == (report.changes, report.counts, report.dated)


def test_many_changes_are_cut() -> None:
    """The number of those that are not shown is."""
    report = check(RULES, _Files({"0.crl": crl(5000)}), None, AT)
    assert MOST_CHANGES + 1 == len(report.changes)
    assert "more lines" in report.changes[-1]


@pytest.mark.parametrize(
    ("files", "taken", "fault"),
    [
        ({}, None, Fault.KIND),
        ({"a": b"plain"}, None, Fault.KIND),
        ({"a": b"-----BEGIN X509 CRL-----\n-----BEGIN CERTIFICATE-----"}, None, Fault.KIND),
        ({"a": b"-----BEGIN CERTIFICATE-----"}, None, Fault.KIND),
        ({"0.crl": crl(1)}, before(2), Fault.OLDER),
        ({"0.crl": crl(1, days=0)}, None, Fault.EXPIRED),
        ({"0.crl": crl(3)}, before(2, 2), Fault.SWEEPING),
        ({"0.crl": b"dn: x-----1:10"}, before(2), Fault.KIND),
        ({"0.crl": crl(666)}, None, Fault.BASE),
        ({"source.json": b'{"keys": ["not written by us"]}'}, None, Fault.KIND),
        ({"0.crl": crl(1) + b" " * MOST_BYTES}, None, Fault.MALFORMED),
        ({f"{i}": crl(1) for i in range(checking.MOST_FILES + 1)}, None, Fault.MALFORMED),
    ],
)
def test_refused(files: dict[str, bytes], taken: Before | None, fault: Fault) -> None:
    """One word for programs, and the file's name for people."""
    with pytest.raises(RefusedMaterialError) as refused:
        check(RULES, _Files(files), taken, AT)
    assert fault is refused.value.fault


def test_what_was_taken_may_have_expired_since() -> None:
    """It was in date when it was taken, and how long it had to last then does not matter any more."""
    late = AT + timedelta(days=20)
    assert check(RULES, _Files({"0.crl": crl(3, days=30)}), before(2, days=0), late).counts == {"crl": 1}


def test_the_same_again_may_follow() -> None:
    """A bundle that is packed again after a crash is compared with its own copy."""
    assert ("0.crl: a note",) == check(RULES, _Files({"0.crl": crl(2)}), before(2), AT).changes


def test_words_of_strangers_are_shown_harmless() -> None:
    """A file's name is on one line, and bounded."""
    with pytest.raises(RefusedMaterialError) as refused:
        check(RULES, _Files({"a\n\x1b[2J" + "b" * 5000: b"plain"}), None, AT)
    assert (True, True) == (refused.value.said.isprintable(), len(refused.value.said) < 1000)


def test_our_own_source_file_is_no_material() -> None:
    """Staging writes it beside what it was given."""
    source = write_source(Source(format="diode-source-1", kind="files", name="pki"))
    assert {"crl": 1} == check(RULES, _Files({"0.crl": crl(1), "source.json": source}), None, AT).counts


def test_rules_cross_between_processes() -> None:
    """Certificates as well."""
    rules = IdentityRules(("crl", "saml"), (b"\x00\xff", b"b"), 1.5, (b"c",), 2.0, ("ES256",), "dc=x", ("cn",), 0.5, 3)
    assert rules == IdentityRules.of(rules.said())


def test_copies_are_kept_by_number(tmp_path: Path) -> None:
    """The newest is what the next one is compared with; a copy of a process that was killed counts for nothing."""
    item, kept = tmp_path / "item", Kept(tmp_path / "kept")
    (item / "deep").mkdir(parents=True)
    (item / "deep" / "0.crl").write_bytes(crl(1))
    assert 0 == kept.newest("pki", "lists")
    with Folder.open(item) as files:
        for number in (7, 9, 9):
            kept.put("pki", "lists", number, files, AT, [f"line {number}"])
    (kept.path("pki", "lists", 9).parent / "unfinished").mkdir()
    assert (9, ("line 7",), ("line 9",)) == (
        kept.newest("pki", "lists"),
        kept.changes("pki", "lists", 7),
        kept.changes("pki", "lists", 9),
    )
    kept.prune("pki", "lists", 9)
    assert () == kept.changes("pki", "lists", 7)
    with Folder.open(kept.path("pki", "lists", 9)) as folder, Folder.open(item) as files:
        last = read_before(folder)
        assert AT == last.at
        assert ("deep/0.crl: a note",) == check(RULES, FolderFiles(files), last, AT).changes
    kept.remove("pki", "lists", 9)
    assert 0 == kept.newest("pki", "lists")
