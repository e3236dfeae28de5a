"""The shipped systemd units, as systemd-analyze reads them: without a complaint, and with little exposed."""

import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from diode.errors import (
    ContentError,
    IntegrityError,
    LockedError,
    NotInitialisedError,
    ReplayError,
    TrustError,
    UsageError,
)
from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[1]
UNITS = ROOT / "docs" / "systemd"
SERVICES = ("diode-receiver.service", "diode-sender.service")
SCORE = re.compile(r"Overall exposure level for \S+: (\d+\.\d+)")
OFFLINE_SINCE = 250


def analyze(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run systemd-analyze; skip where it is missing or too old to work without a running systemd."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    version = subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.split()[1].split(".")[0]) < OFFLINE_SINCE:
        pytest.skip(f"systemd-analyze is older than {OFFLINE_SINCE}: no --offline")
    command = ["systemd-analyze", "--no-pager", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)


def read(name: str) -> dict[str, list[str]]:
    """Values by key; a key may come more than once."""
    values = defaultdict(list)
    for line in (UNITS / name).read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            values[key].append(value)
    return values


def stated_scores() -> dict[str, float]:
    """What docs/operations.md says."""
    page = (ROOT / "docs" / "operations.md").read_text()
    return {name: float(score) for name, score in re.findall(r"\| `(diode-\w+\.service)` \| (\d+\.\d+) \|", page)}


@pytest.mark.parametrize("name", SERVICES)
def test_exposure_is_what_the_page_says_or_less(name: str) -> None:
    """systemd-analyze security: 0 is nothing exposed, 10 everything. Other versions may weigh a little differently."""
    done = analyze("security", "--offline=true", str(UNITS / name))
    found = SCORE.search(done.stdout)
    assert found, done.stderr
    assert float(found[1]) <= stated_scores()[name] + 0.3


def test_the_gateway_holds_no_key_of_the_diode() -> None:
    """It runs as a user of its own, sees inbox and index read-only, and binds nothing but what systemd hands it."""
    unit, port = read("diode-gateway.service"), read("diode-gateway.socket")
    assert [] == unit["LoadCredential"]
    assert all(line.split(":")[0].startswith("/var/lib/private/diode-receiver/") for line in unit["BindReadOnlyPaths"])
    assert (["any"], ["strict"], [""]) == (unit["SocketBindDeny"], unit["ProtectSystem"], unit["CapabilityBoundingSet"])
    assert ["0"] == unit["StartLimitIntervalSec"] == port["TriggerLimitIntervalSec"]
    assert ["127.0.0.1:8080"] == port["ListenStream"]
    done = analyze("security", "--offline=true", str(UNITS / "diode-gateway.service"))
    found = SCORE.search(done.stdout)
    assert found, done.stderr
    stated = re.search(r"`diode-gateway.service` scores (\d\.\d)", (ROOT / "docs" / "gateway.md").read_text())
    assert stated
    assert float(found[1]) <= float(stated[1]) + 0.3


def test_systemd_understands_every_line(tmp_path: Path) -> None:
    """systemd-analyze verify finds nothing: no unknown key, no wrong value, no cycle."""
    for path in UNITS.glob("*.*"):
        # what is to be started must exist here
        text = re.sub(r"^ExecStart=\S+", f"ExecStart={sys.executable}", path.read_text(), flags=re.MULTILINE)
        (tmp_path / path.name).write_text(text)
    units = sorted(str(path) for path in tmp_path.iterdir() if path.suffix != ".conf")
    done = analyze("verify", "--man=no", *units)
    ours = [line for line in done.stderr.splitlines() if "diode" in line]
    assert (0, []) == (done.returncode, ours)


def test_no_limit_of_systemd_closes_the_receivers_port() -> None:
    """A start limit or a trigger limit that is hit fails the socket unit: the kernel would answer the sender."""
    service, unit = read("diode-receiver.service"), read("diode-receiver.socket")
    assert ["0"] == service["StartLimitIntervalSec"] == unit["TriggerLimitIntervalSec"]
    assert [] == service["RestartPreventExitStatus"]  # the next datagram would start it again, and without a pause


def test_a_sender_that_only_a_person_can_mend_is_not_started_again() -> None:
    """Codes of configuration, keys and trust end it for good; a lock, a full disk and crashes do not."""
    codes = {int(code) for code in " ".join(read("diode-sender.service")["RestartPreventExitStatus"]).split()}
    final = {kind.exit_code for kind in (UsageError, NotInitialisedError, TrustError, IntegrityError, ReplayError)}
    assert (final | {14}, ContentError.exit_code in codes, LockedError.exit_code in codes) == (codes, True, False)


def test_a_group_may_write_into_the_outbox_alone() -> None:
    """What confers trust, the ledger among it, nobody but the daemon may change; a daemon would not start otherwise."""
    for name in SERVICES:
        unit = read(name)
        assert all(int(mode, 8) & 0o022 == 0 for mode in unit["StateDirectoryMode"])
        assert all(int(mask, 8) & 0o022 == 0o022 for mask in unit["UMask"])
    opened = [command.split()[-2:] for name in SERVICES for command in read(name)["ExecStartPre"]]
    assert [["0770", "/var/lib/diode-sender/outbox"]] == opened


def test_the_receiver_has_no_network_and_both_have_no_rights() -> None:
    """What the page promises stands in the units."""
    assert (["yes"], ["AF_UNIX"]) == tuple(
        read("diode-receiver.service")[key] for key in ("PrivateNetwork", "RestrictAddressFamilies")
    )
    for name in SERVICES:
        unit = read(name)
        assert ["yes"] == unit["DynamicUser"] == unit["NoNewPrivileges"] == unit["MemoryDenyWriteExecute"]
        assert ["strict"] == unit["ProtectSystem"]
        assert [""] == unit["CapabilityBoundingSet"]
        assert ["notify"] == unit["Type"]
        assert all(unit[key] for key in ("WatchdogSec", "MemoryMax", "TasksMax", "LoadCredential", "SystemCallFilter"))
