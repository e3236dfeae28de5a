"""Nothing leaves an interface with our rules; and the rules are either there as a whole or not at all."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from diode.config.init import init_pair
from diode.doctor.nftables import Rules
from diode.errors import UsageError
from tests.oneway.line import Line, line, run
from tests.oneway.proof import NO_RULES, ROGUE, prove
from tests.patience import PATIENCE_S

MAIN = (sys.executable, "-c", "from diode.cli.main import main; main()", "oneway")
needs_line = pytest.mark.needs("root", "network namespaces")


@pytest.fixture
def cable() -> Iterator[Line]:
    """Two hosts."""
    with line("rules") as made:
        yield made


@pytest.fixture
def configs(tmp_path: Path) -> Path:
    """Folders of both sides."""
    init_pair(tmp_path, to="10.78.0.2:9001", listen="10.78.0.2:9001", mtu=1500, rate=0, profile="clean", auth="gmac")
    return tmp_path


def oneway(enter: tuple[str, ...], config: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """``diode oneway`` on a host."""
    command = (*enter, *MAIN, words[0], "-c", str(config), *words[1:])
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)


@pytest.mark.long
@needs_line
async def test_nothing_comes_back(tmp_path: Path) -> None:
    """Whatever is sent at the receiver, whoever sends beside it, whether it runs or not; and bundles arrive."""
    rows = await prove(tmp_path, turns=2, size=4_000_000)
    assert [] == [row for row in rows if not row.is_right]
    assert NO_RULES == rows[0].situation
    assert ["1 of 1"] * 2 == [row.bundles for row in rows if row.bundles != "-"]
    assert all(row.dropped for row in rows[2:])


@pytest.mark.long
@needs_line
def test_rules_are_checked_and_removed_without_a_trace(cable: Line, configs: Path) -> None:
    """Each command says what it found; what others wrote stays."""
    config, high = configs / "receiver" / "receiver.toml", ("-i", "high", "--from", "10.78.0.1")
    run(*cable.enter_high, "nft", "add table inet others")
    before = cable.high_says("nft", "list", "ruleset")
    missing = oneway(cable.enter_high, config, "check", *high)
    assert (20, True) == (missing.returncode, "diode oneway install" in missing.stderr)
    for _ in range(2):  # what is there already stays
        assert 0 == oneway(cable.enter_high, config, "install", *high).returncode
    assert "tried to leave: 0" in oneway(cable.enter_high, config, "check", *high).stdout
    assert 0 == oneway(cable.enter_high, config, "remove", "-i", "high").returncode
    assert before == cable.high_says("nft", "list", "ruleset")
    assert "nothing to remove" in oneway(cable.enter_high, config, "remove", "-i", "high").stdout


@pytest.mark.long
@needs_line
def test_rules_that_somebody_changed(cable: Line, configs: Path) -> None:
    """They are shown, and written anew only when asked."""
    config, high = configs / "receiver" / "receiver.toml", ("-i", "high")
    assert 0 == oneway(cable.enter_high, config, "install", *high).returncode
    run(*cable.enter_high, "nft", "insert rule netdev diode_high egress udp dport 53 accept")
    changed = oneway(cable.enter_high, config, "check", *high)
    assert (20, True) == (changed.returncode, "udp dport 53 accept" in changed.stderr)
    refused = oneway(cable.enter_high, config, "install", *high)
    assert (20, True) == (refused.returncode, "--replace" in refused.stderr)
    assert "udp dport 53 accept" in cable.high_says("nft", "list", "ruleset")
    assert 0 == oneway(cable.enter_high, config, "install", "--replace", *high).returncode
    assert 0 == oneway(cable.enter_high, config, "check", *high).returncode


@needs_line
def test_the_sending_side_lets_nothing_in(cable: Line, configs: Path) -> None:
    """What comes back by accident meets no protocol."""
    config = configs / "sender" / "sender.toml"
    assert 0 == oneway(cable.enter_low, config, "install", "-i", "low").returncode
    cable.plug_in()
    cable.high_says(*ROGUE, "1")
    assert "refused: 0" not in oneway(cable.enter_low, config, "check", "-i", "low").stdout


@needs_line
def test_an_interface_that_carries_the_default_route_is_left_alone(cable: Line, configs: Path) -> None:
    """The rules would cut the host off."""
    cable.plug_in()
    run("ip", "-n", cable.high, "route", "add", "default", "via", "10.78.0.1")
    refused = oneway(cable.enter_high, configs / "receiver" / "receiver.toml", "install", "-i", "high")
    assert (2, True) == (refused.returncode, "default route" in refused.stderr)
    assert "" == cable.high_says("nft", "list", "ruleset")


@pytest.mark.long
@needs_line
def test_no_such_interface(cable: Line, configs: Path) -> None:
    """One line, and what there is instead."""
    config = configs / "receiver" / "receiver.toml"
    unknown = oneway(cable.enter_high, config, "check", "-i", "eth9")
    assert (2, "error: there is no interface eth9; there are: high, lo\n") == (unknown.returncode, unknown.stderr)
    shown = oneway((), config, "show", "-i", "eth9")
    assert 'device "eth9"' in shown.stdout


@pytest.mark.parametrize("name", ["", "a b", 'x"; }', "a" * 16, "-x"])
def test_a_name_that_is_none(name: str) -> None:
    """It never reaches nft."""
    with pytest.raises(UsageError):
        Rules("receiver", name, None, 9001)


def test_a_source_that_is_no_address() -> None:
    """Likewise."""
    with pytest.raises(UsageError):
        Rules("receiver", "eth1", "10.0.0.1 accept", 9001)


@pytest.mark.long
@needs_line
def test_the_doctor_on_a_real_host(cable: Line, configs: Path) -> None:
    """Without rules it says so and plays no rogue; with them nobody hears the rogue; evidence is signed."""
    config, high = str(configs / "receiver" / "receiver.toml"), ("-i", "high", "--from", "10.78.0.1")
    key, pack = configs / "operator.key", configs / "pack.json"
    cable.plug_in()

    def diode(*words: str) -> "subprocess.CompletedProcess[str]":
        command = (*cable.enter_high, *MAIN[:-1], *words)
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)

    assert 0 == diode("keys", "signing", str(key)).returncode
    before = diode("doctor", "-c", config, *high, "--selftest")
    assert (2, True) == (before.returncode, "nothing was sent" in before.stderr)
    plan = diode("doctor", "-c", config, *high, "--fix-plan")
    assert (20, True) == (plan.returncode, "diode oneway install" in plan.stdout)
    assert 0 == oneway(cable.enter_high, Path(config), "install", *high).returncode
    frames = cable.frames_from_high()
    told = diode("doctor", "-c", config, *high, "--json", "--selftest", "--evidence", str(pack), "--key", str(key))
    rules = next(f for f in json.loads(told.stdout)["findings"] if f["check"] == "rules")
    assert "ok" == rules["level"]
    assert frames == cable.frames_from_high()
    shown = diode("evidence", str(pack), "--signer", str(key.with_suffix(".pub")))
    proof = json.loads(shown.stdout)["selftest"]
    assert (156, 0) == (proof["tried"], proof["left"])
    assert proof["dropped_by_the_rules"] > 50  # of others the kernel waits for the neighbour, in vain
