"""Clients that take what is in use, once, as people's machines do; and what each of them should have got.

A client is one function of CLIENTS: it publishes its two versions, sets a client up, and returns what takes the version
in use once. Where the files are published is not its business: an inbox made for a test, or a whole enclave.
"""

import hashlib
import itertools
import json
import tempfile
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from diode.layouts.kinds import Kind
from tests import hub_script
from tests.apt import Apt, Signer, build_apt
from tests.artefacts import safetensors
from tests.clients import python_with, run
from tests.dnf import Dnf, build_dnf
from tests.images import ImageLayout
from tests.package_clients import Npm
from tests.packages import tgz, wheel
from tests.patience import PATIENCE_S

VERSIONS: Final = ("1.0.0", "2.0.0")  # of equal length
HUBS: Final = {"hf": "2.4.0", "hf-0.23.5": "0.23.5"}
PIP: Final = "26.3"
Files = Mapping[str, bytes | str]


class Got(NamedTuple):
    """A file that a client took: of which version it should be, by which path of the bundle, and where it lies."""

    version: str
    path: str
    file: Path


class Place(Protocol):
    """Where bundles are published."""

    def publish(self, channel: str, name: str, version: str, files: Files, /) -> object:
        """Publish a bundle."""


@dataclass
class Scene:
    """What a client's function is given. ``folder``: its own. A channel is named as the kind that it serves."""

    place: Place
    base: str
    folder: Path
    until: ExitStack  # what must be closed in the end
    known: dict[tuple[str, str], str] = field(default_factory=dict)  # digests by version and path

    def publish(self, kind: Kind, name: str, files: Callable[[str], Files]) -> None:
        """Publish each of VERSIONS of a name. ``files``: those of a version."""
        for version in VERSIONS:
            made = files(version)
            self.place.publish(kind, name, version, made)
            for path, content in made.items():
                self.know(version, path, content)

    def know(self, version: str, path: str, content: bytes | str) -> None:
        """Remember what a file of a version must hold."""
        data = content.encode() if isinstance(content, str) else content
        self.known[version, path] = hashlib.sha256(data).hexdigest()

    def asked(self, path: str) -> Any:
        """The JSON at a path of the gateway."""
        with urllib.request.urlopen(f"{self.base}{path}", timeout=PATIENCE_S) as answer:
            return json.load(answer)


Once = Callable[[Path], Iterable[Got]]  # takes the version in use into a new folder
Client = Callable[[Scene], Once]


def check(done: Any) -> str:
    """What a client printed. Fails with it unless the client ended well."""
    if done.returncode:
        raise AssertionError(f"it ended with {done.returncode}: {(done.stdout + done.stderr).strip()[-600:]}")
    return str(done.stdout)


def apt(scene: Scene) -> Once:
    """A machine that has no lists: updates, and fetches the package that it sees."""
    short = Path(scene.until.enter_context(tempfile.TemporaryDirectory(prefix="gpg")))
    signer = Signer.make(short / "k")
    scene.until.callback(signer.close)
    scene.publish("trees", "apt", lambda version: build_apt(scene.folder, version, signer))
    line = f"deb [signed-by={signer.public}] {scene.base}/trees/trees/apt stable main"
    client = Apt.make(scene.folder / "client", line)

    def once(folder: Path) -> Iterator[Got]:
        client.forget()
        check(client.update())
        version = client.candidate()
        check(client.get("download", "demo", into=folder))
        yield Got(version, f"pool/demo_{version}_all.deb", folder / f"demo_{version}_all.deb")

    return once


def dnf(scene: Scene) -> Once:
    """A machine with an empty cache: fetches the package that it sees."""
    scene.publish("trees", "dnf", lambda version: build_dnf(scene.folder, version))
    client = Dnf.make(scene.folder / "client", f"[demo]\nname=demo\nbaseurl={scene.base}/trees/trees/dnf/\ngpgcheck=1")

    def once(folder: Path) -> Iterator[Got]:
        client.forget()
        check(client("install", "--downloadonly", f"--downloaddir={folder}", "demo"))
        (file,) = folder.iterdir()
        yield Got(file.name.split("-")[1], file.name, file)

    return once


def curl(scene: Scene) -> Once:
    """Downloads by version, begun and resumed."""
    scene.publish("trees", "files", lambda version: {"a.bin": version * 100_000, "b.bin": version * 1000})
    turn = itertools.cycle(VERSIONS)

    def once(folder: Path) -> Iterator[Got]:
        version = next(turn)
        for name in ("a.bin", "b.bin"):
            url = f"{scene.base}/trees/trees/files@{version}/{name}"
            check(run("curl", "--fail", "--silent", "--show-error", "--range", "0-999", "-o", folder / name, url))
            check(run("curl", "--fail", "--silent", "--show-error", "-C", "-", "-o", folder / name, url))
            yield Got(version, name, folder / name)

    return once


def pip(scene: Scene) -> Once:
    """Downloads the newest version that it sees, with a cache that stays."""
    scene.publish("pypi", "acme-tool", lambda version: wheel("acme-tool", version))
    python = python_with(f"pip=={PIP}") / "python"
    command: list[str | Path] = [python, "-m", "pip", "download", "--no-deps", "--disable-pip-version-check"]
    options: list[str | Path] = ["--cache-dir", scene.folder / "cache", "--index-url", f"{scene.base}/pypi/simple/"]

    def once(folder: Path) -> Iterator[Got]:
        check(run(*command, *options, "acme-tool", env={"PIP_CONFIG_FILE": "/dev/null"}, cwd=folder))
        (file,) = folder.iterdir()
        yield Got(file.name.split("-")[1], file.name, file)

    return once


def npm(scene: Scene) -> Once:
    """Installs a package, with a cache that stays: what is in its tarball lies in its folder."""
    scripts = {version: f"#!/usr/bin/env node\nconsole.log('{version}')\n" for version in VERSIONS}
    scene.publish("npm", "acme-hello", lambda version: tgz("acme-hello", version, scripts[version]))
    for version in VERSIONS:
        scene.know(version, "i.js", scripts[version])
    client = Npm(scene.folder, scene.base)

    def once(folder: Path) -> Iterator[Got]:
        check(client.run("install", "--no-audit", "--no-fund", "acme-hello@latest", folder=folder))
        package = folder / "node_modules/acme-hello"
        yield Got(json.loads((package / "package.json").read_text())["version"], "i.js", package / "i.js")

    return once


def hub(scene: Scene, release: str, model: str) -> Once:
    """One file and a whole snapshot of ``main``, with a new cache and with one that stays."""

    def files(version: str) -> Files:
        config = {"model_type": "bert", "hidden_size": 8, "v": version}
        weights = safetensors(version[0].encode() * 200_000)
        return {"config.json": json.dumps(config), "model.safetensors": weights, "sub/notes.txt": version}

    scene.publish("hub", f"acme--{model}", files)
    env = {"HF_ENDPOINT": f"{scene.base}/hub", "HF_HOME": str(scene.folder), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    python = python_with(f"huggingface_hub=={release}") / "python"
    versions: dict[str, str] = {}  # by commit

    def once(folder: Path) -> Iterator[Got]:
        if not versions:
            of_model = f"/hub/api/models/acme/{model}/revision/"
            versions.update({scene.asked(of_model + version)["sha"]: version for version in VERSIONS})
        what = {"repo_id": f"acme/{model}", "revision": "main"}
        one = {"do": "file", "filename": "model.safetensors", **what}
        steps = [one | {"cache_dir": str(folder / "file")}]
        steps += [{"do": "snapshot", **what, "cache_dir": str(folder / "cold")}]
        steps += [{"do": "snapshot", **what, "cache_dir": str(scene.folder / "warm")}]
        said = json.loads(check(run(python, hub_script.__file__, json.dumps(steps), env=env)).splitlines()[-1])
        failed = [step for step in said if "error" in step]
        if failed:
            raise AssertionError(str(failed)[-600:])
        for cache in (folder / "file", folder / "cold", scene.folder / "warm"):
            yield from _snapshots(cache, versions)

    return once


def _snapshots(cache: Path, versions: Mapping[str, str]) -> Iterator[Got]:
    """Every file of every commit that a cache holds."""
    for commit in cache.glob("models--*/snapshots/*"):
        for file in commit.rglob("*"):
            if not file.is_dir():
                yield Got(versions[commit.name], str(file.relative_to(commit)), file)


def _image(version: str) -> tuple[Files, str]:
    """A layout of two layers, the first alike in all versions; and the digest of its image."""
    layout = ImageLayout()
    image = layout.image({"base": "same for all"}, {"own": version * 1000})
    digest = layout.name(image, f"docker.io/library/box:{version}")
    layout.name(image, "docker.io/library/box:latest")
    return layout.files(), digest


def skopeo(scene: Scene) -> Once:
    """Copies ``latest``: each blob."""
    scene.publish("oci", "box", lambda version: _image(version)[0])
    versions = {_image(version)[1]: version for version in VERSIONS}
    source = f"docker://{scene.base.removeprefix('http://')}/box:latest"

    def once(folder: Path) -> Iterator[Got]:
        copy = ("copy", "--preserve-digests", "--src-tls-verify=false")
        check(run("skopeo", *copy, source, f"oci:{folder}:box:latest"))
        (entry,) = json.loads((folder / "index.json").read_text())["manifests"]
        for blob in (folder / "blobs/sha256").iterdir():
            yield Got(versions[entry["digest"]], f"blobs/sha256/{blob.name}", blob)

    return once


def docker(scene: Scene) -> Once:
    """Pulls ``latest``, and looks at the file that its second layer brought."""
    scene.publish("oci", "crate", lambda version: _crate(version)[0])
    versions = {_crate(version)[1]: version for version in VERSIONS}
    for version in VERSIONS:
        scene.know(version, "own", version * 1000)
    name = f"{scene.base.removeprefix('http://')}/crate:latest"

    def forget() -> None:
        run("docker", "rmi", "--force", name)

    scene.until.callback(forget)

    def once(folder: Path) -> Iterator[Got]:
        forget()
        said = check(run("docker", "pull", name)).splitlines()
        (digest,) = (line.removeprefix("Digest: ") for line in said if line.startswith("Digest: "))
        created = check(run("docker", "create", name, "/none")).strip()
        check(run("docker", "cp", f"{created}:/own", folder / "own"))
        check(run("docker", "rm", created))
        yield Got(versions[digest], "own", folder / "own")

    return once


def _crate(version: str) -> tuple[Files, str]:
    layout = ImageLayout()
    image = layout.image({"own": version * 1000, "other": "crate"})
    digest = layout.name(image, "docker.io/library/crate:latest")
    return layout.files(), digest


def mcp(scene: Scene) -> Once:
    """Asks the registry for the latest version of a server, and fetches the package that it names."""

    def files(version: str) -> Files:
        package = f"no real one: {version}".encode() * 1000
        said: dict[str, Any] = {"registryType": "mcpb", "fileSha256": hashlib.sha256(package).hexdigest()}
        said |= {"identifier": f"https://example.org/acme-{version}.mcpb", "transport": {"type": "stdio"}}
        fields = {"name": "com.example/acme", "description": f"version {version}", "version": version}
        return {"server.json": json.dumps({**fields, "packages": [said]}), "acme.mcpb": package}

    scene.publish("mcp", "acme", files)

    def once(folder: Path) -> Iterator[Got]:
        listed = [one["server"]["version"] for one in scene.asked("/mcp/v0.1/servers?version=latest")["servers"]]
        server = scene.asked("/mcp/v0.1/servers/com.example%2Facme/versions/latest")["server"]
        if server["description"] != f"version {server['version']}" or len(listed) != 1:
            raise AssertionError(f"listed: {listed}; answered: {server}")
        with urllib.request.urlopen(server["packages"][0]["identifier"], timeout=PATIENCE_S) as answer:
            (folder / "acme.mcpb").write_bytes(answer.read())
        yield Got(server["version"], "acme.mcpb", folder / "acme.mcpb")

    return once


CLIENTS: Final[Mapping[str, tuple[Client, str]]] = {  # and what it needs
    "apt": (apt, "apt"),
    "curl": (curl, "curl and wget"),
    "dnf": (dnf, "dnf"),
    "docker": (docker, "docker"),
    "mcp": (mcp, ""),
    "npm": (npm, "npm"),
    "pip": (pip, ""),
    "skopeo": (skopeo, "image tools"),
    **{name: (partial(hub, release=release, model=name), "") for name, release in HUBS.items()},
}
