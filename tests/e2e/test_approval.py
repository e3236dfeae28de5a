"""Bundles that people sign: the daemon cannot, and sends nothing before enough of them have."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from diode.trust.keys import new_signing_key, write_private
from tests.e2e.pair import Pair, pair
from tests.patience import PATIENCE_S

PEOPLE = ("alice", "bob", "mallory")


def people_sign(link: Pair) -> dict[str, Path]:
    """Two people sign every bundle, and the receiver wants both; the daemon's own key is taken away."""
    keys = {}
    for person in PEOPLE:
        private, public = new_signing_key()
        keys[person] = link.folder / f"{person}.key"
        write_private(keys[person], private)
        if person != "mallory":
            for folder in (link.folder / "sender/keys/approvers", link.folder / "receiver/keys/signers"):
                folder.mkdir(exist_ok=True)
                (folder / f"{person}.pub").write_bytes(public)
    sender, receiver = link.folder / "sender/sender.toml", link.folder / "receiver/receiver.toml"
    sender.write_text(sender.read_text().replace("passes = 1", "approvals = 2\npasses = 1", 1))
    receiver.write_text(receiver.read_text() + "[channels.cve]\nsignatures = 2\n")
    (link.folder / "sender/keys/signing.key").unlink()
    (link.folder / "receiver/keys/signers/sender.pub").unlink()
    return keys


def command(link: Pair, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of the sending side, or ``diode`` itself."""
    config = ("-c", str(link.folder / "sender/sender.toml")) if module == "sender.cli.main" else ()
    line = [sys.executable, "-c", f"from {module} import main; main()", *config, *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def drop(link: Pair, name: str, content: bytes) -> None:
    """An item for the outbox."""
    (link.outbox / "cve").mkdir(exist_ok=True)
    (link.outbox / "cve" / name).write_bytes(content)


@pytest.mark.long
async def test_sent_when_the_second_person_has_signed(tmp_path: Path) -> None:
    """One with the key here, one on another host; everybody else is refused."""
    async with pair(tmp_path) as link:
        keys = people_sign(link)
        receiver = await link.receiver("--bundles", "1", "--no-progress")
        await link.diode()
        sender = await link.sender("run", "--json", "--no-progress")
        drop(link, "fix@1", b"content")
        waits = json.loads(await sender.said("bundle_waits"))
        bundle = waits["bundle"]

        async def run(*arguments: str, module: str = "sender.cli.main") -> subprocess.CompletedProcess[str]:
            return await asyncio.to_thread(command, link, module, *arguments)

        (listed,) = json.loads((await run("waiting", "--json")).stdout)
        assert (bundle, [], 2) == (listed["id"], listed["signed_by"], listed["needed"])
        assert [{"path": "fix", "bytes": 7, "kind": "-"}] == listed["first_files"]
        shown = (await run("waiting")).stdout
        assert (True, True) == (f"cve/fix/1 ({bundle})" in shown.replace("\n", " "), "7  -             fix" in shown), (
            shown
        )
        assert 12 == (await run("approve", bundle, "--key", str(keys["mallory"]), "--yes")).returncode
        assert 2 == (await run("approve", bundle, "--key", str(keys["alice"]), "--json")).returncode
        unasked = await run("approve", bundle, "--key", str(keys["alice"]))
        assert (2, True) == (unasked.returncode, "no terminal" in unasked.stderr)
        for _ in range(2):  # the same person once more changes nothing
            signed = await run("approve", bundle[:6], "--key", str(keys["alice"]), "--yes")
            assert (0, False) == (signed.returncode, "approved" in signed.stderr), signed.stderr
        assert ("alice", "1 of 2") == tuple(
            next(line.split(":", 1)[1].strip() for line in signed.stdout.splitlines() if line.startswith(word))
            for word in ("signed by", "still needed")
        )

        again = json.loads((await run("approve", bundle, "--key", str(keys["alice"]), "--yes", "--json")).stdout)
        assert (["alice"], 2, False) == (again["signed_by"], again["needed"], again["is_approved"])

        carried = link.folder / "carried.dsse.json"
        carried.write_bytes((link.folder / f"sender/state/bundles/{bundle}/manifest.dsse.json").read_bytes())
        assert (
            0
            == (await run("sign", str(carried), "--key", str(keys["bob"]), "--yes", module="diode.cli.main")).returncode
        )
        approved = await run("approve", bundle, "--signed", str(carried))
        assert (0, True) == (approved.returncode, "approved" in approved.stderr), approved.stderr

        assert 0 == await receiver.ended()
        published = link.inbox / "cve" / "fix" / "1"
        assert b"content" == (published / "data" / "fix").read_bytes()
        assert 2 == (await run("approve", bundle, "--key", str(keys["bob"]), "--yes")).returncode
        signers = ("verify", str(published), "--signers", str(link.folder / "receiver/keys/signers"))
        verified = await run(*signers, module="diode.cli.main")
        assert (0, True) == (verified.returncode, "alice" in verified.stdout and "bob" in verified.stdout)
        (published / "data" / "fix").write_bytes(b"CONTENT")
        tampered = await run(*signers, module="diode.cli.main")
        assert (13, True) == (tampered.returncode, "data/fix has other content" in tampered.stderr)


@pytest.mark.long
async def test_rejected(tmp_path: Path) -> None:
    """It is never sent, its item is set aside with the reason, and the next one goes its way."""
    async with pair(tmp_path) as link:
        keys = people_sign(link)
        drop(link, "bad@1", b"bad")
        packed = await link.sender("run", "--json", "--until-idle", "--no-progress")
        assert 0 == await packed.ended()
        assert 1 == packed.last("summary")["unapproved"]
        bundle = json.loads(await packed.said("bundle_waits"))["bundle"]
        assert 0 == command(link, "sender.cli.main", "reject", bundle, "--reason", "not ours").returncode
        reason = json.loads((link.folder / "sender/failed/.reasons/cve/bad@1.reason.json").read_text())
        assert "rejected: not ours" == reason["detail"]

        item = link.folder / "good"
        item.write_bytes(b"good")
        packed = await link.sender("pack", str(item), "--channel", "cve", "--version", "2", "--json")
        assert 0 == await packed.ended()
        bundle = json.loads(await packed.said("bundle_waits"))["bundle"]
        for person in ("alice", "bob"):
            assert (
                0 == command(link, "sender.cli.main", "approve", bundle, "--key", str(keys[person]), "--yes").returncode
            )
        receiver = await link.receiver("--bundles", "1", "--no-progress")
        await link.diode()
        sent = await link.sender("run", "--json", "--until-idle", "--no-progress")
        assert 0 == await sent.ended()
        assert 0 == await receiver.ended()
        assert ["good"] == [path.name for path in (link.inbox / "cve").iterdir()]


def test_without_a_key_the_daemon_says_what_to_do(tmp_path: Path) -> None:
    """A channel that people sign needs none; one that the daemon signs does."""
    link = Pair(tmp_path)
    people_sign(link)
    with (link.folder / "sender/sender.toml").open("a") as file:
        file.write("[channels.mcp]\napprovals = 0\n")
    ended = command(link, "sender.cli.main", "run", "--until-idle")
    assert (10, True) == (ended.returncode, "signing.key" in ended.stderr)


@pytest.mark.long
@pytest.mark.parametrize("arguments", [(), ("--key", "k", "--signed", "s"), ("--key", "/nowhere")])
def test_what_cannot_be_approved(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """A bundle that does not wait, and both or neither way to sign."""
    link = Pair(tmp_path)
    people_sign(link)
    drop(link, "a@1", b"a")
    assert 0 == command(link, "sender.cli.main", "run", "--until-idle").returncode
    assert command(link, "sender.cli.main", "approve", "ffff", *arguments).returncode in (2, 10)
