"""Stores that are file systems: what is refused, what stays as it was, what the real library says of a cache."""

import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from diode.config.ingest import FolderTarget, HubCacheTarget
from diode.errors import FullError, IntegrityError, ManifestError, PolicyError, ReplayError, StorageError
from receiver.gateway.server.app import Gateway, mounted
from receiver.ingest.item import Item
from receiver.ingest.kinds import open_target
from receiver.ingest.work import Work
from tests.clients import run
from tests.enclave import Enclave
from tests.receiver.ingest.scenes import (
    BY_HUB,
    CHANNEL,
    NAME,
    TARGET,
    files_of,
    item_of,
    lawful,
    line_of,
    publish,
    shape,
    two_versions,
    work_at,
)
from tests.serving import listening


def test_links_are_made_after_all_files(tmp_path: Path) -> None:
    """They say what was signed; a link that somebody changed is found before anything is seen."""
    with two_versions(tmp_path / "receiver", f'{BY_HUB}links = "keep"\n') as enclave:
        publish(enclave, 3, links={"nested/up": "../run.sh", "shortcut": "nested/", "void2": "./void"})
        work = directory(enclave, tmp_path)
        push(work, item_of(enclave, "v3"))
        place = tmp_path / "store" / CHANNEL / NAME / "v3"
        assert ["../run.sh", "nested/", "./void"] == [
            os.readlink(place / name) for name in ("nested/up", "shortcut", "void2")
        ]
        with item_of(enclave, "v3").data:
            assert "same" == work.target.look(item_of(enclave, "v3")).state
        (place / "void2").unlink()
        (place / "void2").symlink_to("/etc/passwd")
        found = work.target.look(item_of(enclave, "v3"))
        assert ("other", True) == (found.state, found.digest != found.wanted)
        kept = cache(enclave, tmp_path)
        push(kept, item_of(enclave, "v3"))  # a cache holds files, and its own links to them


@pytest.fixture
def enclave(tmp_path: Path) -> Iterator[Enclave]:
    """Two versions; the second is in use."""
    with two_versions(tmp_path / "receiver") as made:
        yield made


def directory(enclave: Enclave, tmp_path: Path) -> Work:
    """A target of the kind ``dir``."""
    (tmp_path / "store").mkdir(exist_ok=True)
    return work_at(enclave, FolderTarget(kind="dir", path=tmp_path / "store", channels=(CHANNEL,)), tmp_path / "state")


def cache(enclave: Enclave, tmp_path: Path) -> Work:
    """A target of the kind ``hf-cache``."""
    (tmp_path / "hub").mkdir(exist_ok=True)
    return work_at(
        enclave, HubCacheTarget(kind="hf-cache", path=tmp_path / "hub", channels=(CHANNEL,)), tmp_path / "s2"
    )


def push(work: Work, item: Item, *, replace: bool = False) -> tuple[str, ...]:
    """The command."""
    with item.data:
        return work.do(item, lawful, may_replace=replace).steps


def test_a_folder_holds_what_was_signed(enclave: Enclave, tmp_path: Path) -> None:
    """Every file with its mode, empty folders, and a link to what is in use; nothing else."""
    work = directory(enclave, tmp_path)
    push(work, item_of(enclave, "v2"))
    place = tmp_path / "store" / CHANNEL / NAME
    assert files_of(2) == {
        str(path.relative_to(place / "v2")): path.read_bytes() for path in (place / "v2").rglob("*") if path.is_file()
    }
    assert os.access(place / "v2" / "run.sh", os.X_OK)
    assert (place / "v2" / "empty").is_dir()
    assert ["current", "v2"] == sorted(os.listdir(place))
    assert [CHANNEL] == os.listdir(tmp_path / "store")
    assert "v2" == os.readlink(place / "current")


def test_the_link_follows_the_pointer(enclave: Enclave, tmp_path: Path) -> None:
    """Pushed again after a rollback, it leads to the older version; each undone, nothing is left."""
    work = directory(enclave, tmp_path)
    for version in ("v1", "v2", "v1"):
        push(work, item_of(enclave, version))
        assert version == os.readlink(tmp_path / "store" / CHANNEL / NAME / "current")
    work.undo(line_of(enclave, "v2").id)
    assert "v1" == os.readlink(tmp_path / "store" / CHANNEL / NAME / "current")
    work.undo(line_of(enclave, "v1").id)
    assert {} == shape(tmp_path / "store")


def test_what_a_later_version_goes_back_to_is_never_gone(enclave: Enclave, tmp_path: Path) -> None:
    """The older one is undone first: the newer one then goes back to what was before both."""
    work = directory(enclave, tmp_path)
    for version in ("v1", "v2"):
        push(work, item_of(enclave, version))
    work.undo(line_of(enclave, "v1").id)
    assert "v2" == os.readlink(tmp_path / "store" / CHANNEL / NAME / "current")
    work.undo(line_of(enclave, "v2").id)
    assert {} == shape(tmp_path / "store")


@pytest.mark.parametrize("kind", [directory, cache])
def test_a_file_that_was_changed_is_not_published(enclave: Enclave, tmp_path: Path, kind: object) -> None:
    """Whoever may write into the inbox changes one byte: the size stays, and so does the table."""
    work = directory(enclave, tmp_path) if kind is directory else cache(enclave, tmp_path)
    item = item_of(enclave, "v2")
    file = enclave.config.inbox.path / CHANNEL / NAME / "v2" / "data" / "model.safetensors"
    file.write_bytes(b"x" + file.read_bytes()[1:])
    with pytest.raises(IntegrityError, match="is not the file that was signed"):
        push(work, item)
    assert not work.target.holds(work.journal.get(item.bundle))  # type: ignore[arg-type]
    work.undo(item.bundle)
    assert {} == shape(tmp_path / ("store" if kind is directory else "hub"))


def test_a_table_that_was_changed_is_not_read(enclave: Enclave) -> None:
    """The ledger knows its digest."""
    sums = enclave.config.inbox.path / CHANNEL / NAME / "v2" / "SHA256SUMS"
    sums.write_bytes(sums.read_bytes().replace(b"0", b"1", 1))
    with pytest.raises(ManifestError, match="signed"):
        item_of(enclave, "v2")


@pytest.mark.parametrize("at", [CHANNEL, f"{CHANNEL}/{NAME}", f"{CHANNEL}/{NAME}/v2"])
def test_no_link_is_written_through(enclave: Enclave, tmp_path: Path, at: str) -> None:
    """Somebody who may write into the store puts a link where a folder goes: what it leads to stays as it is."""
    (tmp_path / "elsewhere").mkdir()
    work = directory(enclave, tmp_path)
    place = tmp_path / "store" / at
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(tmp_path / "elsewhere")
    with pytest.raises((StorageError, ReplayError)):
        push(work, item_of(enclave, "v2"), replace=True)
    assert [] == os.listdir(tmp_path / "elsewhere")


@pytest.mark.parametrize("kind", [directory, cache])
def test_other_content_stays_unless_it_may_be_replaced(enclave: Enclave, tmp_path: Path, kind: object) -> None:
    """Then it is set aside, and comes back."""
    work = directory(enclave, tmp_path) if kind is directory else cache(enclave, tmp_path)
    top = tmp_path / ("store" if kind is directory else "hub")
    item = item_of(enclave, "v2")
    above = f"{CHANNEL}/{NAME}" if kind is directory else "models--acme--tiny/snapshots"
    (top / above / work.target.place(item)).mkdir(parents=True)
    (top / above / work.target.place(item) / "theirs").write_text("other")
    if kind is cache:
        (top / "models--acme--tiny" / "blobs").mkdir()
    before = shape(top)
    with pytest.raises(ReplayError, match=item.sums):
        push(work, item)
    assert before == shape(top)
    push(work, item_of(enclave, "v2"), replace=True)
    item = item_of(enclave, "v2")
    assert "same" == work.target.look(item).state
    work.undo(item.bundle)
    assert before == shape(top)


def test_content_that_was_there_stays(enclave: Enclave, tmp_path: Path) -> None:
    """The same content, put there by somebody else, is not ours to take away."""
    work = directory(enclave, tmp_path)
    push(work, item_of(enclave, "v2"))
    before = {path: said for path, said in shape(tmp_path / "store").items() if not path.endswith("current")}
    work.journal.drop(line_of(enclave, "v2").id)
    (tmp_path / "store" / CHANNEL / NAME / "current").unlink()
    assert ("point",) == push(work, item_of(enclave, "v2"))
    work.undo(line_of(enclave, "v2").id)
    assert before == shape(tmp_path / "store")


def test_a_target_that_is_full_is_said_so_before_anything_is_written(
    enclave: Enclave, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 17."""
    work = directory(enclave, tmp_path)
    real = os.fstatvfs
    monkeypatch.setattr(os, "fstatvfs", lambda fd: _Full(real(fd)))
    with pytest.raises(FullError, match="make room") as caught:
        push(work, item_of(enclave, "v2"))
    assert 17 == caught.value.exit_code
    monkeypatch.undo()
    assert ("put", "check", "publish", "point") == push(work, item_of(enclave, "v2"))


class _Full:
    """A file system with no room."""

    def __init__(self, real: os.statvfs_result) -> None:
        self.f_frsize = real.f_frsize
        self.f_bavail = 0


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_fails_is_taken_up_again(
    enclave: Enclave, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Nothing is published, the error names the target, and the same command goes on."""
    work = directory(enclave, tmp_path)

    def fails(*_: object) -> None:
        raise OSError(number, os.strerror(number), "x")

    monkeypatch.setattr("receiver.ingest.directory.write_file", fails)
    with pytest.raises(StorageError, match=f"{TARGET}.*goes on") as caught:
        push(work, item_of(enclave, "v2"))
    assert (17 if number == errno.ENOSPC else 1) == caught.value.exit_code
    assert not (tmp_path / "store" / CHANNEL).exists()
    monkeypatch.undo()
    push(work, item_of(enclave, "v2"))
    assert "same" == work.target.look(item_of(enclave, "v2")).state


def test_a_mount_that_is_missing_is_not_filled(enclave: Enclave, tmp_path: Path) -> None:
    """The folder is not made."""
    settings = FolderTarget(kind="dir", path=tmp_path / "none", channels=(CHANNEL,))
    with pytest.raises(StorageError, match="cannot be reached"):
        open_target(enclave.config, TARGET, settings)
    assert not (tmp_path / "none").exists()


def test_a_recall_between_the_steps_is_heard(enclave: Enclave, tmp_path: Path) -> None:
    """It comes while the content is brought in: nothing appears."""

    def recalled() -> None:
        raise PolicyError("recalled")

    work = directory(enclave, tmp_path)
    item = item_of(enclave, "v2")
    with pytest.raises(PolicyError), item.data:
        work.do(item, recalled, may_replace=False)
    assert not (tmp_path / "store" / CHANNEL / NAME / "v2").exists()


def test_the_real_library_takes_the_cache(enclave: Enclave, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline it finds ``main`` and each commit; and it finds every digest right that the gateway tells."""
    hub = pytest.importorskip("huggingface_hub", reason="the extra artefacts is not installed")
    work = cache(enclave, tmp_path)
    for version in ("v1", "v2"):
        push(work, item_of(enclave, version))
    top = tmp_path / "hub"
    found = Path(hub.snapshot_download("acme/tiny", cache_dir=top, local_files_only=True))
    assert files_of(2) == {str(p.relative_to(found)): p.read_bytes() for p in found.rglob("*") if p.is_file()}
    scanned = hub.scan_cache_dir(top)
    assert ([], 2) == (list(scanned.warnings), len(next(iter(scanned.repos)).revisions))
    old = work.target.place(item_of(enclave, "v1"))
    assert (
        Path(hub.snapshot_download("acme/tiny", revision=old, cache_dir=top, local_files_only=True)) / "only-1"
    ).exists()
    work.undo(line_of(enclave, "v2").id)
    back = Path(hub.snapshot_download("acme/tiny", cache_dir=top, local_files_only=True))
    assert old == back.name
    assert [] == list(hub.scan_cache_dir(top).warnings)


@pytest.mark.clients
def test_hf_cache_verify_is_content(enclave: Enclave, tmp_path: Path) -> None:
    """``hf cache verify`` asks the gateway for every digest."""
    pytest.importorskip("huggingface_hub", reason="the extra artefacts is not installed")
    work = cache(enclave, tmp_path)
    push(work, item_of(enclave, "v2"))
    gateway = Gateway(enclave.config.inbox.path, enclave.config.gateway.index, mounted({CHANNEL: ("hub",)}))
    with listening(gateway) as port:
        env = {"HF_ENDPOINT": f"http://127.0.0.1:{port}/hub", "HF_HUB_DISABLE_UPDATE_CHECK": "1", "HOME": str(tmp_path)}
        hf = Path(sys.executable).parent / "hf"
        done = run(hf, "cache", "verify", "acme/tiny", "--cache-dir", tmp_path / "hub", "--fail-on-missing-files",
                   "--fail-on-extra-files", env=env)  # fmt: skip
    assert 0 == done.returncode, done.stdout + done.stderr
