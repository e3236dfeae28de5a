"""A worker that is taken over may say what it likes: nothing is scanned, released, published or deleted for it."""

import json
import signal
import sys
from pathlib import Path

import pytest

from receiver.catalogue.snapshot import Snapshot
from tests.e2e.pair import Pair, Process, pair, start_command
from tests.patience import until
from tests.sandbox.liar import LIES

NAMES = {"receiver.transport.listen": "receiver.listen", "receiver.transport.assemble": "receiver.assemble"}
HIJACK = Path(__file__).parent / "hijack.py"
SCANNER = """#!/bin/sh
cat >> {asked}
exit 2
"""


async def held(link: Pair) -> str:
    """A bundle that is held, since its scanner does not answer; its id."""
    scanner, asked = link.folder / "scanner", link.folder / "asked"
    scanner.write_text(SCANNER.format(asked=asked))
    scanner.chmod(0o755)
    asked.touch()  # it can write there, and make nothing new beside keys
    with (link.folder / "receiver/receiver.toml").open("a") as file:
        file.write(f'[channels.cve]\nhold = 1\nscan = ["{scanner}"]\n')
    receiver = await link.receiver("--no-progress")
    await link.diode()
    (link.outbox / "cve").mkdir()
    (link.outbox / "cve" / "good@1").write_bytes(b"fine")
    sender = await link.sender("run", "--until-idle", "--no-progress")
    assert 0 == await sender.ended()
    await receiver.said("scan_failed")
    receiver.signal(signal.SIGTERM)
    assert 0 == await receiver.ended()
    (folder,) = (link.inbox / ".diode" / "held").iterdir()
    return folder.name


async def taken_over(link: Pair, module: str, mode: str, bundle: str) -> Process:
    """A receiver one of whose workers lies."""
    lives = link.folder / "lives"
    lives.mkdir()
    (lives / "held").write_text(bundle)
    config = link.folder / "receiver" / "receiver.toml"
    command = (sys.executable, str(HIJACK), module, mode, str(lives), "-c", str(config), "run", "--json")
    process = await start_command(*command, PYTHONPATH=str(HIJACK.parents[2]))
    link.running.append(process)
    return process


def contents(folder: Path) -> dict[str, bytes]:
    """Every file that a bundle, a code or a stranger's could be."""
    ours = ("receiver/state/ledger", "receiver/state/audit", "snapshot.db", "anchor.json", "asked", "lives", "lock")
    paths = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    kept = {name: path.read_bytes() for name, path in paths.items() if not any(our in name for our in ours)}
    return kept | {"what clients are shown": shown(folder / "receiver" / "index")}


def shown(index: Path) -> bytes:
    """Whatever the snapshot lists. Its file is written anew at each start, and says when."""
    with Snapshot(index) as snapshot:
        return repr([*snapshot.bundles()]).encode()


@pytest.mark.long
@pytest.mark.parametrize("module", LIES)
async def test_a_worker_that_lies_is_ended_and_not_believed(tmp_path: Path, module: str) -> None:
    """Foreign ids, paths that climb, another worker's words, deep and long lines, slabs outside of the arena."""
    async with pair(tmp_path / "pair") as link:
        bundle = await held(link)
        before = contents(link.folder)
        receiver = await taken_over(link, module, "lies", bundle)
        for life in range(len(LIES[module]) + 1):  # only files tell how often it was started
            await until((link.folder / "lives" / f"life-{life}").exists, f"{module} lives once more")
        receiver.signal(signal.SIGTERM)
        assert 0 == await receiver.ended()
        lines = [json.loads(line) for line in receiver.log]
        assert len(LIES[module]) == sum(line["event"] == "worker_died" for line in lines)
        refused = [line for line in lines if line["event"] == "worker_refused"]
        assert {NAMES[module]} <= {line["worker"] for line in refused}
        assert before == contents(link.folder)
        assert [] == [m for m in receiver.messages if m["message_type"] == "bundle"]
        asked = [json.loads(line) for line in (link.folder / "asked").read_text().splitlines()]
        place = str(link.inbox / ".diode" / "held" / bundle)
        assert {(bundle, place)} == {(one["bundle"], one["path"]) for one in asked}
        strange = ("accepted_by", "trust_changed", "bundle_expired", "disk_failing", "bundle_published")
        assert [] == [line for line in lines if line["event"] in strange]
        assert not any("\x1b" in line or "/clean" in line for line in receiver.log)


@pytest.mark.long
async def test_a_worker_that_lies_for_ever_ends_the_daemon(tmp_path: Path) -> None:
    """With a code, and all that was kept: somebody has to look, and systemd starts it again."""
    async with pair(tmp_path / "pair") as link:
        receiver = await taken_over(link, "receiver.transport.listen", "always", "0" * 16)
        assert 1 == await receiver.ended()
        assert 6 == sum('"worker_died"' in line for line in receiver.log)
        assert any("within a minute; all is kept" in line for line in receiver.log)
