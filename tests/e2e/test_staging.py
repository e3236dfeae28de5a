"""Folders as upstream's own tools wrote them cross by ``--from``; the enclave knows what each is and how old it is."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from diode.layouts.source import Source
from tests.e2e.pair import Pair, pair
from tests.hub import hub
from tests.images import one_image
from tests.needs import need, program
from tests.packages import wheel
from tests.patience import PATIENCE_S, until
from tests.sender.staging.test_stage import COMMITS, REVISION, SERVER, hf, pip_download, put

Shown = tuple[str, str, str, str]  # name, version, date, what says so


def of_hf(folder: Path) -> Path:
    """A snapshot of ``hf download``, and what the hub says of it."""
    with hub({"models/org/name": COMMITS}) as endpoint:
        hf(endpoint, folder / "home", "download", "org/name")
    repository = folder / "home/hub/models--org--name"
    put(repository, {"info.json": json.dumps({"sha": REVISION, "lastModified": "2026-05-04T09:30:00.000Z"})})
    return repository / "snapshots" / REVISION


def of_pypi(folder: Path) -> Path:
    """A wheel of ``pip download``, and what the index says of it."""
    got = pip_download(folder, wheel("num-py", "2.4.6"), "num-py")
    (name,) = (path.name for path in got.iterdir())
    said = {"filename": name, "upload-time": "2026-08-20T11:05:13.1Z"}
    return put(got, {"simple.json": json.dumps({"meta": {"api-version": "1.1"}, "files": [said]})})


def of_npm(folder: Path) -> Path:
    """A package of ``npm pack``, and what the registry says of it."""
    need("npm")
    put(folder / "code", {"package.json": '{"name": "@scope/pkg", "version": "1.4.0"}'})
    (got := folder / "got").mkdir()
    pack = [str(program("npm")), "pack", str(folder / "code"), "--pack-destination", str(got)]
    subprocess.run(pack, check=True, capture_output=True, cwd=got)
    said = {"name": "@scope/pkg", "dist-tags": {"latest": "1.4.0"}, "time": {"1.4.0": "2026-07-01T00:00:00.000Z"}}
    return put(got, {"view.json": json.dumps(said)})


def of_oci(folder: Path) -> Path:
    """A layout of ``skopeo copy``, of an image that says when it was made."""
    need("image tools")
    files, _ = one_image("17")
    made = put(folder / "made", files)
    date = ["umoci", "config", "--image", f"{made}:17", "--created", "2026-09-09T00:00:00Z"]
    copy = ["skopeo", "--insecure-policy", "copy", f"oci:{made}:17", f"oci:{folder}/got:ghcr.io/org/box:17"]
    for command in (date, copy):
        subprocess.run(command, check=True, capture_output=True)
    return folder / "got"


def of_apt(folder: Path) -> Path:
    """A repository of ``apt-ftparchive``."""
    need("apt")
    from tests.apt import build_apt

    folder.mkdir()
    return put(folder / "mirror", build_apt(folder, "1.0", None))


def of_mcp(folder: Path) -> Path:
    """A server's document with its package."""
    official = {"io.modelcontextprotocol.registry/official": {"publishedAt": "2026-10-10T08:00:00Z"}}
    document = json.dumps(SERVER | {"_meta": official})
    return put(folder, {"server.json": document.encode(), **wheel("server", "1.0.2")})


def of_identity(folder: Path) -> Path:
    """A certificate of openssl's."""
    folder.mkdir()
    made = ["-keyout", str(folder.with_name("key")), "-out", str(folder / "root.pem")]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=root", *made]
    subprocess.run(command, check=True, capture_output=True)
    return folder


KINDS: dict[str, tuple[Callable[[Path], Path], Shown]] = {
    "hf": (of_hf, ("org--name", REVISION[:12], "2026-05-04T09:30:00Z", "source.json")),
    "pypi": (of_pypi, ("num-py", "2.4.6", "2026-08-20T11:05:13Z", "source.json")),
    "npm": (of_npm, ("scope--pkg", "1.4.0", "2026-07-01T00:00:00Z", "source.json")),
    "oci": (of_oci, ("ghcr.io--org--box", "17", "2026-09-09T00:00:00Z", "source.json")),
    "apt": (of_apt, ("demo-stable", "20261101T010000Z", "2026-11-01T01:00:00Z", "source.json")),
    "mcp": (of_mcp, ("io.github.org--server", "1.0.2", "2026-10-10T08:00:00Z", "source.json")),
    "identity": (of_identity, ("roots", "1", "", "built")),
}


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
async def test_a_folder_crosses_as_what_it_is(tmp_path: Path, kind: str) -> None:
    """The enclave shows name, version, date and source; the same folder is not sent twice."""
    make, expected = KINDS[kind]
    folder = make(tmp_path / "upstream")
    more = ["--name", "roots", "--version", "1"] if kind == "identity" else []
    async with pair(tmp_path / "pair") as link:
        receiver = await link.receiver("--no-progress")
        await link.diode()
        assert 0 == await (await link.sender("pack", "--from", kind, "--json", *more, str(folder))).ended()
        assert 0 == await (await link.sender("run", "--until-idle", "--json")).ended()
        name, version = expected[:2]
        data = link.inbox / "default" / name / version / "data"
        await until(data.is_dir, "it is published")
        Source.model_validate_json((data / "source.json").read_bytes())
        found = await shown(link, f"default/{name}@{version}")
        assert expected[2:] == (found["dated"] if expected[2] else "", found["dated_by"])
        assert not found["problems"]
        again = await link.sender("send", "--from", kind, "--json", *more, str(folder))
        assert 0 == await again.ended()
        assert 1 == len(list((link.folder / "sender/state/bundles").glob("????????????????")))
        receiver.signal(signal.SIGTERM)
        assert 0 == await receiver.ended()


async def shown(link: Pair, label: str) -> dict[str, Any]:
    """What the enclave's catalogue says of a bundle, once it was looked into."""
    ends = time.monotonic() + PATIENCE_S
    while True:
        process = await link.enclave("catalogue", "show", label, "--json")
        if await process.ended() == 0:
            found: dict[str, Any] = process.messages[0]
            return found
        assert time.monotonic() < ends, process.log


@pytest.mark.long
async def test_a_check_packs_nothing_while_the_daemon_runs(tmp_path: Path) -> None:
    """It says what would be refused; ledger, audit log and bundles stay as they are."""
    folder = put(tmp_path / "num-py", wheel("num-py", "2.4.6"))
    async with pair(tmp_path / "pair") as link:
        config = link.folder / "sender/sender.toml"
        config.write_text(config.read_text() + "\n[channels.small.intake]\nmax_files = 1\n")
        daemon = await link.sender("run", "--json", "--no-progress")
        await daemon.said("udp_path_chosen")
        before = state_of(link)
        whole = await link.sender("intake", "check", "--from", "pypi", "--json", str(folder))
        assert 0 == await whole.ended()
        (said,) = whole.messages
        assert ("num-py", "2.4.6", True) == (said["name"], said["version"], said["verdict"]["accepted"])
        refused = await link.sender("intake", "check", "--from", "pypi", "--json", "--channel", "small", str(folder))
        assert 14 == await refused.ended()
        wrong = await link.sender("intake", "check", "--from", "npm", str(folder))
        assert 2 == await wrong.ended()
        assert before == state_of(link)
        daemon.signal(signal.SIGTERM)
        assert 0 == await daemon.ended()


def state_of(link: Pair) -> tuple[list[str], list[bytes]]:
    """The bundles, and the audit log."""
    sender = link.folder / "sender"
    audit = sorted(path for path in sender.rglob("*.jsonl") if "audit" in str(path))
    assert audit
    return sorted(path.name for path in sender.glob("state/bundles/*")), [path.read_bytes() for path in audit]
