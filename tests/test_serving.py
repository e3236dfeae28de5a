"""The inbox that tests of the gateway serve: it may be moved from any number of threads, as answers are."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from receiver.catalogue.snapshot import Snapshot
from tests.serving import Serving


def test_pointers_are_moved_from_many_threads(tmp_path: Path) -> None:
    """No move fails, none is lost, and the snapshot that is left is a whole one of the last."""
    serving = Serving(tmp_path / "served", {"tools": ("trees",)})
    for version in ("1", "2"):
        serving.publish("tools", "one", version, {"a.txt": version})
    before = serving.generation
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: serving.promote("tools", "one", str(number % 2 + 1)), range(200)))
    with Snapshot(tmp_path / "served/index") as left:
        assert (before + 200, before + 200) == (serving.generation, left.generation)
        assert 1 == len([one for one in left.named("tools", "one") if one.is_current])
