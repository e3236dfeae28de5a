"""The kind ``oci``: skopeo copies from the gateway into Debian's docker-registry."""

import json
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from diode.config.ingest import RegistryTarget
from diode.errors import PolicyError, ReplayError, StorageError
from receiver.gateway.server.app import Gateway, mounted
from receiver.ingest.registry import Registry
from receiver.ingest.work import Work
from tests.enclave import Enclave
from tests.images import INDEX, ImageLayout
from tests.needs import need
from tests.patience import wait_until
from tests.ports import free_address
from tests.receiver.ingest.scenes import (
    ALICE,
    Kill,
    item_of,
    lawful,
    line_of,
    points,
    publish,
    was_killed,
    work_at,
)
from tests.serving import listening

pytestmark = pytest.mark.clients
CHANNEL, NAME = "images", "team--app"
BY_OCI = '[channels.images]\nserve = ["oci"]\n'
PLACE = {"channel": CHANNEL, "name": NAME}
SETUP = """version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}}}, delete: {{enabled: true}}}}
http: {{addr: 127.0.0.1:{port}}}
log: {{level: error}}
"""


def layout(sequence: int, *, partial: bool = False) -> dict[str, bytes]:
    """An index of two platforms, tagged ``stable``; ``partial``: one of them is not there."""
    made = ImageLayout()
    images = [made.image({"same": "same", f"{cpu}-{sequence}": cpu}, architecture=cpu) for cpu in ("amd64", "arm64")]
    made.name(made.index(*images), ref="docker.io/team/app:stable")
    files = {path: data.encode() if isinstance(data, str) else data for path, data in made.files().items()}
    if partial:
        del files[f"blobs/sha256/{images[1]['digest'].removeprefix('sha256:')}"]
    return files


@pytest.fixture(scope="module")
def enclave(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Enclave]:
    """Two versions, and one of which a platform is missing."""
    made = Enclave(tmp_path_factory.mktemp("made") / "receiver", {"alice.pub": ALICE}, BY_OCI)
    for sequence in (1, 2):
        publish(made, sequence, layout(sequence), empty=(), **PLACE)
    publish(made, 3, layout(3, partial=True), empty=(), channel=CHANNEL, name="team--part")
    yield made
    made.stop()


@pytest.fixture(scope="module")
def gateway(enclave: Enclave) -> Iterator[str]:
    """Its address."""
    served = Gateway(enclave.config.inbox.path, enclave.config.gateway.index, mounted({CHANNEL: ("oci",)}))
    with listening(served) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """Its host and port."""
    need("skopeo", "docker-registry")
    port = free_address().port
    setup = tmp_path / "registry.yml"
    setup.write_text(SETUP.format(folder=tmp_path / "registry", port=port))
    with subprocess.Popen(["docker-registry", "serve", setup], stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: _answers(port), "docker-registry answers")
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()


def _answers(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def open_work(enclave: Enclave, gateway: str, registry: str, state: Path, kill: Kill | None = None) -> Work:
    """As a process that has just begun; each call of skopeo may be killed."""
    settings = RegistryTarget(kind="oci", registry=registry, gateway=gateway, tls=False, channels=(CHANNEL,))
    work = work_at(enclave, settings, state)
    if kill is not None:
        assert isinstance(work.target, Registry)
        work.target._skopeo = kill.before(work.target._skopeo)  # type: ignore[method-assign]
    return work


def push(enclave: Enclave, work: Work, version: str = "v2") -> tuple[str, ...]:
    """The command."""
    item = item_of(enclave, version, channel=CHANNEL, name=NAME)
    with item.data:
        return work.do(item, lawful, may_replace=True).steps


def tags(registry: str) -> dict[str, str]:
    """The tags of the repository, by digest, as the registry says."""
    found = {}
    address = f"http://{registry}/v2/team/app"
    for tag in _json(f"{address}/tags/list").get("tags") or ():
        request = urllib.request.Request(f"{address}/manifests/{tag}", headers={"Accept": INDEX})
        with urllib.request.urlopen(request) as answer:
            found[tag] = answer.headers["Docker-Content-Digest"]
    return found


def _json(address: str) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(address) as answer:
            said: dict[str, Any] = json.loads(answer.read())
    except urllib.error.HTTPError:
        return {}
    return said


def digest_in(files: dict[str, bytes]) -> str:
    """Of the one image that a layout names."""
    return str(json.loads(files["index.json"])["manifests"][0]["digest"])


def test_a_registry_holds_the_images_by_their_digests(
    enclave: Enclave, gateway: str, registry: str, tmp_path: Path
) -> None:
    """All platforms, the version as a tag, and the layout's own tag, which follows; undone it is as before."""
    work = open_work(enclave, gateway, registry, tmp_path / "state")
    first, second = digest_in(layout(1)), digest_in(layout(2))
    push(enclave, work, "v1")
    assert {"v1": first, "stable": first} == tags(registry)
    assert ("put", "check", "publish", "point") == push(enclave, work)
    assert {"v1": first, "v2": second, "stable": second} == tags(registry)
    assert () == push(enclave, work)
    work.undo(line_of(enclave, "v2", **PLACE).id)
    assert {"v1": first, "stable": first} == tags(registry)
    work.undo(line_of(enclave, "v1", **PLACE).id)
    assert {} == tags(registry)


@pytest.mark.long
def test_a_copy_that_is_killed_before_any_call(enclave: Enclave, gateway: str, registry: str, tmp_path: Path) -> None:
    """The next run ends it, and so does the next undoing."""
    first, second = digest_in(layout(1)), digest_in(layout(2))
    bundle, state = line_of(enclave, "v2", **PLACE).id, tmp_path / "state"
    push(enclave, open_work(enclave, gateway, registry, state), "v1")
    before = {"v1": first, "stable": first}

    def one(number: int) -> bool:
        kill = Kill()
        with kill.at(number):
            killed = was_killed(lambda: push(enclave, open_work(enclave, gateway, registry, state, kill)))
        if killed and number % 2:
            open_work(enclave, gateway, registry, state).undo(bundle)
            assert before == tags(registry), number
        push(enclave, open_work(enclave, gateway, registry, state))
        assert {"v1": first, "v2": second, "stable": second} == tags(registry)
        with kill.at(number):
            killed |= was_killed(lambda: open_work(enclave, gateway, registry, state, kill).undo(bundle))
        open_work(enclave, gateway, registry, state).undo(bundle)
        assert before == tags(registry), number
        return killed

    assert 8 < points(one, stride=1)


def test_an_index_that_is_not_whole_is_refused(enclave: Enclave, gateway: str, registry: str, tmp_path: Path) -> None:
    """Plainly, and before anything is copied."""
    item = item_of(enclave, "v3", channel=CHANNEL, name="team--part")
    with pytest.raises(PolicyError, match="1 of the images that it lists are not in the bundle"), item.data:
        open_work(enclave, gateway, registry, tmp_path / "state").do(item, lawful, may_replace=False)
    assert {} == tags(registry)


def test_other_content_under_the_version(enclave: Enclave, gateway: str, registry: str, tmp_path: Path) -> None:
    """Refused, with its digest; replaced if asked for; undone the tag means what it meant."""
    push(enclave, open_work(enclave, gateway, registry, tmp_path / "first"), "v1")
    at = f"docker://{registry}/team/app"
    flags = ["--all", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false"]
    subprocess.run(["skopeo", "--insecure-policy", "copy", *flags, f"{at}:v1", f"{at}:v2"], check=True)
    before, item = tags(registry), item_of(enclave, "v2", channel=CHANNEL, name=NAME)
    work = open_work(enclave, gateway, registry, tmp_path / "state")
    with pytest.raises(ReplayError, match=digest_in(layout(1))), item.data:
        work.do(item, lawful, may_replace=False)
    push(enclave, work)
    assert digest_in(layout(2)) == tags(registry)["v2"]
    work.undo(item.bundle)
    assert before == tags(registry)


def test_a_registry_that_is_not_there(enclave: Enclave, gateway: str, tmp_path: Path) -> None:
    """A clear error, and nothing in the journal."""
    need("skopeo")
    work = open_work(enclave, gateway, "127.0.0.1:9", tmp_path / "state")
    with pytest.raises(StorageError, match="did not answer"):
        push(enclave, work)
    assert [] == list(work.journal.all())
