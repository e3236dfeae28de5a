"""A channel of identity material over a real link: lists of a real authority are published, and never go back."""

import asyncio
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.e2e.pair import Pair, pair
from tests.openssl_ca import Authority
from tests.patience import PATIENCE_S, until

NOW = datetime.now(UTC)
UNTIL = f"{NOW + timedelta(days=60):%Y%m%d}"
CHANNEL = """
[channels.pki.identity]
kinds = ["crl"]
crl_issuers = ["{pin}"]
crl_lag_days = 30
"""


def day(before: int) -> str:
    """So many days ago, as openssl has it."""
    return f"{NOW - timedelta(days=before):%Y%m%d}"


async def send(link: Pair, version: str, content: bytes) -> None:
    """A revocation list leaves staging, which checks nothing."""
    item = link.folder / version / "crls"
    item.mkdir(parents=True)
    (item / "ca.crl").write_bytes(content)
    sender = await link.sender("send", "--json", "--channel", "pki", "--version", version, str(item))
    assert 0 == await sender.ended(), sender.log


async def command(link: Pair, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of the enclave, while the daemons go on."""
    line = [sys.executable, "-c", "from receiver.cli.main import main; main()"]
    line += ["-c", str(link.folder / "receiver" / "receiver.toml"), *arguments]
    run = asyncio.to_thread(subprocess.run, line, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    return await run


def verified(authority: Authority, crl: Path, certificate: Path) -> str:
    """What openssl says of a certificate by a list; empty: it is good."""
    files = ("-CAfile", str(authority.folder / "ca.pem"), "-CRLfile", str(crl), str(certificate))
    found = subprocess.run(["openssl", "verify", "-crl_check", *files], capture_output=True, text=True, check=False)
    return found.stderr if found.returncode else ""


@pytest.mark.long
async def test_revocation_lists(tmp_path: Path) -> None:
    """A newer list counts at once; an older one is set aside, and nothing leads back to what was replaced."""
    authority = Authority(tmp_path / "ca")
    good, bad = authority.certificate("good"), authority.certificate("bad")
    async with pair(tmp_path / "pair") as link:
        with (link.folder / "receiver" / "receiver.toml").open("a") as file:
            file.write(CHANNEL.format(pin=authority.folder / "ca.pem"))
        receiver = await link.receiver("--no-progress")
        await link.diode()
        current = link.inbox / "pki" / "crls" / "current"

        first = authority.crl(1, day(3), UNTIL)
        await send(link, "1", first)
        await until(lambda: current.is_symlink() and "1" == str(current.readlink()), "the first list is in use")
        published = current / "data" / "ca.crl"
        assert ("", "") == (verified(authority, published, good), verified(authority, published, bad))

        authority.revoke(bad)
        await send(link, "2", authority.crl(2, day(2), UNTIL))
        await until(lambda: "2" == str(current.readlink()), "the second list is in use")
        assert "" == verified(authority, published, good)
        assert "certificate revoked" in verified(authority, published, bad)

        await send(link, "3", first)
        await receiver.said("identity_older")
        quarantine = link.inbox / ".diode" / "quarantine"
        (reason,) = [json.loads(path.read_text()) for path in quarantine.glob("*/reason.json")]
        assert ("identity_older", "3") == (reason["reason"], reason["version"])

        stranger = Authority(tmp_path / "stranger")
        await send(link, "4", stranger.crl(5, day(1), UNTIL))
        await receiver.said("identity_signature")
        for back in (("rollback", "pki/crls"), ("promote", "pki/crls", "1"), ("pin", "pki/crls", "1")):
            refused = await command(link, *back, "--reason", "why", *([] if back[0] == "pin" else ["--yes"]))
            assert refused.returncode in (2, 14), refused.stderr
            assert "never goes back" in refused.stderr
        assert "2" == str(current.readlink())
        assert "certificate revoked" in verified(authority, published, bad)
