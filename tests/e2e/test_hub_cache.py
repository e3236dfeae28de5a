"""What ``huggingface_hub`` itself downloaded crosses, and the library in the enclave finds it without a network."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from diode.storage.folder import Folder
from sender.outbox.scan import Root, collect
from tests.e2e.pair import pair
from tests.hub import Commits, etag_of, hub, lay_out, share
from tests.patience import PATIENCE_S

A, B = "a" * 40, "b" * 40
WEIGHTS = bytes(range(256)) * 32
FILES = {
    ".gitattributes": b"*.safetensors filter=lfs\n",
    "README.md": b"# a model\n",
    "config.json": b"{}",
    "empty.lock": b"",
    "onnx/deep/notes.txt": b"hello",
    "onnx/same.txt": b"hello",
    "weights.bin": WEIGHTS,
}
TWO: Commits = {A: FILES, B: FILES | {"config.json": b'{"v": 2}'}}
QUIET = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1"}
DOWNLOAD = """
import json, sys, huggingface_hub
for call in json.loads(sys.argv[1]):
    huggingface_hub.snapshot_download(**call)
"""
LOAD = """
import json, sys
from pathlib import Path
from huggingface_hub import hf_hub_download, scan_cache_dir, snapshot_download
for cache, revision in json.loads(sys.argv[1]):
    given = {"cache_dir": cache, "revision": revision}
    folder = Path(snapshot_download("org/name", **given))
    assert folder == Path(snapshot_download("org/name", local_files_only=True, **given))
    assert folder / "config.json" == Path(hf_hub_download("org/name", "config.json", **given))
    assert not scan_cache_dir(cache).warnings
    print(folder)
"""

SHARE = """
import sys
from pathlib import Path
try:
    from huggingface_hub.utils._shared_blobs import publish_blob_to_shared_store as publish
except ImportError:
    sys.exit("no shared store")
cache, blob, xet = sys.argv[1:]
size = Path(blob).stat().st_size
assert publish(blob_path=blob, xet_hash=xet, cache_dir=cache, expected_size=size, replace_existing=False)
"""


def library(program: str, *arguments: str, **env: str) -> str:
    """Run the real library in a process of its own: it reads its settings once. Skips where it is not installed."""
    pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed: pip install diode[artefacts]")
    command = [sys.executable, "-c", program, *arguments]
    settings = {**{name: text for name, text in os.environ.items() if not name.startswith("HF_")}, **QUIET, **env}
    done = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert 0 == done.returncode, done.stderr
    return done.stdout


def download(*calls: dict[str, Any], commits: Commits) -> None:
    """Let the library download, from a hub on loopback."""
    with hub(dict.fromkeys(("models/org/name", "datasets/org/name", "spaces/org/name"), commits)) as endpoint:
        library(DOWNLOAD, json.dumps([{"repo_id": "org/name", "endpoint": endpoint, **call} for call in calls]))


def load(*caches: tuple[Path, str | None]) -> list[tuple[str, dict[str, bytes]]]:
    """The revision and the files that the library finds in each cache with ``HF_HUB_OFFLINE``."""
    asked = json.dumps([(str(cache), revision) for cache, revision in caches])
    folders = map(Path, library(LOAD, asked, HF_HUB_OFFLINE="1").splitlines())
    return [(folder.name, files_of(folder)) for folder in folders]


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, and what is in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def layout(folder: Path) -> dict[str, str]:
    """Every file of a cache, what its link says, or the digest of what is in it; what is not laid out here left out."""
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else etag_of(path.read_bytes())
        for path in folder.rglob("*")
        if (path.is_symlink() or path.is_file()) and path.relative_to(folder).parts[0] != "trees"
    }


def test_our_layout_is_the_librarys(tmp_path: Path) -> None:
    """What other tests lay out without the library is what the library lays out, link by link."""
    cache = {"cache_dir": str(tmp_path / "hub")}
    kinds = ("model", "dataset", "space")
    revisions = [{"repo_type": kind, "revision": commit, **cache} for kind in kinds for commit in TWO]
    download(*revisions, *({"repo_type": kind, **cache} for kind in kinds), commits=TWO)
    for kind in kinds:
        ours = lay_out(tmp_path / "ours", f"{kind}s--org--name", TWO)
        assert layout(ours) == layout(tmp_path / "hub" / f"{kind}s--org--name")


def test_our_shared_store_is_the_librarys(tmp_path: Path) -> None:
    """The link that newer versions put in a blob's place is the one that is followed for a person, and for a hub."""
    ours, theirs = (lay_out(tmp_path / side, "models--org--name", {A: FILES}) for side in ("ours", "theirs"))
    blob = f"blobs/{etag_of(WEIGHTS)}"
    name = share(ours.parent, ours / blob).name
    try:
        library(SHARE, str(theirs.parent), str(theirs / blob), name)
    except AssertionError as error:
        if "no shared store" in str(error):
            pytest.skip("this version of huggingface_hub has no shared store")
        raise
    assert (ours / blob).readlink() == (theirs / blob).readlink()
    sources = collect([theirs / "snapshots" / A], "refuse")
    assert FILES == {source.path: Path(source.origin).read_bytes() for source in sources}
    packed = {source.path for source in collect([Root(Folder.open(tmp_path), "theirs")], "refuse")}
    assert {f"models--org--name/snapshots/{A}/{file}" for file in FILES} <= packed
    assert f"blobs/{name[:2]}/{name}" not in packed


def cross(item: Path, published: Path) -> None:
    """What a receiver would publish of an item that was typed: its files by their paths in the bundle."""
    for source in collect([item], "refuse"):
        file = published / "data" / source.path
        file.parent.mkdir(parents=True, exist_ok=True)
        with source.open() as opened:
            file.write_bytes(opened.read())


@pytest.mark.long
def test_what_crosses_is_loaded_offline(tmp_path: Path) -> None:
    """The quick twin of the next one: the same caches as the library made them, and no link between two daemons."""
    cache = {"cache_dir": str(tmp_path / "home")}
    download({"revision": A, **cache}, cache, commits=TWO)
    download({"cache_dir": str(tmp_path / "hub")}, {"local_dir": str(tmp_path / "local")}, commits={B: FILES})
    repository = tmp_path / "home" / "models--org--name"
    cross(repository, tmp_path / "inbox" / "models--org--name" / "1")
    cross(repository / "snapshots" / A, tmp_path / "inbox" / "models--org--name" / A)
    for name in ("hub", "local"):
        cross(tmp_path / name, tmp_path / "inbox" / name / "1")
    check_published(tmp_path, tmp_path / "inbox")


@pytest.mark.slow
async def test_a_cache_crosses_and_is_loaded_offline(tmp_path: Path) -> None:
    """A dropped repository, a whole hub, a ``local_dir``, and a snapshot that a person typed; but no link to a key."""
    cache = {"cache_dir": str(tmp_path / "home")}
    download({"revision": A, **cache}, cache, commits=TWO)
    download({"cache_dir": str(tmp_path / "hub")}, {"local_dir": str(tmp_path / "local")}, commits={B: FILES})
    repository = tmp_path / "home" / "models--org--name"
    async with pair(tmp_path / "pair") as link:
        snapshot = str(repository / "snapshots" / A)
        assert 0 == await (await link.sender("pack", snapshot, "--channel", "hf", "--json")).ended()
        channel = link.outbox / "hf"
        channel.mkdir(parents=True)
        for name in ("hub", "local"):
            (tmp_path / name).rename(channel / f"{name}@1")
        shutil.copytree(repository, channel / "models--org--name@1", symlinks=True)
        (channel / A).mkdir()
        (channel / A / "weights.bin").symlink_to("../../../keys/service.key")
        receiver = await link.receiver("--bundles", "4", "--no-progress")
        await link.diode()
        sender = await link.sender("run", "--until-idle", "--json", "--no-progress", DIODE_OUTBOX__SETTLE_S="0")
        codes = await sender.ended(), await receiver.ended()
        reason = json.loads((link.folder / "sender/failed/.reasons/hf" / f"{A}.reason.json").read_text())
        failed = [path.name for path in (link.folder / "sender/failed/hf").iterdir()]
    assert ((3, 0), [A]) == (codes, failed)
    assert "symbolic link" in reason["detail"]
    check_published(tmp_path, link.inbox / "hf")


def check_published(folder: Path, published: Path) -> None:
    """The library finds a repository by a link from a hub's folder, and a hub as it is; others are plain folders."""
    (folder / "enclave").mkdir()
    data = published / "models--org--name" / "1" / "data"
    (folder / "enclave" / "models--org--name").symlink_to(data)
    found = load((folder / "enclave", None), (folder / "enclave", A), (published / "hub" / "1" / "data", None))
    assert [(B, TWO[B]), (A, TWO[A]), (B, FILES)] == found
    assert FILES == files_of(published / "models--org--name" / A / "data")
    assert FILES.items() <= files_of(published / "local" / "1" / "data").items()
    assert {"refs", "snapshots", "trees"} == {path.name for path in data.iterdir()}
