"""Lock files that were made outside, with upstream's host names, install here and stay as they are."""

import json
import sys
from pathlib import Path

import pytest

from receiver.gateway.clients import npm as npm_lines
from receiver.gateway.clients.lines import Place
from tests.package_clients import Npm, Uv, Watched, uv, version_in
from tests.packages import tgz, wheel
from tests.serving import Serving
from tests.upstream_hosts import Upstream, in_a_network_of_its_own

pytestmark = pytest.mark.clients

WHY = "leaks secrets"
PROJECT = '[project]\nname = "mine"\nversion = "1"\nrequires-python = ">=3.8"\ndependencies = ["acme-tool"]\n'


def served(folder: Path) -> Serving:
    """Both kinds, nothing in them."""
    return Serving(folder, {"python": ("pypi",), "js": ("npm",)})


def python_packages() -> dict[str, bytes]:
    """A package, and what it needs."""
    return {**wheel("acme-tool", "1.0", needs=("acme-base",)), **wheel("acme-base", "1.5")}


def npm_packages() -> dict[str, bytes]:
    """The same for npm."""
    return {**tgz("acme-lib", "1.0.0", dependencies={"b": "^1"}), **tgz("b", "1.2.0")}


@pytest.fixture
def outside(tmp_path: Path) -> Serving:
    """Upstream."""
    serving = served(tmp_path / "outside")
    serving.publish("python", "all", "1", python_packages())
    serving.publish("js", "all", "1", npm_packages())
    return serving


@pytest.mark.needs("network namespaces")
def test_a_lock_of_uv_installs_unchanged(tmp_path: Path, outside: Serving) -> None:
    """By ``--frozen``, ``--locked`` and plain; after a recall it fails with the reason, warm and cold."""
    inside, project = served(tmp_path / "inside"), tmp_path / "project"
    bundle = inside.publish("python", "acme", "1", python_packages())
    project.mkdir()
    (project / "pyproject.toml").write_text(PROJECT)
    upstream = Upstream(tmp_path / "upstream", outside)
    program = uv()

    def sync(*words: str, cache: str = "cache") -> tuple[int, str]:
        env = {
            "PATH": "/usr/bin:/bin:/usr/sbin",
            "HOME": str(tmp_path),
            "SSL_CERT_FILE": str(upstream.ca),
            "UV_CACHE_DIR": str(tmp_path / cache),
            "UV_PYTHON": sys.executable,
            "UV_PYTHON_DOWNLOADS": "never",
        }
        done = upstream.run(program, *words, env=env, cwd=project)
        return done.returncode, done.stdout + done.stderr

    def story() -> None:
        with upstream.running():
            code, said = sync("lock", cache="outside")
            assert code == 0, said
            locked = (project / "uv.lock").read_bytes()
            assert b"https://files.pythonhosted.org/packages/" in locked
            upstream.serving = inside
            for number, words in enumerate(([], ["--locked"], ["--frozen"])):
                code, said = sync("sync", "--reinstall", *words, cache=f"cache{number}")
                assert code == 0, said
                (site,) = (project / ".venv/lib").glob("python*/site-packages")
                assert (version_in(site, "acme_tool"), version_in(site, "acme_base")) == ("1.0", "1.5")
                assert locked == (project / "uv.lock").read_bytes()
            inside.recall(bundle, WHY)
            for cache in ("cold", "cache0"):
                code, said = sync("sync", "--frozen", "--reinstall", cache=cache)
                assert (code != 0, WHY in said) == (True, True), said

    in_a_network_of_its_own(story)
    exported_installs(tmp_path, project)


def exported_installs(tmp_path: Path, project: Path) -> None:
    """The printed lines for who has no such hosts: export the lock, and install that with hashes from the gateway."""
    serving = served(tmp_path / "again")
    serving.publish("python", "acme", "1", python_packages())
    with serving.running(Watched(serving, "pypi").mounts) as base:
        client = Uv(tmp_path, base)
        words = ("export", "--offline", "--frozen", "--format", "requirements-txt", "--no-emit-project")
        exported = client.run(*words, "--python", sys.executable, cwd=project)
        assert exported.returncode == 0, exported.stderr
        (tmp_path / "requirements.txt").write_text(exported.stdout)
        done = client.install("--require-hashes", "-r", str(tmp_path / "requirements.txt"))
        assert done.returncode == 0, done.stderr
        assert client.version() == "1.0"


@pytest.mark.needs("network namespaces")
@pytest.mark.parametrize("wheel_of_node", ["18.18.0", "24.19.0"], ids=["npm-9.8.1", "npm-11.17.0"])
def test_a_lock_of_npm_installs_unchanged(tmp_path: Path, outside: Serving, wheel_of_node: str) -> None:
    """Where the gateway has the registry's name; after a recall it fails with the reason."""
    inside, project, home = served(tmp_path / "inside"), tmp_path / "project", tmp_path / "home"
    bundle = inside.publish("js", "acme", "1", npm_packages())
    home.mkdir()
    project.mkdir()
    (project / "package.json").write_text('{"name": "mine", "version": "1.0.0", "dependencies": {"acme-lib": "^1"}}')
    upstream = Upstream(tmp_path / "upstream", outside)
    npm = Npm(home, "", wheel_of_node)
    assert npm.path is not None
    program = npm.path / "npm"

    def run(word: str, cache: str) -> tuple[int, str]:
        env = {**npm.env(), "npm_config_cache": str(tmp_path / cache), "NODE_EXTRA_CA_CERTS": str(upstream.ca)}
        (home / ".npmrc").write_text("prefer-online=true\n")
        done = upstream.run(program, word, env=env, cwd=project)
        return done.returncode, done.stdout + done.stderr

    def story() -> None:
        with upstream.running():
            code, said = run("install", "outside-cache")
            assert code == 0, said
            locked = (project / "package-lock.json").read_bytes()
            assert b'"https://registry.npmjs.org/acme-lib/-/acme-lib-1.0.0.tgz"' in locked
            upstream.serving = inside
            for word in ("ci", "install"):
                code, said = run(word, f"cache-{word}")
                assert code == 0, said
                assert locked == (project / "package-lock.json").read_bytes()
            inside.recall(bundle, WHY)
            code, said = run("ci", "cold")
            assert (code != 0, WHY in said) == (True, True), said

    in_a_network_of_its_own(story)


@pytest.mark.parametrize("wheel_of_node", ["18.18.0", "24.19.0"], ids=["npm-9.8.1", "npm-11.17.0"])
def test_a_lock_of_npm_installs_by_the_gateways_own_line(tmp_path: Path, outside: Serving, wheel_of_node: str) -> None:
    """Where nobody has upstream's names: npm puts the registry of its configuration in their place."""
    home, project = tmp_path / "home", tmp_path / "project"
    home.mkdir()
    with outside.running(Watched(outside, "npm").mounts) as base:
        npm = Npm(home, base, wheel_of_node)
        made = npm.run("install", "acme-lib", folder=project)
        assert made.returncode == 0, made.stderr
        lock = project / "package-lock.json"
        lock.write_text(lock.read_text().replace(f"{base}/_npm", "https://registry.npmjs.org"))
        locked = lock.read_bytes()
        npm.cache = "cold"
        more = npm_lines.lines(Place(f"{base}/_npm"))[1].text
        (project / ".npmrc").write_text(f"{more}\n")
        done = npm.run("ci", folder=project)
        assert done.returncode == 0, done.stdout + done.stderr
        assert locked == lock.read_bytes()
        assert json.loads((project / "node_modules/b/package.json").read_text())["version"] == "1.2.0"
