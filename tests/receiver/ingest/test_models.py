"""The kind ``mlflow``: a real MLflow server on SQLite, and the gateway that it is to load from."""

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from diode.config.ingest import ModelRegistryTarget
from diode.errors import IntegrityError, ReplayError, StorageError
from receiver.gateway.server.app import Gateway, mounted
from receiver.ingest.mlflow_models import Models
from receiver.ingest.work import Work
from tests.clients import python_with, run
from tests.enclave import Enclave
from tests.patience import wait_until
from tests.ports import free_address
from tests.receiver.ingest.scenes import (
    CHANNEL,
    NAME,
    Kill,
    files_of,
    item_of,
    lawful,
    line_of,
    points,
    two_versions,
    was_killed,
    work_at,
)
from tests.serving import listening

pytestmark = pytest.mark.clients


@pytest.fixture(scope="module")
def enclave(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Enclave]:
    """Two versions; the second is in use."""
    with two_versions(tmp_path_factory.mktemp("made") / "receiver") as made:
        yield made


@pytest.fixture(scope="module")
def gateway(enclave: Enclave) -> Iterator[str]:
    """The address of its hub."""
    served = Gateway(enclave.config.inbox.path, enclave.config.gateway.index, mounted({CHANNEL: ("hub",)}))
    with listening(served) as port:
        yield f"http://127.0.0.1:{port}/hub"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of MLflow."""
    pytest.importorskip("mlflow", reason="mlflow-skinny is not installed: pip install 'diode[ingest]'")
    programs, folder = python_with("mlflow>=3.17,<4"), tmp_path_factory.mktemp("mlflow")
    port = free_address().port
    command: list[str | Path] = [
        programs / "mlflow",
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
        "--disable-security-middleware",
    ]
    command += [
        "--backend-store-uri",
        f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination",
        str(folder / "files"),
    ]
    env = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(folder), "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, env=env, cwd=folder, stdout=log, stderr=log, start_new_session=True) as process,
    ):
        try:
            wait_until(lambda: _is_healthy(port) or process.poll() is not None, "MLflow answers")
            assert process.poll() is None, (folder / "log").read_text()[-2000:]  # its client would ask for minutes
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, 9)


def _is_healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
            return True
    except (OSError, urllib.error.URLError):
        return False


class Calls:
    """MLflow's client; each call may be the last one before a kill."""

    def __init__(self, client: Any, kill: Kill) -> None:
        self._client = client
        self._kill = kill

    def __getattr__(self, name: str) -> Any:
        return self._kill.before(getattr(self._client, name))


def open_work(enclave: Enclave, gateway: str, server: str, state: Path, kill: Kill | None = None) -> Work:
    """As a process that has just begun."""
    settings = ModelRegistryTarget(kind="mlflow", url=server, gateway=gateway, channels=(CHANNEL,))
    work = work_at(enclave, settings, state)
    if kill is not None:
        assert isinstance(work.target, Models)
        work.target._client = Calls(work.target._client, kill)
    return work


def push(enclave: Enclave, work: Work, version: str = "v2") -> tuple[str, ...]:
    """The command."""
    item = item_of(enclave, version)
    with item.data:
        return work.do(item, lawful, may_replace=True).steps


def data_of(enclave: Enclave, version: str) -> Path:
    """The published files of a version."""
    return enclave.config.inbox.path / CHANNEL / NAME / version / "data"


def shown(work: Work) -> dict[str, list[str]]:
    """The model's versions by their source, and which one the alias leads to."""
    client = work.target._client  # type: ignore[attr-defined]
    versions = client.search_model_versions(f"name='{NAME}'")
    found = {one.source: list(client.get_model_version(NAME, one.version).aliases) for one in versions}
    return dict(sorted(found.items()))


def test_a_model_has_a_version_and_an_alias(enclave: Enclave, gateway: str, server: str, tmp_path: Path) -> None:
    """It is loaded from the gateway; the alias follows; undone there is no model any more."""
    work = open_work(enclave, gateway, server, tmp_path / "state")
    sources = [f"hf://acme/tiny@{line_of(enclave, version).digest[:40]}" for version in ("v1", "v2")]
    for version in ("v1", "v2"):
        push(enclave, work, version)
    assert dict(sorted([(sources[0], []), (sources[1], ["current"])])) == shown(work)
    assert () == push(enclave, work)
    push(enclave, work, "v1")
    assert dict(sorted([(sources[0], ["current"]), (sources[1], [])])) == shown(work)
    for version in ("v2", "v1"):
        work.undo(line_of(enclave, version).id)
    assert {} == shown(work)
    with pytest.raises(Exception, match="not found"):
        work.target._client.get_registered_model(NAME)  # type: ignore[attr-defined]


def test_a_push_that_is_killed_before_any_call(enclave: Enclave, gateway: str, server: str, tmp_path: Path) -> None:
    """The next run ends it, and so does the next undoing."""
    state, bundle = tmp_path / "state", line_of(enclave, "v2").id
    push(enclave, open_work(enclave, gateway, server, state), "v1")
    before = shown(open_work(enclave, gateway, server, state))
    source = f"hf://acme/tiny@{line_of(enclave, 'v2').digest[:40]}"

    def one(number: int) -> bool:
        kill = Kill()
        with kill.at(number):
            killed = was_killed(lambda: push(enclave, open_work(enclave, gateway, server, state, kill)))
        push(enclave, open_work(enclave, gateway, server, state))
        assert ["current"] == shown(open_work(enclave, gateway, server, state))[source]
        with kill.at(number):
            killed |= was_killed(lambda: open_work(enclave, gateway, server, state, kill).undo(bundle))
        open_work(enclave, gateway, server, state).undo(bundle)
        assert before == shown(open_work(enclave, gateway, server, state)), number
        return killed

    assert 5 < points(one, stride=1)
    open_work(enclave, gateway, server, state).undo(line_of(enclave, "v1").id)


def test_a_gateway_that_serves_something_else(enclave: Enclave, gateway: str, server: str, tmp_path: Path) -> None:
    """Or nothing: no version is made."""
    work, file = open_work(enclave, gateway, server, tmp_path / "state"), data_of(enclave, "v2") / "config.json"
    before = file.read_bytes()
    file.write_bytes(before.replace(b"tiny", b"huge"))
    try:
        with pytest.raises(IntegrityError, match=r"config\.json with [0-9a-f]{64}, signed was .*no version was made"):
            push(enclave, work)
    finally:
        file.write_bytes(before)
    with pytest.raises(StorageError, match="the gateway does not say"):
        push(enclave, open_work(enclave, "http://127.0.0.1:9/hub", server, tmp_path / "state"))
    work.undo(line_of(enclave, "v2").id)
    assert {} == shown(work)


def test_other_content_under_the_version(enclave: Enclave, gateway: str, server: str, tmp_path: Path) -> None:
    """Refused; replaced, there are two, and undone the other one is left."""
    work, item = open_work(enclave, gateway, server, tmp_path / "state"), item_of(enclave, "v2")
    client = work.target._client  # type: ignore[attr-defined]
    client.create_registered_model(NAME)
    theirs = {"diode.channel": CHANNEL, "diode.version": "v2", "diode.sha256sums": "b" * 64}
    client.create_model_version(NAME, "hf://acme/tiny@main", tags=theirs)
    with pytest.raises(ReplayError, match="b" * 64), item.data:
        work.do(item, lawful, may_replace=False)
    push(enclave, work)
    assert 2 == len(shown(work))
    work.undo(item.bundle)
    assert {"hf://acme/tiny@main": []} == shown(work)
    client.delete_registered_model(NAME)


def test_the_alias_leads_people_to_the_signed_files(
    enclave: Enclave, gateway: str, server: str, tmp_path: Path
) -> None:
    """MLflow's own client finds the source, and huggingface_hub takes it from the gateway: as it was signed."""
    work = open_work(enclave, gateway, server, tmp_path / "state")
    push(enclave, work)
    script = f"""
import sys
from huggingface_hub import snapshot_download
from mlflow import MlflowClient
version = MlflowClient("{server}").get_model_version_by_alias("{NAME}", "current")
repository, _, commit = version.source.removeprefix("hf://").partition("@")
print(snapshot_download(repository, revision=commit, cache_dir=sys.argv[1]))
"""
    env = {"HF_ENDPOINT": gateway, "HOME": str(tmp_path), "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = run(sys.executable, "-c", script, tmp_path / "cache", env=env)
    assert 0 == done.returncode, done.stderr
    folder = Path(done.stdout.strip().splitlines()[-1])
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert files_of(2) == found
    work.undo(line_of(enclave, "v2").id)


def test_a_server_that_cannot_be_reached(enclave: Enclave, gateway: str, tmp_path: Path) -> None:
    """One line, soon, and nothing is in the journal."""
    pytest.importorskip("mlflow", reason="mlflow-skinny is not installed: pip install 'diode[ingest]'")
    work = open_work(enclave, gateway, "http://127.0.0.1:9", tmp_path / "state")
    with pytest.raises(StorageError, match=r"MLflow at http://127\.0\.0\.1:9: .*; type the same again"):
        push(enclave, work)
    assert [] == list(work.journal.all())
