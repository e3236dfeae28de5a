"""The table of files follows from what lies beside the data, or nothing is told."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diode.bundle.checksums import B3SUMS, SHA256SUMS
from diode.errors import BytesError
from diode.storage.folder import Folder
from receiver.catalogue.card import CardFile
from receiver.describe.table import signed_table
from receiver.messages.questions import DescribeBundle
from tests.published import publish

FILES = {"a.txt": b"one", "sub/b\\c.txt": b"two", "sub/\u00e9.bin": bytes(300), "z": b""}
LETTERS = st.sampled_from("aAb\\ \u00e9\u20ac.-'\"")
NAMES = st.text(LETTERS, min_size=1, max_size=5).filter(lambda name: name not in (".", ".."))


def table(inbox: Path, asked: DescribeBundle) -> list[CardFile]:
    """What is read of it."""
    version = Folder.open(inbox / asked.channel / asked.name / asked.version)
    return list(signed_table(version, asked.content))


def test_it_is_what_was_signed(tmp_path: Path) -> None:
    """Sizes, digests, executable files; empty folders count and are not told."""
    asked = publish(tmp_path, FILES, executable={"a.txt"}, empty={"nothing/", "sub/deep/er/"})
    assert table(tmp_path, asked) == [
        CardFile(path, len(FILES[path]), hashlib.sha256(FILES[path]).hexdigest(), is_executable=path == "a.txt")
        for path in sorted(FILES, key=str.encode)
    ]


def test_older_receivers_wrote_fewer_sums(tmp_path: Path) -> None:
    """Then each file is hashed once more."""
    asked = publish(tmp_path, FILES)
    (tmp_path / "c/org--name/v1" / B3SUMS).unlink()
    assert [*sorted(FILES, key=str.encode)] == [file.path for file in table(tmp_path, asked)]
    (tmp_path / "c/org--name/v1/data/a.txt").write_bytes(b"eno")
    with pytest.raises(BytesError):
        table(tmp_path, asked)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.sets(NAMES, max_size=6), folder=NAMES)
def test_any_name_is_read_as_it_was_written(tmp_path: Path, names: set[str], folder: str) -> None:
    """Backslashes are escaped in the lists; all else stands there as it is."""
    unique = list({name.casefold(): name for name in names}.values())
    inbox = tmp_path / os.urandom(8).hex()
    files = {f"{folder}/{name}": name.encode() for name in unique}
    asked = publish(inbox, files, empty={f"{folder} x/"})
    assert sorted(files, key=str.encode) == [file.path for file in table(inbox, asked)]


def _link(version: Path) -> None:
    (version / "data/a.txt").unlink()
    (version / "data/a.txt").symlink_to("/etc/hostname")


def _link_sums(version: Path) -> None:
    (version / SHA256SUMS).rename(version / "other")
    (version / SHA256SUMS).symlink_to("other")


def _swap(version: Path) -> None:
    lines = (version / SHA256SUMS).read_bytes().splitlines(keepends=True)
    (version / SHA256SUMS).write_bytes(b"".join(reversed(lines)))


CHANGES: dict[str, Callable[[Path], object]] = {
    "another size": lambda version: (version / "data/a.txt").write_bytes(b"four"),
    "executable": lambda version: (version / "data/a.txt").chmod(0o755),
    "gone": lambda version: (version / "data/a.txt").unlink(),
    "a link": _link,
    "a folder more": lambda version: (version / "data/more").mkdir(),
    "sums gone": lambda version: (version / SHA256SUMS).unlink(),
    "sums a link": _link_sums,
    "sums empty": lambda version: (version / SHA256SUMS).write_bytes(b""),
    "sums in another order": _swap,
    "sums of nothing": lambda version: (version / SHA256SUMS).write_bytes(b"x\n"),
    "sums outside": lambda version: (version / SHA256SUMS).write_bytes(b"a" * 64 + b"  data/../../x\n"),
    "sums elsewhere": lambda version: (version / SHA256SUMS).write_bytes(b"a" * 64 + b"  /etc/passwd\n"),
    "sums binary": lambda version: (version / SHA256SUMS).write_bytes(bytes(range(256)) * 100),
    "sums without an end": lambda version: (version / SHA256SUMS).write_bytes(b"a" * 100_000),
    "other sums": lambda version: (version / B3SUMS).write_bytes(b"a" * 64 + b"  data/b\n"),
    "data gone": lambda version: (version / "data").rename(version / "elsewhere"),
}


@pytest.mark.parametrize("how", CHANGES)
def test_nothing_is_told_of_what_was_changed(tmp_path: Path, how: str) -> None:
    """Whoever reads the inbox may have changed it."""
    asked = publish(tmp_path, FILES)
    CHANGES[how](tmp_path / "c/org--name/v1")
    with pytest.raises((BytesError, OSError)):
        table(tmp_path, asked)


def test_a_file_that_somebody_added_is_none_of_it(tmp_path: Path) -> None:
    """It was not signed, and takes nothing away from what was."""
    asked = publish(tmp_path, FILES)
    (tmp_path / "c/org--name/v1/data/added").write_bytes(b"mine")
    assert [*sorted(FILES, key=str.encode)] == [file.path for file in table(tmp_path, asked)]
