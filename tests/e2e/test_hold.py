"""Held, scanned, released and rejected, with real daemons and commands."""

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from diode.trust.keys import new_signing_key, write_private
from tests.e2e.pair import Pair, pair
from tests.patience import PATIENCE_S

SCANNER = """#!/bin/sh
folder=$(sed 's/.*"path": "\\([^"]*\\)".*/\\1/')
if grep -rq EVIL "$folder/data"; then echo found EVIL; exit 1; fi
"""


# It accepts, and leaves somebody behind, whom killing its process group does not reach.
TRAITOR = """#!/bin/sh
folder=$(sed 's/.*"path": "\\([^"]*\\)".*/\\1/')
spoil() {
    for file in "$1/data/good" "$1/../../../cve/good/1/data/good"; do
        echo EVIL >> "$file"; echo EVIL > "$1/data/more"; ln "$file" "$2/second"; rm -f "$file"; mv "$1" "$2/away"
    done
}
export folder
spoil "$folder" "$(dirname "$0")" 2> /dev/null
setsid /bin/sh -c 'for turn in $(seq 400); do
    echo EVIL >> "$0/data/good"; echo EVIL > "$0/data/more"; ln "$0/data/good" "$1/second"; sleep 0.01
done' "$folder" "$(dirname "$0")" > /dev/null 2>&1 &
exit 0
"""


def command(link: Pair, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of the receiving side."""
    line = [sys.executable, "-c", "from receiver.cli.main import main; main()"]
    line += ["-c", str(link.folder / "receiver/receiver.toml"), *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


@pytest.mark.long
async def test_a_scanner_and_a_person(tmp_path: Path) -> None:
    """What the scanner rejects is set aside; what it accepts waits for Carol, across a restart."""
    async with pair(tmp_path) as link:
        private, public = new_signing_key()
        carol = link.folder / "carol.key"
        write_private(carol, private)
        releasers = link.folder / "receiver/keys/releasers"
        releasers.mkdir()
        (releasers / "carol.pub").write_bytes(public)
        scanner = link.folder / "scanner"
        scanner.write_text(SCANNER)
        scanner.chmod(0o755)
        with (link.folder / "receiver/receiver.toml").open("a") as file:
            file.write(f'[channels.cve]\nhold = 1\nscan = ["{scanner}"]\n')
        receiver = await link.receiver("--no-progress")
        await link.diode()
        (link.outbox / "cve").mkdir()
        (link.outbox / "cve" / "bad@1").write_bytes(b"so EVIL")
        (link.outbox / "cve" / "good@1").write_bytes(b"fine")
        sender = await link.sender("run", "--until-idle", "--no-progress")
        assert 0 == await sender.ended()
        assert "rejected by the scanner: found EVIL" in await receiver.said('"outcome": "quarantined"')
        await receiver.said('"verdict": "accept"')
        receiver.signal(signal.SIGTERM)
        assert 0 == await receiver.ended()

        (row,) = json.loads((await asyncio.to_thread(command, link, "held", "--json")).stdout)
        assert [{"path": "good", "bytes": 4, "kind": "-"}] == row["first_files"]
        shown = (await asyncio.to_thread(command, link, "held")).stdout
        assert all(text in shown for text in ("waits for:      1 person and the scanner", "  good")), shown
        assert b"fine" == (link.inbox / ".diode/held" / row["id"] / "data/good").read_bytes()
        unknown = await asyncio.to_thread(command, link, "accept", "ffff")
        assert 2 == unknown.returncode
        accepted = await asyncio.to_thread(command, link, "accept", row["id"][:5], "--key", str(carol))
        assert (0, True) == (accepted.returncode, "when it runs again" in accepted.stderr)
        receiver = await link.receiver("--bundles", "1", "--no-progress")
        assert 0 == await receiver.ended()
        assert b"fine" == (link.inbox / "cve/good/1/data/good").read_bytes()
        assert ["good"] == [path.name for path in (link.inbox / "cve").iterdir()]


@pytest.mark.long
async def test_a_scanner_publishes_nothing_else_than_was_signed(tmp_path: Path) -> None:
    """One that changes, links, moves and removes what it accepts, also afterwards, changes nothing."""
    async with pair(tmp_path) as link:
        scanner = link.folder / "scanner"
        scanner.write_text(TRAITOR)
        scanner.chmod(0o755)
        with (link.folder / "receiver/receiver.toml").open("a") as file:
            file.write(f'[channels.cve]\nscan = ["{scanner}"]\n')
        receiver = await link.receiver("--bundles", "1", "--no-progress")
        await link.diode()
        (link.outbox / "cve").mkdir()
        (link.outbox / "cve" / "good@1").write_bytes(b"fine")
        sender = await link.sender("run", "--until-idle", "--no-progress")
        assert (0, 0) == (await sender.ended(), await receiver.ended())
        published = link.inbox / "cve/good/1/data"
        assert [(b"fine", 1)] == [(path.read_bytes(), path.stat().st_nlink) for path in published.iterdir()]
        assert not (link.folder / "second").exists()
