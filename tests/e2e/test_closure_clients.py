"""What the check says is whole, the real clients install; what it names as missing, they miss too.

A set of Python packages crosses the diode. The other sets are judged as they are, and installed from a gateway, from a
repository in a folder, from a layout.
"""

import hashlib
import platform
import random
import re
import signal
import sys
from pathlib import Path

import pytest

from tests.apt import Apt, tool
from tests.clients import python_with, run
from tests.closure_sets import (
    DEBIANS,
    NODE_WORDS,
    NODES,
    PLATFORMS,
    PYTHONS,
    Made,
    debian_set,
    image_set,
    judge,
    node_set,
    python_set,
    without,
)
from tests.closure_trials import is_named
from tests.e2e.pair import Pair, pair
from tests.package_clients import Npm, uv
from tests.patience import until
from tests.sender.staging.test_stage import put
from tests.serving import Serving

pytestmark = pytest.mark.clients
TARGET = PYTHONS[0]
CLOSURE = f"""
[channels.default.intake.closure]
pypi = [{{ python = "{TARGET["python"]}", platform = "{TARGET["platform"]}" }}]
"""
PIP = "26.3"


@pytest.mark.skipif(
    (sys.version_info[:2], platform.machine()) != ((3, 11), "x86_64"),
    reason="the sets have compiled wheels for Python 3.11 on x86_64",
)
@pytest.mark.parametrize("seed", range(3))
async def test_what_is_whole_is_installed(tmp_path: Path, seed: int) -> None:
    """Pip downloads no build requirements: they are named. With them the set crosses, and pip and uv install it."""
    made = python_set(random.Random(seed))
    index, got, (root,) = put(tmp_path / "index", made.files), tmp_path / "got", made.roots
    pip = [str(python_with(f"pip=={PIP}") / "python"), "-m", "pip"]
    done = run(*pip, "download", "--no-index", "--find-links", index, "--dest", got, root)
    assert 0 == done.returncode, done.stderr
    async with pair(tmp_path / "pair") as link:
        config = link.folder / "sender/sender.toml"
        config.write_text(config.read_text() + CLOSURE)
        assert 3 == await checked(link, got)
        for name in ("builder-1.5-py3-none-any.whl", "helper-2.0-py3-none-any.whl"):
            (got / name).write_bytes(made.files[name])
        assert 0 == await checked(link, got)
        data = await crossed(link, got)
    clients = {"pip": [*pip, "install"], "uv": [str(uv()), "pip", "install", "--python", sys.executable]}
    for client, words in clients.items():
        target = tmp_path / client
        done = run(*words, "--no-index", "--find-links", data, "--target", target, root, env={"HOME": str(tmp_path)})
        assert 0 == done.returncode, done.stderr
        assert (target / root.replace("-", "_")).is_dir()


async def checked(link: Pair, folder: Path) -> int:
    """The exit code of the check."""
    return await (await link.sender("intake", "check", "--from", "pypi", "--json", str(folder))).ended()


async def crossed(link: Pair, folder: Path) -> Path:
    """Send a folder; where the inbox has its files."""
    receiver = await link.receiver("--no-progress")
    await link.diode()
    pack = ["pack", "--from", "pypi", "--json", "--name", "set", "--version", "1", str(folder)]
    assert 0 == await (await link.sender(*pack)).ended()
    assert 0 == await (await link.sender("run", "--until-idle", "--json")).ended()
    data = link.inbox / "default/set/1/data"
    await until(data.is_dir, "it is published")
    receiver.signal(signal.SIGTERM)
    assert 0 == await receiver.ended()
    return data


@pytest.mark.needs("npm")
@pytest.mark.parametrize("seed", range(4))
def test_npm_installs_what_is_whole(tmp_path: Path, seed: int) -> None:
    """Each target gets its compiled part; with one package gone, npm fails, or leaves an optional part out."""
    made = node_set(random.Random(seed))
    less = without(made)
    assert 0 == judge(made.settings, made.files).missing
    assert is_named(made, judge(made.settings, less))
    whole, part = (npm_installs(tmp_path / name, files, made) for name, files in (("w", made.files), ("l", less)))
    assert [True] * 3 == whole
    assert [place not in made.targets for place in range(3)] == part


def npm_installs(folder: Path, files: dict[str, bytes], made: Made) -> list[bool]:
    """Whether npm installs a set from a gateway, for each target, with the part that is compiled for it."""
    folder.mkdir()
    serving = Serving(folder, {"packages": ("npm",)})
    serving.publish("packages", "set", "1", files)
    got = []
    with serving.running() as base:
        for target, word in zip(NODES, NODE_WORDS, strict=True):
            words = [f"--{key}={value}" for key, value in target.items()]
            project = folder / word
            done = Npm(folder, base).run("install", *made.roots, *words, "--no-audit", "--no-fund", folder=project)
            parts = {path.name for path in project.glob("node_modules/@native/*")}
            assert done.returncode or parts <= {word}
            got.append(not done.returncode and parts == {word})
    return got


@pytest.mark.needs("apt")
@pytest.mark.parametrize("seed", range(4))
def test_apt_installs_what_is_whole(tmp_path: Path, seed: int) -> None:
    """Apt finds and fetches all of it, and dpkg installs it into a root; with one thing gone, its target fails."""
    made = with_real_debs(tmp_path / "trees", debian_set(random.Random(seed)))
    less = without(made)
    assert 0 == judge(made.settings, made.files).missing
    assert is_named(made, judge(made.settings, less))
    whole, part = (apt_installs(put(tmp_path / name, files), made) for name, files in (("w", made.files), ("l", less)))
    assert [True] * 3 == whole
    assert [place not in made.targets for place in range(3)] == part


def with_real_debs(folder: Path, made: Made) -> Made:
    """The same set with packages that dpkg-deb built, instead of text."""
    pairs = []
    for path in [path for path in made.files if path.startswith("dists/")]:
        for paragraph in made.files[path].decode().split("\n\n"):
            control, _, rest = paragraph.partition("Filename: ")
            tree = folder / hashlib.sha256(control.encode()).hexdigest()
            (tree / "DEBIAN").mkdir(parents=True)
            control += "Maintainer: demo <demo@example.org>\nDescription: x\n"
            (tree / "DEBIAN/control").write_text(control)
            file = rest.partition("\n")[0]
            tool("dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, folder / "built.deb")
            data = (folder / "built.deb").read_bytes()
            listed = f"Filename: {file}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"
            made.files[file] = data
            pairs.append((re.escape(f"Filename: {file}\n") + r"Size: \d+\nSHA256: \w+\n", listed))
    for path in [path for path in made.files if path.startswith("dists/")]:
        made.files[path] = replaced(made.files[path].decode(), pairs).encode()
    made.instead = replaced(made.instead, pairs)
    return made


def replaced(text: str, pairs: list[tuple[str, str]]) -> str:
    """The text with each of these patterns replaced."""
    for pattern, by in pairs:
        text = re.sub(pattern, by, text)
    return text


def apt_installs(root: Path, made: Made) -> list[bool]:
    """Whether apt installs every package of a repository, for each target, and dpkg agrees."""
    got = []
    for place, architecture in enumerate(DEBIANS):
        listed = made.files[f"dists/stable/main/binary-{architecture}/Packages"].decode()
        names = re.findall("^Package: (.*)$", listed, re.MULTILINE)
        apt = Apt.make(root / f"apt-{architecture}", f"deb [trusted=yes] copy:{root} stable main")
        config = apt.folder / "apt.conf"
        own = f'APT::Architecture "{architecture}";\nAPT::Architectures {{ "{architecture}"; }};\n'
        config.write_text(config.read_text().replace('APT::Architecture "amd64";\n', own))
        updated = apt.get("update", "--error-on=any")
        assert 0 == updated.returncode, updated.stderr
        plan = apt.get("install", "--simulate", names[0])
        fetched = apt.get("install", "--download-only", "--yes", names[0])
        debs = sorted((apt.folder / "cache/archives").glob("*.deb"))
        got.append(not plan.returncode and not fetched.returncode and is_installed(apt.folder / "root", debs))
        assert place in made.targets or len(debs) == len(names), fetched.stderr
    return got


def is_installed(root: Path, debs: list[Path]) -> bool:
    """Whether dpkg installs these files into an empty root."""
    for name in ("info", "updates"):
        (root / "var/lib/dpkg" / name).mkdir(parents=True)
    (root / "var/lib/dpkg/status").touch()
    force = ("--force-not-root", "--force-architecture", "--force-bad-path")
    return not run("dpkg", f"--root={root}", f"--log={root}/log", *force, "--install", *debs).returncode


@pytest.mark.needs("skopeo")
@pytest.mark.parametrize("seed", range(4))
def test_skopeo_copies_what_is_whole(tmp_path: Path, seed: int) -> None:
    """Each platform's image is copied; with one blob gone, a platform fails."""
    made = image_set(random.Random(seed))
    less = without(made)
    assert 0 == judge(made.settings, made.files).missing
    assert is_named(made, judge(made.settings, less))
    assert [True] * 3 == skopeo_copies(put(tmp_path / "whole", made.files))
    assert not all(skopeo_copies(put(tmp_path / "less", less)))


def skopeo_copies(layout: Path) -> list[bool]:
    """Whether skopeo copies the image of each platform."""
    got = []
    for each in PLATFORMS:
        system, processor = each.split("/")
        words = ("--insecure-policy", "--override-os", system, "--override-arch", processor)
        done = run("skopeo", *words, "copy", f"oci:{layout}:box:1", f"dir:{layout}-{processor}")
        got.append(not done.returncode)
    return got
