"""Intake by the real daemon: what passes crosses with a signed word of it, the rest lies in failed/ with a verdict."""

import json
import os
import pickle
import signal
import struct
import sys
from pathlib import Path
from typing import Any

import pytest

from diode.bundle.attestation import FOUND, open_attestation
from diode.bundle.manifest import read_manifest
from diode.trust.keys import read_public_key
from sender.intake.clamd import EICAR
from tests.clamd import real_clamd
from tests.e2e.pair import Pair, pair
from tests.patience import until
from tests.sender.intake.vendors import ModelSigner, statement


def safetensors() -> bytes:
    """A sound one with a single tensor."""
    header = json.dumps({"w": {"dtype": "U8", "shape": [64], "data_offsets": [0, 64]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(64)


MODEL = {"model.safetensors": safetensors(), "config.json": b'{"layers": 1}', "README.md": b"# A model\n"}
PICKLE = pickle.dumps({"weights": [1.0, 2.0]}, protocol=2)


def drop(link: Pair, name: str, files: dict[str, bytes]) -> None:
    """An item of channel weights."""
    for path, content in files.items():
        file = link.outbox / "weights" / name / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def declare(link: Pair, text: str) -> None:
    """What channel weights asks for."""
    config = link.folder / "sender/sender.toml"
    config.write_text(config.read_text() + f"\n[channels.weights.intake]\n{text}\n")


def refused(link: Pair, name: str) -> tuple[str, str, str]:
    """(reason, check, reason of the check) of an item in failed/."""
    assert (link.folder / "sender/failed/weights" / name).is_dir()
    folder = link.folder / "sender/failed/.reasons/weights"
    reason = json.loads((folder / f"{name}.reason.json").read_text())["reason"]
    verdict: dict[str, Any] = json.loads((folder / f"{name}.verdict.json").read_text())
    assert ("diode-intake-verdict-1", False) == (verdict["format"], verdict["accepted"])
    (check,) = [check for check in verdict["checks"] if check["outcome"] in ("rejected", "error")]
    return reason, check["name"], check["reason"]


@pytest.mark.long
async def test_weights_channel_takes_weights_alone(tmp_path: Path) -> None:
    """A signed, scanned, linted model arrives with its attestation; five bad ones do not, each for its own reason."""
    vendor = ModelSigner()
    with real_clamd(tmp_path / "clamd") as (socket, _):
        async with pair(tmp_path / "pair") as link:
            (link.folder / "sender/keys/hub.pem").write_bytes(vendor.public)
            declare(
                link,
                f"""types = ["safetensors", "json", "text"]
oms = {{ key = "keys/hub.pem" }}
clamd = {{ socket = "{socket}" }}""",
            )
            # the vendor signs what is bad as well: a signature says who made it, not that it is sound
            bad = {
                "tampered": MODEL | {"model.sig": vendor.sign(statement(MODEL)), "config.json": b'{"layers": 2}'},
                "extra": MODEL | {"model.sig": vendor.sign(statement(MODEL)), "more.txt": b"more"},
                "renamed": signed(vendor, {"model.safetensors": PICKLE}),
                "polyglot": signed(vendor, {"model.safetensors": PICKLE + safetensors()}),
                "virus": signed(vendor, {"notes.txt": EICAR}),
            }
            for name, files in bad.items():
                drop(link, f"{name}@1", files)
            drop(link, "good@1", signed(vendor, MODEL))
            receiver = await link.receiver("--bundles", "1", "--no-progress")
            await link.diode()
            sender = await link.sender("run", "--until-idle", "--json", "--no-progress")
            assert (3, 0) == (await sender.ended(), await receiver.ended())
            found = {name: refused(link, f"{name}@1") for name in bad}
            published = link.inbox / "weights/good/1"
            assert MODEL["model.safetensors"] == (published / "data/model.safetensors").read_bytes()
            assert ["good"] == [path.name for path in (link.inbox / "weights").iterdir()]
            check_attestation(link, published)
    assert {
        "tampered": ("intake", "oms", "digest"),
        "extra": ("intake", "oms", "file_extra"),
        "renamed": ("intake", "content", "content"),
        "polyglot": ("intake", "content", "content"),
        "virus": ("intake", "clamd", "malware"),
    } == found


def signed(vendor: ModelSigner, files: dict[str, bytes]) -> dict[str, bytes]:
    """As the vendor publishes them."""
    return files | {"model.sig": vendor.sign(statement(files))}


def check_attestation(link: Pair, published: Path) -> None:
    """The enclave holds staging's word, signed by its service key, about what was checked and by what."""
    manifest = read_manifest((published / "manifest.json").read_bytes())
    key = read_public_key(link.folder / "receiver/keys/services/sender.pub")
    predicate = open_attestation(manifest, [key])
    checks = {check["name"]: check for check in predicate[FOUND]["checks"]}
    assert ["limits", "content", "oms", "sbom", "clamd", "unchanged"] == list(checks)
    assert {"passed"} == {check["outcome"] for check in checks.values()}
    assert checks["clamd"]["tool"].startswith("ClamAV")
    assert ["data/model.sig"] == [paper["uri"] for paper in predicate["inputAttestations"]]


async def test_send_ends_with_14(tmp_path: Path) -> None:
    """One command, one item, one code; nothing is queued."""
    async with pair(tmp_path / "pair") as link:
        (tmp_path / "model.safetensors").write_bytes(PICKLE)
        for command in ("send", "pack"):
            sender = await link.sender(command, str(tmp_path / "model.safetensors"), "--channel", "weights", "--json")
            assert 14 == await sender.ended()
            assert any("content: content: 'model.safetensors': pickle" in line for line in sender.log)
        assert [] == list((link.folder / "sender/state/bundles").glob("*"))
        log = (link.folder / "sender/state/audit").glob("*.jsonl")
        assert 2 == sum(path.read_text().count('"intake_rejected"') for path in log)


async def test_keys_are_missed_at_the_start(tmp_path: Path) -> None:
    """A channel whose checks cannot be made is a mistake of the configuration, not of the first item."""
    async with pair(tmp_path / "pair") as link:
        declare(link, 'minisign = "keys/nobody.pub"')
        sender = await link.sender("run", "--until-idle")
        assert 2 == await sender.ended()
        assert any("keys/nobody.pub cannot be read: No such file" in line for line in sender.log)


async def test_what_passed_and_was_not_looked_into_is_logged(tmp_path: Path) -> None:
    """Nobody reads the attestation of an item that passed; the log says what its checks had to say."""
    async with pair(tmp_path / "pair") as link:
        (tmp_path / "a.7z").write_bytes(b"7z\xbc\xaf\x27\x1c\x00\x04" + bytes(64))
        sender = await link.sender("pack", str(tmp_path / "a.7z"), "--channel", "misc", "--json")
        assert 0 == await sender.ended()
        (passed,) = [json.loads(line) for line in sender.log if '"intake_passed"' in line]
        assert {"content": "not looked into: 1 7z"} == passed["noted"]


@pytest.mark.parametrize("word", ["run", pytest.param("send", marks=pytest.mark.long)])
async def test_interrupted_while_a_hook_hangs(tmp_path: Path, word: str) -> None:
    """Ctrl-C ends the command, kills the hook, and leaves the item where it was."""
    hook, pid = tmp_path / "hook.py", tmp_path / "of the hook" / "pid"
    pid.parent.mkdir()  # it can make nothing in a folder above the keys
    hook.write_text(
        f"import os, time\nopen({str(pid)!r} + '.new', 'w').write(str(os.getpid()))\n"
        f"os.rename({str(pid)!r} + '.new', {str(pid)!r})\ntime.sleep(1000)\n"
    )
    async with pair(tmp_path / "pair") as link:
        declare(link, f'hooks = [{{ run = ["{sys.executable}", "{hook}"], timeout_s = 900 }}]')
        drop(link, "model@1", MODEL)
        item = str(link.outbox / "weights/model@1")
        arguments = ("run",) if word == "run" else ("send", item, "--channel", "weights")
        sender = await link.sender(*arguments, "--json", "--no-progress")
        await until(lambda: pid.exists() or sender.process.returncode is not None, "the hook runs")
        assert sender.process.returncode is None, sender.log
        sender.signal(signal.SIGINT)
        assert 130 == await sender.ended()  # and not after the fifteen minutes that the hook may take
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid.read_text()), 0)
        assert (link.outbox / "weights/model@1/config.json").exists()
        assert [] == list((link.folder / "sender/failed").rglob("*.json"))
