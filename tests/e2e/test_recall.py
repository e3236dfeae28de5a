"""A recall from staging to the enclave, and a drill there, with real daemons and the commands that people type."""

import asyncio
import json
from contextlib import closing
from pathlib import Path

import pytest

from diode.audit.verify import entries_of
from receiver.catalogue.snapshot import Snapshot
from receiver.ledger.ledgers import LedgerView
from receiver.promotion.report import DrillReport, read_report
from sender.ledger import Ledger
from tests.e2e.pair import Pair, Process, pair
from tests.e2e.test_approval import command
from tests.patience import until


def shown(link: Pair) -> dict[str, tuple[str, bool]]:
    """State of each version, and whether it is in use, as the gateway is shown."""
    with Snapshot(index_of(link)) as snapshot:
        return {one.version: (one.state, one.is_current) for one in snapshot.bundles()}


def index_of(link: Pair) -> Path:
    """Where snapshot and cards lie."""
    return link.folder / "receiver" / "index"


async def send(link: Pair, version: str, content: str) -> str:
    """Send a version of models/thing; its id."""
    path = link.folder / "content" / version
    path.mkdir(parents=True)
    (path / "weights").write_text(content)
    (path / "notes").write_text("same")
    names = ("--channel", "models", "--name", "thing", "--version", version)
    sender = await link.sender("send", str(path), *names, "--json", "--no-progress")
    assert 0 == await sender.ended(), sender.log
    return sent_id(link, version)


def sent_id(link: Pair, version: str) -> str:
    """The id of a version, by the sender's ledger."""
    ledger = Ledger(link.folder / "sender" / "state" / "ledger.db", read_only=True)
    row = ledger.find("models", "thing", version=version)
    ledger.close()
    assert row is not None
    return row.id


async def run(process: Process, code: int = 0) -> Process:
    """Wait for a command."""
    assert code == await process.ended(), process.log
    return process


@pytest.mark.long
async def test_recalled_from_staging_while_both_daemons_run(tmp_path: Path) -> None:
    """The running sender sends it; the enclave's log, ledger and snapshot say so; current stays; status says why."""
    async with pair(tmp_path) as link:
        receiver = await link.receiver("--no-progress")
        await link.diode()
        for version in ("v1", "v2"):
            await send(link, version, f"content {version}")
            await receiver.said(f"models/thing/{version}")
        bundle = sent_id(link, "v2")
        sender = await link.sender("run", "--json", "--no-progress")
        await sender.said("udp_path_chosen")
        typed = "recall", bundle[:8], "--reason", "weights were changed", "--yes"
        done = await asyncio.to_thread(command, link, "sender.cli.main", *typed)
        assert (0, True) == (done.returncode, "running daemon sends it" in done.stderr), done.stderr
        alarm = json.loads(await receiver.said("bundle_recalled"))
        assert (bundle, "weights were changed") == (alarm["bundle"], alarm["reason"])
        await receiver.said(f"recall/{bundle}/")
        assert {"v1": ("published", False), "v2": ("recalled", True)} == shown(link)
        status = await run(await link.enclave("status", "--json"))
        assert bundle == status.messages[-1]["recalls"][0]["bundle"]
        listed = await run(await link.enclave("recall", bundle[:8], "--json"))
        assert ("weights were changed", []) == (listed.messages[-1]["reason"], listed.messages[-1]["takers"])
        await run(await link.enclave("recall", bundle, "--undo", "--reason", "mistaken", "--yes", "--json"))
        assert {"v1": ("published", False), "v2": ("published", True)} == shown(link)
        words = [str(one.what) for one in entries_of(link.folder / "receiver" / "state" / "audit")]
        assert words.index("recalled") < words.index("recall_undone")


@pytest.mark.long
async def test_a_drill_with_a_health_hook(tmp_path: Path) -> None:
    """The hook is asked about the version before; the report is signed; the command's exit code tells how it ended."""
    async with pair(tmp_path) as link:
        hook = tmp_path / "hook"
        hook.write_text(f"#!/bin/sh\ncat\n[ ! -e {tmp_path}/bad ]\n")
        hook.chmod(0o755)
        toml = link.folder / "receiver" / "receiver.toml"
        toml.write_text(toml.read_text() + f'[channels.models]\nhealth = ["{hook}"]\ndrill_days = 90\n')
        receiver = await link.receiver("--no-progress")
        await link.diode()
        for version in ("v1", "v2"):
            await send(link, version, f"content {version}")
            await receiver.said(f"models/thing/{version}")
            await (receiver.said if version == "v1" else receiver.said_again)("version_healthy")
        await settled(link)
        passed = await run(await link.enclave("drill", "rollback", "models/thing", "--yes", "--json"))
        assert passed.messages[-1]["passed"]
        (tmp_path / "bad").touch()
        await run(await link.enclave("drill", "rollback", "models/thing", "--yes", "--json"), 20)
        listed = (await run(await link.enclave("drill", "ls", "--json"))).messages[-1]
        assert [True, False] == [one["passed"] for one in listed["drills"]]
        assert (False, False) == (listed["due"][0]["passed"], listed["due"][0]["overdue"])
        said = report_at(listed["drills"][0]["report"])
        assert ("v2", "v1", 2) == (said.start.version, said.rehearsed.version, said.files)
        asked = json.loads(health(said))
        assert ("v1", "v2", str(link.inbox / "models" / "thing" / "v1")) == (
            *(asked["version"], asked["previous"]),
            asked["path"],
        )
        assert {"v1": ("published", False), "v2": ("published", True)} == shown(link)
        status = (await run(await link.enclave("status", "--json"))).messages[-1]
        assert ("thing", False) == (status["drills"][0]["name"], status["drills"][0]["passed"])


def report_at(path: str) -> DrillReport:
    """The report in a file."""
    return read_report(Path(path).read_bytes(), None)


def health(report: DrillReport) -> str:
    """What the hook said."""
    return str(next(step.detail for step in report.steps if step.name == "health"))


async def settled(link: Pair) -> None:
    """Until the hook's answer about the newest version counts."""

    def is_settled() -> bool:
        with closing(LedgerView(link.folder / "receiver" / "state" / "ledger.db", read_only=True)) as ledger:
            pointer = ledger.pointers.get("models", "thing")
        return pointer is not None and not pointer.on_trial

    await until(is_settled, "the trial is over")
