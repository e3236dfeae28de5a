"""Folders that are too small, or that nobody may write: real mounts, and the command as it is typed."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from diode.errors import DiodeError, FullError, StorageError
from receiver.cli.main import app
from tests.enclave import Enclave
from tests.receiver.ingest.scenes import ALICE, BY_HUB, CHANNEL, NAME, publish, shape

pytestmark = pytest.mark.needs("root")
KINDS = ("dir", "hf-cache")
LARGE = {"model.safetensors": bytes(range(256)) * 8192, "config.json": b"{}"}  # 2 MiB
MANY = {f"file-{number}": b"%d" % number for number in range(40)}
Mount = Callable[[str], Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts a file system of its own at ``store``. Its argument: options, as mount knows them."""
    made: list[Path] = []

    def at(options: str) -> Path:
        path = tmp_path / "store"
        path.mkdir(exist_ok=True)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
        made.append(path)
        return path

    yield at
    for path in made:  # lazily: the errors of a test hold folders open
        subprocess.run(["umount", "--lazy", path], check=True)


def enclave_of(tmp_path: Path, kind: str, files: dict[str, bytes]) -> Enclave:
    """A receiver with one version, and a target at ``store``."""
    target = f'[ingest.store]\nkind = "{kind}"\npath = "{tmp_path / "store"}"\nchannels = ["models"]\n'
    enclave = Enclave(tmp_path / "receiver", {"alice.pub": ALICE}, BY_HUB + target)
    publish(enclave, 1, files)
    return enclave


def refusal(enclave: Enclave, *options: str) -> DiodeError | None:
    """What the command ends with; one line."""
    command = ["-c", str(enclave.folder / "receiver.toml"), "ingest", f"{CHANNEL}/{NAME}", "--to", "store", *options]
    error = CliRunner().invoke(app, command).exception
    assert error is None or isinstance(error, DiodeError), repr(error)
    assert "\n" not in str(error)
    return error


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("files", "options"), [(LARGE, "size=1m"), (MANY, "size=1m,nr_inodes=24")])
def test_a_target_that_is_full(tmp_path: Path, mount: Mount, kind: str, files: dict[str, bytes], options: str) -> None:
    """By bytes, before anything is written; or by inodes, in the middle. With more room the same command goes on."""
    store, enclave = mount(options), enclave_of(tmp_path, kind, files)
    (store / "theirs").write_text("somebody else's")
    before = shape(store)
    for _ in range(2):
        error = refusal(enclave)
        assert isinstance(error, FullError), error
        assert not [path for path in shape(store) if path.endswith(("/v1", "/current", "/main"))]
    assert refusal(enclave, "--undo") is None
    assert before == shape(store)
    assert isinstance(refusal(enclave), FullError)
    subprocess.run(["mount", "-o", "remount,size=8m,nr_inodes=1k", store], check=True)
    assert refusal(enclave) is None
    assert refusal(enclave, "--undo") is None
    assert before == shape(store)
    enclave.stop()


@pytest.mark.parametrize("kind", KINDS)
def test_a_target_that_is_read_only(tmp_path: Path, mount: Mount, kind: str) -> None:
    """It is said, and after it was mounted anew the same command does its work."""
    store, enclave = mount("size=8m,ro"), enclave_of(tmp_path, kind, LARGE)
    error = refusal(enclave)
    assert type(error) is StorageError
    assert "Read-only file system" in str(error)
    assert {} == shape(store)
    subprocess.run(["mount", "-o", "remount,rw", store], check=True)
    assert refusal(enclave) is None
    assert refusal(enclave, "--undo") is None
    assert {} == shape(store)
    enclave.stop()
