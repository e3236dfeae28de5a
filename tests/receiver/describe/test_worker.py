"""The worker that looks into bundles: whatever takes its child over has one bundle to lie about, and nothing else."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from diode.errors import MessageError
from diode.process.workers import Mailbox, Worker
from receiver.catalogue.card import Card
from receiver.catalogue.search import SEARCH, SEARCH_FILE, Search
from receiver.catalogue.snapshot import CARDS
from receiver.describe.worker import PLAIN
from receiver.messages.questions import (
    DESCRIBE_SAYS,
    DESCRIBE_TO_STORE,
    STORE_TO_DESCRIBE,
    DescribeBundle,
    DescribedBundle,
)
from receiver.settings import DescribeSettings
from tests.patience import PATIENCE_S
from tests.published import BUILT, publish
from tests.receiver.describe.misbehaving import ENDS
from tests.sandbox.attacks import ATTACKS

REFUSED = {"EPERM", "EACCES"}
FILES = {"a.txt": b"one"}


class Asking:
    """As ``store`` asks."""

    def __init__(self, mailbox: Mailbox, worker: Worker) -> None:
        self.mailbox = mailbox
        self.worker = worker

    def __call__(self, asked: DescribeBundle) -> DescribedBundle:
        """The last word on a bundle; nothing is claimed in these tests."""
        self.mailbox.send(asked)
        said = self.mailbox.receive(PATIENCE_S)
        assert isinstance(said, DescribedBundle)
        return said


@contextmanager
def worker(folder: Path, module: str = "receiver.describe.worker") -> Iterator[Asking]:
    """A real one."""
    (folder / "inbox").mkdir(exist_ok=True)
    (asked_read, asked_write), (read, write) = os.pipe(), os.pipe()
    settings = DescribeSettings(str(folder / "inbox"), str(folder / "index"), asked_read, write)
    started = Worker(module, settings, (asked_read, write), says=DESCRIBE_SAYS)
    for fd in (asked_read, write):
        os.close(fd)
    try:
        yield Asking(Mailbox(read, asked_write, hears=DESCRIBE_TO_STORE, says=STORE_TO_DESCRIBE), started)
    finally:
        for fd in (asked_write, read):
            os.close(fd)
        started.close()


def paths_in(folder: Path, bundle: str) -> list[str]:
    """The files of a bundle, by its card."""
    with closing(Card(folder / "index" / CARDS / f"{bundle}.db")) as card:
        return [file.path for file in card.files()]


def test_a_card_is_written_for_each_bundle(tmp_path: Path) -> None:
    """Readable for who serves it; nothing is left beside it, also of an earlier run; and it can be searched."""
    (tmp_path / "index" / CARDS / ".0123456789abcdef").mkdir(parents=True)
    first = publish(tmp_path / "inbox", FILES, sequence=1)
    second = publish(tmp_path / "inbox", {"b.txt": b"two"}, place=("c", "org--name", "v2"), sequence=2)
    with worker(tmp_path) as ask:
        assert (BUILT, "built", "") == (ask(first).dated, ask(second).dated_by, ask(first).problem)
    assert (["a.txt"], ["b.txt"]) == (paths_in(tmp_path, first.bundle), paths_in(tmp_path, second.bundle))
    cards = tmp_path / "index" / CARDS
    assert {f"{first.bundle}.db", f"{second.bundle}.db"} == {path.name for path in cards.iterdir()}
    assert 0o644 == (cards / f"{first.bundle}.db").stat().st_mode & 0o777
    assert (tmp_path / "index" / SEARCH / SEARCH_FILE).exists()
    assert [second.bundle] == [hit.bundle for hit in Search(tmp_path / "index").find("b.txt").hits]


@pytest.mark.long
def test_a_child_that_misbehaves_costs_one_bundle_its_names(tmp_path: Path) -> None:
    """It has a plain card, what happened is told, and the worker goes on with the next one."""
    (tmp_path / "index" / CARDS).mkdir(parents=True)
    with worker(tmp_path, "tests.receiver.describe.misbehaving") as ask:
        for sequence, how in enumerate(ENDS, 1):
            asked = publish(tmp_path / "inbox", FILES, place=("c", how, "v1"), sequence=sequence)
            said = ask(asked)
            assert (BUILT, True) == (said.dated, said.problem.endswith(PLAIN)), (how, said)
            assert ["a.txt"] == paths_in(tmp_path, asked.bundle)
        fine = publish(tmp_path / "inbox", FILES, place=("c", "fine", "v1"), sequence=100)
        assert "" == ask(fine).problem
        assert ask.worker.process.poll() is None
    left = {path.name for path in (tmp_path / "index" / CARDS).iterdir()}
    assert (len(ENDS) + 1, False) == (len(left), "fedcba9876543210.db" in left)


def test_a_bundle_that_was_taken_away_is_not_described(tmp_path: Path) -> None:
    """Nor one that was changed, nor one behind a link: there is no card, and the reason is told."""
    gone = publish(tmp_path / "elsewhere", FILES, place=("c", "gone", "v1"), sequence=1)
    changed = publish(tmp_path / "inbox", FILES, place=("c", "changed", "v1"), sequence=2)
    (tmp_path / "inbox/c/changed/v1/data/a.txt").write_bytes(b"four")
    linked = publish(tmp_path / "elsewhere", FILES, place=("c", "linked", "v1"), sequence=3)
    (tmp_path / "inbox/c/linked").symlink_to(tmp_path / "elsewhere/c/linked")
    with worker(tmp_path) as ask:
        said = [ask(asked) for asked in (gone, changed, linked)]
    assert ["", "", ""] == [one.dated for one in said]
    assert "does not lie in the inbox" in said[0].problem
    assert "the table of files that was signed" in said[1].problem
    assert [] == list((tmp_path / "index" / CARDS).iterdir())


@pytest.mark.parametrize("name", ["..", ".", "a/b", "/etc"])
def test_a_name_is_no_path(tmp_path: Path, name: str) -> None:
    """Whoever asks for another place gets nothing of it."""
    asked = publish(tmp_path / "inbox", FILES)
    with worker(tmp_path) as ask:
        assert "" == ask(replace(asked, name=name)).dated
        assert "" == ask(replace(asked, version=name)).dated
        assert BUILT == ask(asked).dated


def test_who_asks_for_what_is_no_bundle_is_not_answered(tmp_path: Path) -> None:
    """A question names a bundle by its id; any other ends the worker, and it says so."""
    asked = publish(tmp_path / "inbox", FILES)
    with pytest.raises(ValueError, match="no text like"):
        STORE_TO_DESCRIBE.encode(replace(asked, bundle="../../keys"))
    line = STORE_TO_DESCRIBE.encode(asked).replace(asked.bundle.encode(), b"../../../../keys")
    with worker(tmp_path) as ask:
        os.write(ask.mailbox.write_fd, line + b"\n")
        assert 1 == ask.worker.process.wait(timeout=PATIENCE_S)
        assert "DescribeBundle" == list(ask.worker.mailbox.drain())[-1].kind


def test_what_is_taken_over_can_do_nothing(tmp_path: Path) -> None:
    """Dozens of attacks from inside the real child: no key, no other bundle or card, no network, no way out."""
    other = publish(tmp_path / "inbox", {"x": b"secret"}, place=("c", "other", "v1"))
    files = [
        *(tmp_path / "keys/service.key", tmp_path / "inbox/.diode/spool/x", tmp_path / "inbox/c/other/v1/data/x"),
        *(tmp_path / "index/snapshot.db", tmp_path / "index" / CARDS / f"{other.bundle}.db"),
    ]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("secret")
    paths = [*map(str, files), "/etc/shadow", "/etc/passwd", "/proc/self/environ", "/proc/1/cmdline"]
    asked = publish(tmp_path / "inbox", {"attacks.json": json.dumps(paths).encode()})
    expected = {*ATTACKS["receiver.describe.worker"], *paths, *(f"write {file}" for file in files)}
    with worker(tmp_path, "tests.sandbox.taken_describe") as ask:
        ask(asked)
        said = b""
        deadline = time.monotonic() + PATIENCE_S
        while said.count(b"\n") < len(expected):
            assert time.monotonic() < deadline, said
            said += os.read(ask.worker.log_fd, 65536)
    outcomes = {one["attack"]: one["outcome"] for one in map(json.loads, said.decode().splitlines())}
    assert expected == outcomes.keys()
    assert {} == {name: what for name, what in outcomes.items() if what not in REFUSED}


def test_a_worker_that_lies_is_known(tmp_path: Path) -> None:
    """By what it may not say, or by half a word."""
    read, write = os.pipe()
    mailbox = Mailbox(read, write, hears=DESCRIBE_TO_STORE, says=STORE_TO_DESCRIBE)
    os.write(write, b'{"say":"Published","bundle":"0123456789abcdef"}\n')
    with pytest.raises(MessageError):
        mailbox.receive()
    for fd in (read, write):
        os.close(fd)
