"""The worked examples of docs/hooks.md, as they stand there, with real daemons."""

import asyncio
import contextlib
import json
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from diode.process.sandbox import landlock_version
from tests.e2e.pair import Pair, pair
from tests.patience import PATIENCE_S

PAGE = Path(__file__).parents[2] / "docs" / "hooks.md"
needs_landlock = pytest.mark.skipif(landlock_version() < 2, reason="this kernel has no Landlock")


def example(name: str) -> str:
    """The script of that name on the page."""
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL)
    (found,) = [block for block in blocks if f"# {name}:" in block]
    return str(found)


def install(link: Pair, name: str, *changes: tuple[str, str]) -> Path:
    """The example as a program; ``changes`` are its places, which here lie in the test's folder."""
    text = example(name)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    program = link.folder / name
    program.write_text(text)
    program.chmod(0o755)
    return program


@pytest.mark.long
@needs_landlock
async def test_a_file_for_a_monitoring_agent(tmp_path: Path) -> None:
    """As the daemon's user, without sockets: the agent's file names what was published, sent, and set aside."""
    async with pair(tmp_path / "pair") as link:
        spool = link.folder / "agent"
        spool.mkdir()
        hook = install(link, "tell-agent", ("/var/spool/diode-agent", str(spool)))
        for side, events in (("receiver", ("published",)), ("sender", ("sent", "failed"))):
            lines = [f'{event} = ["{hook}"]' for event in events]
            with (link.folder / side / f"{side}.toml").open("a") as file:
                file.write("\n".join(["[hooks]", *lines, f'writes = ["{spool}"]', ""]))
        receiver = await link.receiver("--bundles", "1", "--no-progress")
        await link.diode()
        (link.outbox / "cve").mkdir()
        (link.outbox / "cve" / "feed@1").write_bytes(b"fine")
        (link.outbox / "cve" / "link@1").symlink_to("/etc/passwd")
        sender = await link.sender("run", "--until-idle", "--no-progress")
        await sender.ended()
        assert 0 == await receiver.ended(), "\n".join(receiver.log)
        told = [json.loads(line) for line in (spool / "events.jsonl").read_text().splitlines()]
    assert {"published", "sent", "failed"} == {one["event"] for one in told}
    named = {one["event"]: one.get("label", one["name"]) for one in told}
    assert {"cve/feed/1"} == {named["published"], named["sent"]}
    ids = {one["bundle"] for one in told if "bundle" in one}
    assert 1 == len(ids)


@pytest.mark.long
@pytest.mark.needs("root")
@pytest.mark.skipif(shutil.which("logger") is None, reason="no logger(1)")
async def test_a_line_for_syslog(tmp_path: Path) -> None:
    """As a user of its own, which may open sockets: the line reaches the log's socket."""
    async with pair(tmp_path / "pair") as link:
        with _syslog() as (place, log):
            hook = install(link, "tell-syslog", ("logger -t", f"logger --socket {place}/log -t"))
            shutil.move(hook, f"{place}/tell-syslog")
            with (link.folder / "sender/sender.toml").open("a") as file:
                file.write(f'[hooks]\nfailed = ["{place}/tell-syslog"]\nuser = "nobody"\n')
            (link.outbox / "cve").mkdir()
            (link.outbox / "cve" / "link@1").symlink_to("/etc/passwd")
            sender = await link.sender("run", "--until-idle", "--no-progress")
            await sender.ended()
            line = (await asyncio.to_thread(log.recv, 4096)).decode()
    assert "diode-sender" in line
    assert '"event": "failed"' in line


@contextlib.contextmanager
def _syslog() -> Iterator[tuple[str, socket.socket]]:
    """A log's socket, in a folder that everybody may pass through."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        Path(place).chmod(0o755)
        log.bind(f"{place}/log")
        Path(f"{place}/log").chmod(0o666)
        log.settimeout(PATIENCE_S)
        yield place, log
