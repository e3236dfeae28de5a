"""Images by clients that people use: docker, skopeo, podman, containerd, oras. Not one of them is told what serves."""

import contextlib
import json
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from receiver.gateway.answers import Answer
from receiver.gateway.clients.lines import Place
from receiver.gateway.clients.oci import lines
from receiver.gateway.oci.answer import answer
from receiver.gateway.request import Request
from receiver.gateway.server.app import Mounted
from receiver.gateway.view import View
from tests.clients import python_with, run
from tests.images import ImageLayout
from tests.patience import PATIENCE_S, wait_until
from tests.serving import Serving

pytestmark = pytest.mark.clients
Done = subprocess.CompletedProcess[str]


def publish(serving: Serving, name: str, version: str, *, latest: bool = True) -> str:
    """Publish an image of two layers, of which the first is everybody's; gives its digest."""
    layout = ImageLayout()
    image = layout.image({"base": "same for all"}, {"own": f"{name} {version}"})
    digest = layout.name(image, f"docker.io/library/{name}:{version}")
    if latest:
        layout.name(image, f"docker.io/library/{name}:latest")
    serving.publish("images", name, version, layout.files())
    return digest


def recall(serving: Serving, name: str, version: str) -> None:
    """Recall a bundle."""
    bundle = next(key for key, one in serving.listed.items() if (one.name, one.version) == (name, version))
    serving.recall(bundle, "CVE-2026-1 in libfoo")


@pytest.fixture
def serving(tmp_path: Path) -> Serving:
    """An inbox with two versions of ``a`` and one of ``b``."""
    made = Serving(tmp_path / "served", {"images": ("oci",)})
    for name, version in (("a", "1"), ("a", "2"), ("b", "1")):
        publish(made, name, version)
    return made


def host_of(base: str) -> str:
    """Host and port."""
    return base.removeprefix("http://")


def line_of(client: str, base: str) -> str:
    """What is printed for a client."""
    return next(each.text for each in lines(Place(f"{base}/v2")) if each.client == client)


def docker(*command: str) -> Done:
    """A docker command."""
    return run("docker", *command)


@pytest.fixture
def cleared() -> Iterator[list[str]]:
    """Images that docker forgets when the test ends."""
    names: list[str] = []
    yield names
    for name in names:
        docker("rmi", "--force", name)


def sold(done: Done) -> str:
    """The digest that a docker pull printed."""
    assert not done.returncode, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("Digest: ")]
    return line.removeprefix("Digest: ")


@pytest.mark.needs("docker")
def test_docker(serving: Serving, cleared: list[str]) -> None:
    """By tag and digest; after a rollback; after a recall, cold and warm, with the reason; shared layers stay."""
    digests = {one.version: one for one in serving.listed.values() if one.name == "a"}
    with serving.running() as base:
        a, b = (f"{host_of(base)}/{name}" for name in ("a", "b"))
        cleared += [f"{a}:latest", f"{a}:1", f"{a}:2", f"{b}:1"]
        two = sold(docker("pull", f"{a}:latest"))
        one = sold(docker("pull", f"{a}:1"))
        assert one != two
        assert two == sold(docker("pull", f"{a}@{two}"))
        serving.roll_back("images", "a")
        assert one == sold(docker("pull", f"{a}:latest"))
        assert two == sold(docker("pull", f"{a}:2"))

        serving.promote("images", "a", "2")
        recall(serving, "a", "2")
        for reference in (":latest", ":2"):
            warm = docker("pull", f"{a}{reference}")
            assert warm.returncode
            assert "Recalled 2026-11-28: CVE-2026-1 in libfoo" in warm.stderr
        docker("rmi", "--force", f"{a}:latest", f"{a}:1", f"{a}:2", f"{a}@{two}", f"{a}@{one}")
        for reference in (":latest", ":2", f"@{two}"):
            cold = docker("pull", f"{a}{reference}")
            assert cold.returncode
            assert "Recalled 2026-11-28: CVE-2026-1 in libfoo" in cold.stderr
        sold(docker("pull", f"{b}:1"))
        assert one == sold(docker("pull", f"{a}:1"))
        missing = docker("pull", f"{a}:9")
        assert "no bundle in use has a:9" in missing.stderr
    assert digests["2"].name == "a"


@pytest.mark.needs("docker")
def test_an_image_that_docker_saved(tmp_path: Path, cleared: list[str]) -> None:
    """An archive of docker's older form is said to be one; what its command makes is served, and docker takes it."""
    imported = run("sh", "-c", "echo hello > hello && tar -c hello | docker import - saved.test/tool:1", cwd=tmp_path)
    assert not imported.returncode, imported.stderr
    cleared.append("saved.test/tool:1")
    serving = Serving(tmp_path / "served", {"images": ("oci",)})
    place = tmp_path / "served/inbox/images/tool"
    (place / "1/data").mkdir(parents=True)
    assert not docker("save", "-o", str(place / "1/data/tool.tar"), "saved.test/tool:1").returncode
    serving.take("images", "tool", "1")
    (problem,) = serving.problems
    command = problem.partition(": make a layout of it on the sending side: ")[2]
    (place / "2/data").mkdir(parents=True)
    command = command.replace("docker-archive:", f"docker-archive:{place}/1/data/").replace("REPOSITORY:TAG", "tool:2")
    made = run("sh", "-c", command, cwd=place / "2/data")
    assert not made.returncode, made.stderr
    serving.take("images", "tool", "2")
    with serving.running() as base:
        name = f"{host_of(base)}/tool:2"
        cleared.append(name)
        sold(docker("pull", name))
        created = docker("create", name, "/none").stdout.strip()
        try:
            copied = docker("cp", f"{created}:/hello", str(tmp_path / "out"))
            assert not copied.returncode, copied.stderr
        finally:
            docker("rm", created)
    assert (tmp_path / "out").read_text() == "hello\n"


def skopeo(*command: str) -> Done:
    """A skopeo command, by plain http."""
    return run("skopeo", *command)


@pytest.mark.needs("image tools")
def test_skopeo(serving: Serving, tmp_path: Path) -> None:
    """Copies with digests kept; lists tags without recalled ones; prints the reason of a recall."""
    with serving.running() as base:
        a = f"docker://{host_of(base)}/library/a"
        listed = skopeo("list-tags", "--tls-verify=false", a)
        assert json.loads(listed.stdout)["Tags"] == ["1", "2", "latest"]
        copy = ("copy", "--all", "--preserve-digests", "--src-tls-verify=false")
        done = skopeo(*copy, f"{a}:latest", f"oci:{tmp_path / 'copied'}:a:2")
        assert not done.returncode, done.stderr
        index = json.loads((tmp_path / "copied/index.json").read_text())
        shown = skopeo("inspect", "--tls-verify=false", "--format", "{{.Digest}}", f"{a}:latest")
        assert shown.stdout.strip() == index["manifests"][0]["digest"]
        recall(serving, "a", "2")
        gone = skopeo(*copy, f"{a}:latest", f"oci:{tmp_path / 'again'}:a:2")
        assert gone.returncode
        assert "Recalled 2026-11-28: CVE-2026-1 in libfoo" in gone.stderr
        assert json.loads(skopeo("list-tags", "--tls-verify=false", a).stdout)["Tags"] == ["1"]
        # what people print for podman and skopeo: upstream's names, and no way back to upstream
        registries = tmp_path / "registries.conf"
        registries.write_text(line_of("podman, skopeo, buildah, CRI-O", base))
        by_name = ("skopeo", "--registries-conf", registries, "copy")
        by_upstream = run(*by_name, "docker://docker.io/library/b:1", f"oci:{tmp_path / 'b'}:1")
        assert not by_upstream.returncode, by_upstream.stderr
        refused = run(*by_name, "docker://docker.io/library/a:2", f"oci:{tmp_path / 'c'}:1")
        assert "Recalled 2026-11-28: CVE-2026-1 in libfoo" in refused.stderr


@pytest.mark.needs("image tools")
def test_a_partial_index(tmp_path: Path) -> None:
    """Of two platforms one is there: it is pulled; the other is said not to be there."""
    serving = Serving(tmp_path / "served", {"images": ("oci",)})
    layout = ImageLayout()
    here, absent = (layout.image({"a": each}, architecture=each) for each in ("amd64", "arm64"))
    layout.name(layout.index(here, absent), "p:1")
    del layout.blobs[absent["digest"]]
    serving.publish("images", "p", "1", layout.files())
    with serving.running() as base:
        p = f"docker://{host_of(base)}/p:1"
        copy = ("copy", "--src-tls-verify=false", p)
        here_too = run("skopeo", "--override-arch", "amd64", *copy, f"oci:{tmp_path / 'amd'}:1")
        assert not here_too.returncode, here_too.stderr
        missing = run("skopeo", "--override-arch", "arm64", *copy, f"oci:{tmp_path / 'arm'}:1")
        assert missing.returncode
        assert absent["digest"] in missing.stderr


@pytest.mark.needs("image tools")
def test_podman(serving: Serving) -> None:
    """Pulls by tag and digest, and prints the reason of a recall."""
    with serving.running() as base, tempfile.TemporaryDirectory(prefix="p") as short:
        podman = ["podman", "--root", f"{short}/r", "--runroot", f"{short}/n", "--storage-driver", "vfs"]
        pull = [*podman, "pull", "--quiet", "--tls-verify=false"]
        a = f"{host_of(base)}/a"
        done = run(*pull, f"{a}:latest")
        assert not done.returncode, done.stderr
        digest = json.loads(run(*podman, "image", "inspect", f"{a}:latest").stdout)[0]["Digest"]
        assert not run(*pull, f"{a}@{digest}").returncode
        recall(serving, "a", "2")
        for reference in (":latest", f"@{digest}"):
            gone = run(*pull, f"{a}{reference}")
            assert gone.returncode
            assert "Recalled 2026-11-28: CVE-2026-1 in libfoo" in gone.stderr
        assert not run(*pull, f"{host_of(base)}/b:1").returncode


ORAS = """
import sys
from oras.provider import Registry
host, name, digest = sys.argv[1:]
registry = Registry(hostname=host, insecure=True)
print(sorted(registry.get_tags(f"{host}/{name}")))
manifest = registry.get_manifest(f"{host}/{name}:latest")
for layer in manifest["layers"]:
    registry.download_blob(f"{host}/{name}:latest", layer["digest"], layer["digest"][7:])
print(len(manifest["layers"]))
"""


def test_oras_of_python(serving: Serving, tmp_path: Path) -> None:
    """Lists tags, takes manifests and blobs; fails loudly after a recall."""
    python = python_with("oras==0.2.43") / "python"
    with serving.running() as base:
        command: list[str | Path] = [python, "-c", ORAS, host_of(base), "a", "-"]
        done = run(*command, cwd=tmp_path)
        assert done.stdout.splitlines() == ["['1', '2', 'latest']", "2"], done.stderr
        recall(serving, "a", "2")
        gone = run(*command, cwd=tmp_path)
        assert gone.returncode
        assert gone.stdout.splitlines() == ["['1']"]


@contextlib.contextmanager
def containerd(folder: Path) -> Iterator[list[str]]:
    """A containerd of the test's own; gives the command that speaks to it."""
    address = f"{folder}/c.sock"
    (folder / "c.toml").write_text(
        f'version = 2\nroot = "{folder}/root"\nstate = "{folder}/state"\n'
        'disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs", '
        '"io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper"]\n'
        f'[grpc]\naddress = "{address}"\n[ttrpc]\naddress = "{address}.ttrpc"\n'
    )
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(["containerd", "-c", str(folder / "c.toml")], stdout=log, stderr=log)
    try:
        ctr = ["ctr", "--address", address, "--connect-timeout", "30s"]
        wait_until(lambda: not run(*ctr, "version").returncode, "containerd answers")
        yield ctr
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


@pytest.mark.needs("root", "containerd")
def test_containerd(serving: Serving) -> None:
    """With the printed hosts.toml, by upstream's name: pulls; prints the status of a recall; asks nobody else."""
    with tempfile.TemporaryDirectory(prefix="c") as short, serving.running() as base:
        hosts = Path(short) / "hosts/docker.io"
        hosts.mkdir(parents=True)
        (hosts / "hosts.toml").write_text(line_of("containerd, Kubernetes", base))
        with containerd(Path(short)) as ctr:
            pull = [*ctr, "content", "fetch", "--hosts-dir", str(hosts.parent)]
            done = run(*pull, "docker.io/library/a:latest")
            assert not done.returncode, done.stdout + done.stderr
            recall(serving, "a", "2")
            gone = run(*pull, "docker.io/library/a:latest")
            assert gone.returncode
            assert "410 Recalled 2026-11-28: CVE-2026-1 in libfoo" in gone.stdout + gone.stderr
            assert not run(*pull, "docker.io/library/b:1").returncode


class Moving:
    """Answers as the protocol does, and moves the pointer after every answer, so between any two requests."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._versions = ["1", "2"]
        self._counting = threading.Lock()  # clients ask for several layers at once, and each is answered in a thread
        self.asked = 0

    def __call__(self, request: Request, view: View) -> Answer:
        """One request."""
        given = answer(request, view)
        with self._counting:
            self.asked += 1
            self._serving.promote("images", "a", self._versions[self.asked % 2])
        return given


@pytest.mark.needs("image tools", "docker")
def test_the_pointer_moves_between_any_two_requests(serving: Serving, tmp_path: Path, cleared: list[str]) -> None:
    """No client ends with one version's bytes under another's digest, and none fails."""
    moving = Moving(serving)
    with serving.running([Mounted("/v2", "oci", moving, frozenset({"images"}))]) as base:
        for number in range(6):
            a = f"{host_of(base)}/a:latest"
            made = tmp_path / str(number)
            done = skopeo("copy", "--src-tls-verify=false", f"docker://{a}", f"oci:{made}:1")
            assert not done.returncode, done.stderr
            assert not run("umoci", "unpack", "--rootless", "--image", f"{made}:1", tmp_path / f"u{number}").returncode
            assert (tmp_path / f"u{number}/rootfs/own").read_text() in ("a 1", "a 2")
            cleared.append(a)
            digest = sold(docker("pull", a))
            repositories = json.loads(docker("image", "inspect", a).stdout)[0]["RepoDigests"]
            assert f"{host_of(base)}/a@{digest}" in repositories
            docker("rmi", "--force", a)
            moving.asked += 1  # so that each client begins with either version in turn
    assert moving.asked > 30
