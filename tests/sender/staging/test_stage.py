"""Folders as upstream's tools write them: name, version and source of each, and what is refused."""

import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from diode.errors import DiodeError, LayoutError, SourceError
from diode.layouts.source import SourceFile, SourceKind, bundle_name, read_source, speaks_of, upstream_name
from sender.outbox.hashing import hash_content
from sender.staging.documents import date_of, sha512_of
from sender.staging.kinds import RECOGNISERS
from sender.staging.stage import Staged, stage
from sender.staging.unfinished import check_finished
from sender.staging.words import From
from tests.hub import Commits, hub, lay_out
from tests.images import one_image
from tests.needs import program
from tests.packages import sdist, tgz, wheel
from tests.packages import source as source_json

REVISION = "a1" * 20
NOW = "2026-11-29T00:00:00Z"
WEIGHTS = bytes(range(256)) * 32
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
COMMITS: Commits = {REVISION: {"README.md": b"# a model\n", "config.json": b"{}", "deep/weights.bin": WEIGHTS}}
SLAB_BYTES = 1 << 20
SERVER = {
    "name": "io.github.org/server",
    "description": "Greets",
    "version": "1.0.2",
    "packages": [
        {"registryType": "pypi", "identifier": "server", "version": "1.0.2", "transport": {"type": "stdio"}},
    ],
}


def put(folder: Path, files: Mapping[str, bytes | str]) -> Path:
    """Write files below a folder."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def staged(kind: From, folder: Path, tmp_path: Path, name: str | None = None, version: str | None = None) -> Staged:
    """Recognise a folder, and hold it against what hashing finds."""
    one = stage(kind, folder, name, version, links="refuse", ours=tmp_path / "ours", now=NOW)
    one.check(hash_content(one.sources, SLAB_BYTES))
    assert one.made is None or one.source == read_source(one.made)
    assert speaks_of(one.source, one.name)
    return one


def paths(one: Staged) -> list[str]:
    """What is packed."""
    return [source.path for source in one.sources]


def labelled(one: Staged) -> tuple[str, str | None, str, str | None]:
    """Name and version of the bundle, upstream's name and revision."""
    return one.name, one.version, one.source.name, one.source.revision


def hf(endpoint: str, home: Path, *arguments: str) -> None:
    """Run the library's own command."""
    command = Path(sys.executable).with_name("hf")
    if not command.exists():
        pytest.skip("huggingface_hub is not installed: pip install diode[artefacts]")
    settings = {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
    env = {**os.environ, **settings, "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    subprocess.run([str(command), *arguments], env=env, check=True, capture_output=True)


@pytest.mark.parametrize(("type_", "kind"), [("model", "model"), ("dataset", "dataset")])
def test_a_snapshot_that_hf_downloaded(tmp_path: Path, type_: str, kind: str) -> None:
    """Its folders say name and revision, its list of files upstream's digests, its refs the tags."""
    with hub({f"{type_}s/org/name": COMMITS}) as endpoint:
        hf(endpoint, tmp_path / "home", "download", "org/name", "--repo-type", type_)
    repository = tmp_path / "home/hub" / f"{type_}s--org--name"
    for folder in (repository, repository / "snapshots" / REVISION):
        one = staged(From.HF, folder, tmp_path)
        assert ("org--name", REVISION[:12], "org/name", REVISION) == labelled(one)
        assert (kind, ["main"]) == (one.source.kind, one.source.tags)
        assert SourceFile(sha256=SHA256) == one.source.files["deep/weights.bin"]
        assert ["README.md", "config.json", "deep/weights.bin", "source.json"] == paths(one)


def test_a_local_dir_that_hf_downloaded(tmp_path: Path) -> None:
    """Its metadata say revision and digests; what the library keeps for itself is not packed."""
    folder = tmp_path / "local"
    with hub({"models/org/name": COMMITS}) as endpoint:
        hf(endpoint, tmp_path / "home", "download", "org/name", "--local-dir", str(folder))
    one = staged(From.HF, folder, tmp_path, "org--name")
    assert ("org--name", REVISION[:12], "org/name", REVISION) == labelled(one)
    assert ["README.md", "config.json", "deep/weights.bin", "source.json"] == paths(one)
    assert SHA256 == one.source.files["deep/weights.bin"].sha256
    info = {"id": "org/name", "sha": REVISION, "lastModified": "2026-05-04T09:30:00.123Z"}
    put(folder, {".cache/huggingface/info.json": json.dumps(info)})
    one = staged(From.HF, folder, tmp_path)
    assert ("org/name", "2026-05-04T09:30:00Z") == (one.source.name, one.source.uploaded)
    put(folder, {"README.md": "changed"})
    with pytest.raises(SourceError, match="not what upstream has: git calls that"):
        staged(From.HF, folder, tmp_path)
    (folder / "README.md").unlink()
    with pytest.raises(LayoutError, match="not there any more"):
        staged(From.HF, folder, tmp_path)


def test_a_weight_that_was_changed(tmp_path: Path) -> None:
    """A file of a cache that does not have the digest by which its blob is called is refused."""
    folder = lay_out(tmp_path, "models--org--name", COMMITS)
    (folder / "blobs" / SHA256).write_bytes(WEIGHTS[::-1])
    with pytest.raises(SourceError, match="not what upstream has"):
        staged(From.HF, folder / "snapshots" / REVISION, tmp_path)


def pip_download(tmp_path: Path, index: Mapping[str, bytes], *wanted: str) -> Path:
    """A folder that pip itself filled."""
    put(tmp_path / "index", index)
    command = [sys.executable, "-m", "pip", "download", "--no-index", "--no-deps", "--no-build-isolation"]
    where = ["--find-links", str(tmp_path / "index"), "--dest", str(tmp_path / "got")]
    env = {**os.environ, "PIP_FIND_LINKS": ""}
    subprocess.run([*command, *where, *wanted], check=True, capture_output=True, env=env)
    return tmp_path / "got"


def test_a_wheel_that_pip_downloaded(tmp_path: Path) -> None:
    """One project, one version; dates and digests by what the simple interface says, which is not packed."""
    (made,) = wheel("Num.Py", "2.4.6").items()
    folder = pip_download(tmp_path, dict([made]), "num-py==2.4.6")
    assert ("num-py", "2.4.6", "num-py", "2.4.6") == labelled(staged(From.PYPI, folder, tmp_path))
    (name,) = (path.name for path in folder.iterdir())
    digest = hashlib.sha256(made[1]).hexdigest()
    said: dict[str, Any] = {"filename": name, "url": f"https://files.example/{name}", "hashes": {"sha256": digest}}
    said |= {"upload-time": "2026-08-20T11:05:13.123456Z"}
    simple = {"meta": {"api-version": "1.1"}, "name": "num-py", "files": [said]}
    put(folder, {"simple.json": json.dumps(simple)})
    one = staged(From.PYPI, folder, tmp_path)
    file = SourceFile(uploaded="2026-08-20T11:05:13Z", sha256=digest, url=said["url"])
    assert ({name: file}, sorted([name, "source.json"])) == (one.source.files, sorted(paths(one)))
    said["hashes"]["sha256"] = "0" * 64
    put(folder, {"simple.json": json.dumps(simple)})
    with pytest.raises(SourceError, match="not what upstream has"):
        staged(From.PYPI, folder, tmp_path)


def test_several_projects_have_the_folders_name(tmp_path: Path) -> None:
    """And a person's name and version win."""
    folder = put(tmp_path / "tools@3", wheel("a", "1") | wheel("b", "2") | sdist("b", "2.1"))
    assert ("tools", "3", "tools", None) == labelled(staged(From.PYPI, folder, tmp_path))
    assert ("mine", "9", "mine", None) == labelled(staged(From.PYPI, folder, tmp_path, "mine", "9"))


@pytest.mark.needs("npm")
def test_a_package_that_npm_packed(tmp_path: Path) -> None:
    """Name and version by its own package.json; digests by a lock file and by what npm printed."""
    package = {"name": "@scope/pkg", "version": "1.4.0"}
    put(tmp_path / "code", {"package.json": json.dumps(package), "i.js": ""})
    (folder := tmp_path / "got").mkdir()
    npm = str(program("npm"))
    pack = [npm, "pack", str(tmp_path / "code"), "--json", "--pack-destination", str(folder)]
    printed = subprocess.run(pack, check=True, capture_output=True, cwd=folder).stdout
    one = staged(From.NPM, folder, tmp_path)
    assert ("scope--pkg", "1.4.0", "@scope/pkg", "1.4.0") == labelled(one)
    put(folder, {"pack.json": printed})
    (file,) = staged(From.NPM, folder, tmp_path).source.files.values()
    digest = hashlib.sha512((folder / "scope-pkg-1.4.0.tgz").read_bytes()).hexdigest()
    assert digest == file.sha512
    put(tmp_path / "user", {"package.json": '{"name": "user", "version": "1.0.0"}'})
    install = [npm, "install", "--offline", "--no-audit", str(folder / "scope-pkg-1.4.0.tgz")]
    subprocess.run(install, check=True, capture_output=True, cwd=tmp_path / "user")
    put(folder, {"package-lock.json": (tmp_path / "user/package-lock.json").read_bytes()})
    one = staged(From.NPM, folder, tmp_path)
    assert digest == one.source.files["scope-pkg-1.4.0.tgz"].sha512
    assert ["package-lock.json", "scope-pkg-1.4.0.tgz", "source.json"] == paths(one)
    view = {"name": "@scope/pkg", "version": "1.4.0", "dist-tags": {"latest": "1.4.0", "old": "1.3.0"}}
    put(folder, {"view.json": json.dumps(view | {"time": {"1.4.0": "2026-07-01T00:00:00.000Z"}})})
    one = staged(From.NPM, folder, tmp_path)
    assert (["latest"], "2026-07-01T00:00:00Z") == (
        one.source.tags,
        one.source.files["scope-pkg-1.4.0.tgz"].uploaded,
    )
    (folder / "scope-pkg-1.4.0.tgz").write_bytes(next(iter(tgz("@scope/pkg", "1.4.0").values())))
    with pytest.raises(SourceError, match="another digest than is said"):
        staged(From.NPM, folder, tmp_path)


@pytest.mark.needs("image tools")
def test_a_layout_that_skopeo_copied(tmp_path: Path) -> None:
    """Name and tag by its annotation, the date by the image's configuration."""
    files, digest = one_image("docker.io/library/box:17")
    put(tmp_path / "first", files)
    to = f"oci:{tmp_path}/copied:docker.io/library/box:17"
    command = ["skopeo", "--insecure-policy", "copy", f"oci:{tmp_path}/first:docker.io/library/box:17", to]
    subprocess.run(command, check=True, capture_output=True)
    one = staged(From.OCI, tmp_path / "copied", tmp_path)
    assert ("box", "17", "docker.io/library/box", digest) == labelled(one)
    assert ["17"] == one.source.tags


def test_a_layout_with_a_bare_tag_has_the_folders_name(tmp_path: Path) -> None:
    """As ``skopeo copy ... oci:DIR:TAG`` writes it."""
    files, digest = one_image("17")
    one = staged(From.OCI, put(tmp_path / "box", files), tmp_path)
    assert ("box", "17", "box", digest) == labelled(one)


@pytest.mark.needs("apt")
def test_a_repository_of_apt_ftparchive(tmp_path: Path) -> None:
    """Name by origin and codename, date and version by its Release, digests of its indexes."""
    from tests.apt import build_apt

    folder = put(tmp_path / "mirror", build_apt(tmp_path, "1.0", None))
    one = staged(From.APT, folder, tmp_path)
    assert ("demo-stable", "20261101T010000Z", "demo-stable", "stable") == labelled(one)
    index = "dists/stable/main/binary-amd64/Packages"
    assert hashlib.sha256((folder / index).read_bytes()).hexdigest() == one.source.files[index].sha256
    with (folder / index).open("a") as file:
        file.write("\n")
    with pytest.raises(SourceError, match="not what upstream has"):
        staged(From.APT, folder, tmp_path)


def test_a_server_with_its_packages(tmp_path: Path) -> None:
    """By its document; packages of other kinds may lie beside it."""
    official = {"io.modelcontextprotocol.registry/official": {"publishedAt": "2026-10-10T08:00:00.1Z"}}
    document = json.dumps(SERVER | {"_meta": official})
    files = {"server.json": document.encode(), **wheel("server", "1.0.2")}
    one = staged(From.MCP, put(tmp_path / "x", files), tmp_path)
    assert ("io.github.org--server", "1.0.2", "io.github.org/server", "1.0.2") == labelled(one)
    assert "2026-10-10T08:00:00Z" == one.source.uploaded


def test_identity_material_needs_a_name(tmp_path: Path) -> None:
    """A certificate of openssl's is known by its content."""
    (folder := tmp_path / "ca").mkdir()
    made = ["-keyout", str(tmp_path / "key"), "-out", str(folder / "root")]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=root", *made]
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(LayoutError, match="give --name"):
        staged(From.IDENTITY, folder, tmp_path)
    one = staged(From.IDENTITY, folder, tmp_path, "roots")
    assert ("files", "roots", None) == (one.source.kind, one.name, one.version)


AMISS: dict[str, tuple[From, Mapping[str, bytes | str], type[DiodeError], str]] = {
    "empty": (From.PYPI, {}, LayoutError, "holds no files"),
    "nothing of the kind": (From.NPM, wheel("a", "1"), LayoutError, "looks like --from pypi"),
    "two kinds": (From.PYPI, wheel("a", "1") | tgz("b", "1.0.0"), LayoutError, "two kinds at once: pypi and npm"),
    "a server among packages": (From.PYPI, wheel("a", "1") | {"server.json": "{}"}, LayoutError, "pypi and mcp"),
    "being written": (From.PYPI, wheel("a", "1") | {"b.whl.part": "x"}, SourceError, "while something is written"),
    "a mirror being updated": (
        From.APT,
        {"dists/x/Release": "Origin: x\n", "Archive-Update-in-Progress-host": ""},
        SourceError,
        "while something is written",
    ),
    "no server": (From.MCP, {"server.json": "[]"}, LayoutError, "server.json"),
    "no layout": (From.OCI, {"oci-layout": "{}", "index.json": "[]"}, LayoutError, "no JSON object"),
    "no package": (From.NPM, {"a-1.0.0.tgz": b"x"}, LayoutError, "a-1.0.0.tgz"),
    "json that is none": (From.PYPI, wheel("a", "1") | {"simple.json": "{"}, LayoutError, "cannot be understood"),
    "another source": (From.PYPI, wheel("a", "1") | source_json("pypi", "b"), LayoutError, "name: b there, a by"),
    "another revision": (
        From.PYPI,
        wheel("a", "1") | source_json("pypi", "a", revision="2"),
        LayoutError,
        "revision: 2 there, 1 by the layout",
    ),
    "a date to come": (
        From.PYPI,
        wheel("a", "1") | source_json("pypi", "a", uploaded="2027-01-01T00:00:00Z"),
        LayoutError,
        "not yet",
    ),
    "no source": (From.PYPI, wheel("a", "1") | {"source.json": "{}"}, LayoutError, "source.json"),
}


@pytest.mark.parametrize(("kind", "files", "error", "said"), AMISS.values(), ids=AMISS)
def test_what_is_refused(
    tmp_path: Path, kind: From, files: Mapping[str, bytes | str], error: type[DiodeError], said: str
) -> None:
    """With a reason, and nothing is changed."""
    (tmp_path / "x").mkdir()
    folder = put(tmp_path / "x", files)
    with pytest.raises(error, match=said):
        staged(kind, folder, tmp_path)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == {
        folder / path: content.encode() if isinstance(content, str) else content for path, content in files.items()
    }
    assert not (tmp_path / "ours").exists() or error is SourceError or said == "not yet"


def test_a_link_out_of_the_folder(tmp_path: Path) -> None:
    """Is refused, as by ``pack``."""
    folder = put(tmp_path / "x", wheel("a", "1"))
    (folder / "b.txt").symlink_to("/etc/hostname")
    with pytest.raises(SourceError, match="symbolic link"):
        staged(From.PYPI, folder, tmp_path)


def test_a_file_that_is_open_for_writing(tmp_path: Path) -> None:
    """Is refused while a process can write it, and not while one reads it."""
    folder = put(tmp_path / "x", wheel("a", "1"))
    (path,) = folder.iterdir()
    with path.open("rb"):
        assert "a" == staged(From.PYPI, folder, tmp_path).name
    with path.open("ab"), pytest.raises(SourceError, match=f"open for writing by process {os.getpid()}"):
        staged(From.PYPI, folder, tmp_path)


def test_a_source_that_agrees_is_taken_as_it_is(tmp_path: Path) -> None:
    """And none is made."""
    folder = put(tmp_path / "x", wheel("a", "1") | source_json("pypi", "A", uploaded="2026-01-01T00:00:00Z"))
    one = staged(From.PYPI, folder, tmp_path)
    assert (None, "2026-01-01T00:00:00Z", 2) == (one.made, one.source.uploaded, len(one.sources))


def test_a_document_that_changes_before_it_is_hashed(tmp_path: Path) -> None:
    """What was read is what is hashed."""
    folder = put(tmp_path / "x", {"server.json": json.dumps(SERVER)})
    one = stage(From.MCP, folder, None, None, links="refuse", ours=tmp_path / "ours", now=NOW)
    changed = Staged(one.name, one.version, one.sources, one.source, one.made, {"server.json": "0" * 64})
    with pytest.raises(SourceError, match="changed after it was read"):
        changed.check(hash_content(one.sources, SLAB_BYTES))


@pytest.mark.parametrize(
    ("said", "date"),
    [
        ("2026-09-09T02:03:04.123456789+02:00", "2026-09-09T00:03:04Z"),
        ("2026-08-20T11:05:13.123456Z", "2026-08-20T11:05:13Z"),
        ("Sun, 01 Nov 2026 01:00:00 UTC", "2026-11-01T01:00:00Z"),
        ("1970-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00Z", None),
        ("9999-99-99", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_dates(said: str, date: str | None) -> None:
    """In the spellings of registries, and none that a build wrote to be repeatable."""
    assert date == date_of(said)


@pytest.mark.parametrize(
    ("kind", "upstream", "bundle"),
    [
        ("model", "Org/Name", "Org--Name"),
        ("model", "gpt2", "gpt2"),
        ("pypi", "num-py", "num-py"),
        ("npm", "@scope/pkg", "scope--pkg"),
        ("npm", "pkg", "pkg"),
        ("oci", "ghcr.io/org/box", "ghcr.io--org--box"),
        ("mcp", "io.github.org/server", "io.github.org--server"),
        ("apt", "debian-trixie", "debian-trixie"),
    ],
)
def test_names_of_bundles(kind: SourceKind, upstream: str, bundle: str) -> None:
    """Each name gives the other."""
    assert (bundle, upstream) == (bundle_name(kind, upstream), upstream_name(kind, bundle))


def test_integrities() -> None:
    """As npm writes them; other digests are no SHA-512."""
    digest = hashlib.sha512(b"x").digest()
    assert digest.hex() == sha512_of(f"sha1-AAAA sha512-{base64.b64encode(digest).decode()}?opt")
    assert [None, None] == [sha512_of("sha512-AAAA"), sha512_of("sha512-?")]


def test_every_kind_has_a_recogniser() -> None:
    """Whatever can be typed is known."""
    assert set(From) == set(RECOGNISERS)
    check_finished([])
