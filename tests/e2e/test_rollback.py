"""A side that is put back to an older ledger stops, and after ``rebaseline`` nothing is published or numbered twice."""

import asyncio
import json
import os
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from diode.protocol.resend_codes import ResendBundle, encode
from tests.e2e.pair import Pair, Process, pair, worker


async def done(process: Process, code: int = 0) -> Process:
    """A command that ends with ``code``."""
    assert code == await process.ended(), process.log
    return process


async def send(link: Pair, name: str, version: str = "1") -> None:
    """A small bundle of its own content leaves."""
    path = link.folder / name
    path.write_bytes(name.encode() * 1000)
    await done(await link.sender("send", "--json", "--channel", "models", "--version", version, str(path)))


async def deliver(link: Pair, *names: str) -> Process:
    """Bundles are sent one after the other and published; returns the receiver, which has ended."""
    receiver = await link.receiver("--bundles", str(len(names)))
    for name in names:
        await send(link, name)
    return await done(receiver)


def published(link: Pair) -> dict[str, int]:
    """Bundles in the inbox by name, and the inode of each receipt: another one was published again."""
    receipts = link.inbox.glob("*/*/*/receipt.json")
    return {path.parent.parent.name: path.stat().st_ino for path in receipts}


def sequences(link: Pair) -> dict[str, int]:
    """What the receiver accepted, by name."""
    with closing(sqlite3.connect(link.folder / "receiver" / "state" / "ledger.db")) as database:
        return dict(database.execute("SELECT name, sequence FROM bundle WHERE state = 'published'").fetchall())


@pytest.mark.long
async def test_a_receiver_put_back_publishes_nothing_twice(tmp_path: Path) -> None:
    """It ends with 15 until its ledger is rebaselined, then skips what was published and takes what is new."""
    async with pair(tmp_path / "pair") as link:
        await link.diode()
        receiver = await link.receiver("--bundles", "2")
        await send(link, "one")
        await receiver.said('"published"')
        await done(await link.enclave("backup", str(tmp_path / "backup")))  # while the daemon runs
        await send(link, "two")
        await done(receiver)
        before = published(link)
        assert {"one", "two"} == before.keys()

        await done(await link.enclave("restore", str(tmp_path / "backup")), 2)
        restored = await done(await link.enclave("restore", "--force", str(tmp_path / "backup")))
        assert "is kept in" in restored.log[0]
        refused = await done(await link.enclave("run", "--json"), 15)
        assert "diode-receiver rebaseline" in refused.log[-1]
        assert 15 == refused.last("exit_error")["code"]

        taken = await done(await link.enclave("rebaseline", "--json"))
        assert ["models/two/1"] == taken.messages[0]["taken"]
        receiver = await link.receiver("--bundles", "1")
        await done(await link.sender("resend", "--json", encode(ResendBundle("models", 2))))
        await send(link, "three")
        await done(receiver)
        assert 1 == receiver.last("summary")["published"]
        assert before == {name: inode for name, inode in published(link).items() if name != "three"}
        assert {"one": 1, "two": 2, "three": 3} == sequences(link)


@pytest.mark.long
async def test_what_was_taken_from_the_inbox_is_not_published_again(tmp_path: Path) -> None:
    """The rollback guard tells that its number is spent: sent again, it ends in quarantine."""
    async with pair(tmp_path / "pair") as link:
        await link.diode()
        await deliver(link, "one")
        await done(await link.enclave("backup", str(tmp_path / "backup")))
        await deliver(link, "two")
        shutil.rmtree(link.inbox / "models" / "two")
        await done(await link.enclave("restore", "--force", str(tmp_path / "backup")))
        await done(await link.enclave("run", "--json"), 15)
        await done(await link.enclave("rebaseline"))
        receiver = await link.receiver("--bundles", "1")
        await done(await link.sender("resend", "--json", encode(ResendBundle("models", 2))))
        assert 15 == await receiver.ended()
        [reason] = (link.inbox / ".diode" / "quarantine").glob("*/reason.json")
        assert "replay" == json.loads(reason.read_text())["reason"]
        assert {"one"} == published(link).keys()


@pytest.mark.long
async def test_a_sender_put_back_issues_no_number_twice(tmp_path: Path) -> None:
    """It ends with 15 until its ledger is rebaselined; what it sends then is new to the receiver, which accepts it."""
    async with pair(tmp_path / "pair") as link:
        await link.diode()
        await deliver(link, "one")
        await done(await link.sender("backup", str(tmp_path / "backup")))
        await deliver(link, "two")
        await done(await link.sender("restore", "--force", str(tmp_path / "backup")))
        for arguments in (("run", "--until-idle", "--json"), ("send", "--json", str(link.folder / "one"))):
            refused = await done(await link.sender(*arguments), 15)
            assert "diode-sender rebaseline" in refused.log[-1]
        done_so = await done(await link.sender("rebaseline", "--json"))
        assert {"models": 2} == done_so.messages[0]["jumped"]
        await deliver(link, "three")
        assert {"one": 1, "two": 2, "three": 3} == sequences(link)
        receiver = await link.receiver()
        await done(await link.sender("resend", "--json", encode(ResendBundle("models", 1))))  # its packed form is back
        await done(await link.sender("resend", encode(ResendBundle("models", 2))), 2)
        receiver.process.terminate()
        await done(receiver)


@pytest.mark.long
async def test_nothing_is_put_back_under_a_daemon(tmp_path: Path) -> None:
    """Exit code 11 on both sides; a backup can be made."""
    async with pair(tmp_path / "pair") as link:
        await link.receiver()
        sender = await link.sender("run", "--json")
        await sender.said("udp_path_chosen")
        for command in (link.enclave, link.sender):
            backup = str(tmp_path / f"backup-{command.__name__}")
            await done(await command("backup", backup))
            results = await asyncio.gather(command("restore", "--force", backup), command("rebaseline"))
            for process in results:
                await done(process, 11)


@pytest.mark.long
async def test_a_ledger_that_is_lost_while_the_daemon_runs_ends_it(tmp_path: Path) -> None:
    """A worker that starts anew finds an empty one, and publishes nothing from it."""
    async with pair(tmp_path / "pair") as link:
        await link.diode()
        await deliver(link, "one")
        receiver = await link.receiver()
        for path in (link.folder / "receiver" / "state").glob("ledger.db*"):
            path.unlink()
        os.kill(worker(receiver.process.pid, "receiver.store.worker"), signal.SIGKILL)
        await done(receiver, 15)


@pytest.mark.long
async def test_a_ledger_kept_in_the_middle_of_a_publication_publishes_nothing_twice(tmp_path: Path) -> None:
    """Its bundle was published and taken away since: that cannot be told from a lost one, and a person is asked."""
    async with pair(tmp_path / "pair") as link:
        await link.diode()
        await deliver(link, "one")
        shutil.rmtree(link.inbox / "models")
        with closing(sqlite3.connect(link.folder / "receiver" / "state" / "ledger.db")) as database:
            database.execute("UPDATE bundle SET state = 'publishing'")
            database.commit()
        receiver = await link.receiver("--bundles", "2")
        assert "may have been" in await receiver.said('"quarantined"')
        await done(await link.sender("resend", "--json", encode(ResendBundle("models", 1))))
        await send(link, "two")
        await done(receiver, 15)
        assert {"two"} == published(link).keys()


@pytest.mark.long
async def test_nothing_is_published_without_its_anchor(tmp_path: Path) -> None:
    """While its disk is away nothing appears in the inbox; when it is back, what waits is published."""
    async with pair(tmp_path / "pair") as link:
        away = tmp_path / "away"
        away.mkdir()
        await link.diode()
        receiver = await link.receiver("--bundles", "2", DIODE_ANCHOR=str(away / "anchor.json"))
        await send(link, "zero")
        await receiver.said('"outcome": "published"')
        shutil.move(away, tmp_path / "unplugged")
        await send(link, "one")
        assert "the rollback guard cannot be written" in await receiver.said("disk_failing")
        assert {"zero"} == published(link).keys()
        shutil.move(tmp_path / "unplugged", away)
        await done(receiver)
        assert {"zero", "one"} == published(link).keys()


@pytest.mark.long
async def test_nothing_is_sent_without_its_anchor(tmp_path: Path) -> None:
    """A sender whose rollback guard cannot follow stops, and sends the same item when it can."""
    async with pair(tmp_path / "pair") as link:
        away = tmp_path / "away"
        away.mkdir()
        env = {"DIODE_ANCHOR": str(away / "anchor.json"), "DIODE_OUTBOX__SETTLE_S": "0"}
        await link.diode()
        receiver = await link.receiver("--bundles", "1")
        sender = await link.sender("run", "--json", **env)
        await sender.said("udp_path_chosen")
        shutil.move(away, tmp_path / "unplugged")
        (link.outbox / "models").mkdir()
        (link.outbox / "models" / "one@1").write_bytes(b"one")
        await done(sender, 1)
        assert "the rollback guard cannot be written" in sender.log[-1]
        assert (link.outbox / "models" / "one@1").exists()
        shutil.move(tmp_path / "unplugged", away)
        await done(await link.sender("run", "--json", "--until-idle", **env))
        await done(receiver)
        assert {"one": 1} == sequences(link)
