"""Answers are made in threads: one that takes long holds up nobody, and many may look into one index at a time."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from diode.storage.index_file import IndexFile, write_index
from receiver.gateway.answers import Answer, text_answer
from receiver.gateway.request import Request
from receiver.gateway.server.app import Mounted, mounted
from receiver.gateway.view import LaterError, View
from tests.gateway.raw import ask
from tests.patience import PATIENCE_S
from tests.serving import Serving

CHANNELS = frozenset({"tools"})


def served(folder: Path) -> Serving:
    """One bundle, which is served."""
    found = Serving(folder, {"tools": ("trees",)})
    found.publish("tools", "one", "1", {"a": b"content"})
    return found


def test_an_answer_that_takes_long_holds_up_nobody(tmp_path: Path) -> None:
    """It ends only when others were answered, also by a snapshot that came meanwhile."""
    begun, over = threading.Event(), threading.Event()

    def slow(_: Request, view: View) -> Answer:
        begun.set()
        assert over.wait(PATIENCE_S)
        return text_answer(" ".join(one.version for one in view.bundles()))

    serving = served(tmp_path)
    mounts = [Mounted("/hub", "hub", slow, CHANNELS), *(one for one in mounted(serving.serve) if one.kind == "trees")]
    with serving.running(mounts) as base, ThreadPoolExecutor(1) as asking:
        port = int(base.rpartition(":")[2])
        late = asking.submit(ask, port, "/hub/x")
        assert begun.wait(PATIENCE_S)
        assert b"content" == ask(port, "/trees/tools/one/a").body
        serving.publish("tools", "one", "2", {"a": b"another"})
        assert b"another" == ask(port, "/trees/tools/one/a").body
        over.set()
        assert (200, b"1") == (late.result(PATIENCE_S).status, late.result().body)


def test_what_takes_long_is_asked_for_again_with_patience(tmp_path: Path) -> None:
    """The client sees one answer."""

    def later(_: Request, view: View) -> Answer:
        if not view.is_patient:
            raise LaterError
        return text_answer("there it is")

    serving = served(tmp_path)
    with serving.running([Mounted("/hub", "hub", later, CHANNELS)]) as base:
        assert b"there it is" == ask(int(base.rpartition(":")[2]), "/hub/x").body


def test_threads_do_not_read_each_other_s_rows(tmp_path: Path) -> None:
    """All use one file, by the same statement, with values of their own."""
    with write_index(tmp_path / "index.db", "CREATE TABLE t (of INTEGER, n INTEGER) STRICT;") as index:
        index.add_all("INSERT INTO t VALUES (?, ?)", ((of, n) for of in range(8) for n in range(200)))
    with closing(IndexFile(tmp_path / "index.db")) as file, ThreadPoolExecutor(8) as threads:

        def rows(of: int) -> Iterator[bool]:
            for _ in range(20):
                found = [tuple(row) for row in file.rows("SELECT of, n FROM t WHERE of = ? ORDER BY n", (of,))]
                one = file.row("SELECT of FROM t WHERE of = ? LIMIT 1", (of,))
                yield found == [(of, n) for n in range(200)] and one is not None and one["of"] == of

        assert [True] * 8 == list(threads.map(lambda of: all(rows(of)), range(8)))
