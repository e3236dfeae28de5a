"""Each check on hosts that are as they should be, and on hosts that are not; every problem says what to type."""

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from diode.config.init import init_pair
from diode.config.receiver import ReceiverConfig
from diode.doctor.check_arrival import check_arrival
from diode.doctor.check_health import check_upkeep
from diode.doctor.check_one_way import check_returns
from diode.doctor.check_speed import check_tuning
from diode.doctor.findings import Finding, Site
from diode.doctor.host import Host
from diode.doctor.report import examine, fix_plan, open_site, problems
from diode.doctor.selftest import evidence, prove, read_evidence, write_evidence
from diode.errors import TrustError, UsageError
from diode.formats.dsse import load_public_key
from diode.trust.keys import new_link_key, new_signing_key, write_private

HEAD = "  sl  local_address rem_address st tx_queue rx_queue tr tm->when retrnsmt uid timeout inode"


class FakeHost(Host):
    """Files and commands as a test wants them; what it does not name is missing."""

    def __init__(self, files: dict[str, str], commands: dict[str, str]) -> None:
        self.files, self.commands = files, commands

    def read(self, path: str) -> str:
        """From the dictionary."""
        return self.files.get(path, "")

    def run(self, *command: str) -> str | None:
        """Likewise."""
        return self.commands.get(" ".join(command))


ADDRESSES = json.dumps([{"ifname": "dio0", "addr_info": [{"local": "10.0.0.2"}]}])
FILES = {
    "/proc/sys/net/ipv6/conf/dio0/disable_ipv6": "1",
    "/proc/sys/net/ipv4/icmp_echo_ignore_all": "1",
    "/proc/sys/net/core/rmem_max": "268435456",
    "/proc/sys/net/core/wmem_max": "268435456",
    "/proc/sys/vm/dirty_background_bytes": "268435456",
    "/proc/sys/fs/protected_hardlinks": "1",
    "/proc/sys/fs/protected_symlinks": "1",
    "/sys/class/net/dio0/flags": "0x81",
    "/sys/class/net/dio0/carrier": "1",
    "/sys/class/net/dio0/mtu": "9000",
    "/sys/class/net/dio0/ifindex": "3",
    "/proc/net/packet": "sk RefCnt Type Proto Iface R Rmem User Inode",
    "/proc/net/udp": f"{HEAD}\n 1: 0200000A:2329 00000000:0000 07 0:0 0:0 0 0 0 77 2 0 0",
}
COMMANDS = {
    "ip -j address show": ADDRESSES,
    "ip -j address show dev dio0": ADDRESSES,
    "ip -j route get 10.0.0.2": json.dumps([{"dev": "dio0"}]),
    "ip -j neighbour show to 10.0.0.2 dev dio0": json.dumps([{"state": ["PERMANENT"]}]),
    "ethtool --version": "ethtool version 6.1",
    "ethtool -a dio0": "RX:\t\toff\nTX:\t\toff\n",
    "ethtool --show-eee dio0": "EEE status: disabled",
    "ethtool -g dio0": "Pre-set maximums:\nRX: 4096\nTX: 4096\nCurrent hardware settings:\nRX: 4096\nTX: 4096\n",
    "timedatectl show --property=NTPSynchronized --value": "yes\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Both sides."""
    init_pair(tmp_path, to="10.0.0.2:9001", listen="10.0.0.2:9001", mtu=9000, rate=0, profile="clean", auth="gmac")
    (tmp_path / "receiver" / "inbox").mkdir(exist_ok=True)
    (tmp_path / "receiver" / "state").mkdir(exist_ok=True)
    (tmp_path / "sender" / "state").mkdir(exist_ok=True)
    return tmp_path


def site(folder: Path, role: str, files: dict[str, str] | None = None, commands: dict[str, str] | None = None) -> Site:
    """A side on a good host, but for what is given."""
    host = FakeHost(FILES | (files or {}), COMMANDS | (commands or {}))
    return open_site(folder / role / f"{role}.toml", None, None, host)


def named(findings: list[Finding], name: str) -> Finding:
    """One finding."""
    return next(finding for finding in findings if finding.check == name)


@pytest.mark.parametrize("role", ["sender", "receiver"])
def test_a_host_as_it_should_be(folder: Path, role: str) -> None:
    """Only the rules lack, since no fake can be asked for them; the interface is found by itself."""
    good = site(folder, role)
    assert "dio0" == good.interface
    report = examine(good)
    assert {"rules"} == {finding.check for finding in problems(report)}
    levels = {f.check: f.level for findings in report.values() for f in findings if f.level != "ok"}
    assert {"rules", "offload", "compiled core", "FEC", "sandbox"} >= levels.keys()


BAD: list[tuple[str, str, dict[str, str], dict[str, str]]] = [
    ("receiver", "IPv6", {"/proc/sys/net/ipv6/conf/dio0/disable_ipv6": "0"}, {}),
    ("receiver", "ARP", {"/sys/class/net/dio0/flags": "0x1"}, {}),
    ("receiver", "multicast", {"/sys/class/net/dio0/flags": "0x1081"}, {}),
    ("receiver", "ICMP", {"/proc/sys/net/ipv4/icmp_echo_ignore_all": "0"}, {}),
    ("receiver", "forwarding", {"/proc/sys/net/ipv4/conf/dio0/forwarding": "1"}, {}),
    ("receiver", "pause frames", {}, {"ethtool -a dio0": "RX:\t\ton\nTX:\t\ton\n"}),
    ("receiver", "energy-efficient Ethernet", {}, {"ethtool --show-eee dio0": "EEE status: enabled - active"}),
    (
        "receiver",
        "other listeners",
        {"/proc/net/tcp": f"{HEAD}\n 0: 00000000:0016 00000000:0000 0A 0:0 0:0 0 0 0 9"},
        {},
    ),
    ("sender", "neighbour", {}, {"ip -j neighbour show to 10.0.0.2 dev dio0": json.dumps([{"state": ["STALE"]}])}),
    ("sender", "MTU", {"/sys/class/net/dio0/mtu": "1500"}, {}),
    ("sender", "interface", {"/sys/class/net/dio0/flags": "0x80"}, {}),
    ("receiver", "interface", {"/sys/class/net/dio0/carrier": "0"}, {}),
    ("receiver", "address", {}, {"ip -j address show dev dio0": "[]"}),
]


@pytest.mark.parametrize(("role", "check", "files", "commands"), BAD)
def test_what_is_wrong_is_found(
    folder: Path, role: str, check: str, files: dict[str, str], commands: dict[str, str]
) -> None:
    """As a problem, with what to type."""
    bad = site(folder, role, files, commands)
    finding = named([*check_arrival(bad), *check_returns(bad), *check_tuning(bad)], check)
    assert ("problem", True) == (finding.level, bool(finding.do))


@pytest.mark.parametrize(
    ("check", "files", "commands"),
    [
        ("packet sockets", {"/proc/net/packet": "head\nff 3 3 0003 3 1 0 0 4711"}, {}),
        ("ring", {}, {"ethtool -g dio0": "RX: 4096\nTX: 4096\nCurrent:\nRX: 256\nTX: 256\n"}),
        ("write-back", {"/proc/sys/vm/dirty_background_bytes": "9000000000"}, {}),
        ("port", {"/proc/net/udp": HEAD}, {}),
        ("rp_filter", {"/proc/sys/net/ipv4/conf/all/rp_filter": "1"}, {}),
        ("clock", {}, {"timedatectl show --property=NTPSynchronized --value": "no\n"}),
    ],
)
def test_what_could_be_better_is_advice(
    folder: Path, check: str, files: dict[str, str], commands: dict[str, str]
) -> None:
    """It does not make the command fail."""
    found = site(folder, "receiver", files, commands)
    checks = (check_arrival, check_returns, check_tuning, check_upkeep)
    assert "advice" == named([finding for run in checks for finding in run(found)], check).level


@pytest.mark.parametrize(
    ("mode", "way", "level"),
    [("0", None, "ok"), ("1", "dio0", "ok"), ("1", "eth0", "problem"), ("2", "eth0", "ok"), ("2", None, "problem")],
)
def test_who_has_no_way_back(folder: Path, mode: str, way: str | None, level: str) -> None:
    """A strict kernel drops what comes by another interface than its own way there; any kernel, what has none."""
    commands = {"ip -j route get 10.0.0.1": json.dumps([{"dev": way}])} if way else {}
    there = site(folder, "receiver", {"/proc/sys/net/ipv4/conf/dio0/rp_filter": mode}, commands)
    assert level == named(list(check_arrival(replace(there, source="10.0.0.1"))), "rp_filter").level


def test_both_doctors_say_which_key(folder: Path) -> None:
    """Two people compare one word."""
    said = [named(list(check_arrival(site(folder, role))), "same key").says for role in ("sender", "receiver")]
    assert said[0] == said[1]


def test_a_receiver_that_knows_its_mtu(folder: Path) -> None:
    """What is larger than its interface takes is lost there."""
    there = site(folder, "receiver", {"/sys/class/net/dio0/mtu": "1500"})
    link = there.config.link.model_copy(update={"mtu": 9000})
    small = replace(there, config=there.config.model_copy(update={"link": link}))
    finding = named(list(check_tuning(small)), "MTU")
    assert ("problem", "ip link set dio0 mtu 9000") == (finding.level, finding.do)


@pytest.mark.parametrize("kind", ["hardlinks", "symlinks"])
@pytest.mark.parametrize(("value", "levels"), [("0", ["problem", "advice"]), ("", ["unknown"] * 2), ("1", ["ok"] * 2)])
def test_links_that_the_kernel_lets_others_make(folder: Path, kind: str, value: str, levels: list[str]) -> None:
    """Where items are dropped it is a problem; what to type is said."""
    path = f"/proc/sys/fs/protected_{kind}"
    sites = [site(folder, role, {path: value}) for role in ("sender", "receiver")]
    found = [named(list(check_upkeep(each)), f"protected {kind}") for each in sites]
    assert levels == [finding.level for finding in found]
    assert value == "1" or f"sysctl -w fs.protected_{kind}=1" == found[0].do


def test_what_cannot_be_asked_is_unknown(folder: Path) -> None:
    """Nothing is taken for good because a tool is missing."""
    bare = replace(site(folder, "receiver"), host=FakeHost(FILES, {}))
    found = [*check_returns(bare), *check_upkeep(bare)]
    assert {"pause frames", "energy-efficient Ethernet", "clock"} == {f.check for f in found if f.level == "unknown"}


def test_keys_folders_and_room(folder: Path) -> None:
    """Modes, ages, what is missing."""
    receiver = site(folder, "receiver")
    config = receiver.config
    assert isinstance(config, ReceiverConfig)
    os.utime(config.link.key, (0, 0))
    config.state.chmod(0o777)
    for path in config.signers.iterdir():
        path.unlink()
    found = list(check_upkeep(receiver))
    assert "advice" == named(found, "link key").level
    assert ("problem", f"chmod o-w {config.state}") == (named(found, "state").level, named(found, "state").do)
    assert "problem" == named(found, "signers").level
    config.link.key.chmod(0o644)
    assert "problem" == named(list(check_upkeep(receiver)), "link key").level


@pytest.mark.parametrize(("days", "level"), [(29, "ok"), (31, "advice")])
def test_two_link_keys(folder: Path, days: int, level: str) -> None:
    """For a month it is a change of keys; then somebody forgot to end it."""
    receiver = site(folder, "receiver")
    link = receiver.config.link
    assert not [f for f in check_upkeep(receiver) if f.check == "previous link key"]
    write_private(link.previous, new_link_key())
    changed = time.time() - days * 86_400 - 60
    os.utime(link.previous, (changed, changed))
    found = named(list(check_upkeep(receiver)), "previous link key")
    assert level == found.level
    assert ("retire-link" in found.do) == (level == "advice")
    link.previous.write_bytes(b"junk")
    assert "problem" == named(list(check_upkeep(receiver)), "previous link key").level


def test_the_fix_plan_is_a_script_with_reasons(folder: Path) -> None:
    """What needs a person's knowledge is a comment."""
    commands = {"ip -j neighbour show to 10.0.0.2 dev dio0": "[]"}
    plan = list(fix_plan(examine(site(folder, "sender", {"/sys/class/net/dio0/mtu": "1500"}, commands))))
    assert "ip link set dio0 mtu 9000" in plan
    assert "# ip neighbour replace 10.0.0.2 lladdr MAC-OF-THE-RECEIVER dev dio0 nud permanent" in plan
    assert all(line.startswith("#") for line in plan[::2])


def test_no_interface_and_loopback(folder: Path) -> None:
    """The one is a problem, the other says what it is."""
    nowhere = replace(site(folder, "receiver"), interface=None)
    assert ["problem"] == [finding.level for finding in check_returns(nowhere)]
    loopback = replace(nowhere, interface="lo")
    assert ["advice"] == [finding.level for finding in check_returns(loopback)]
    for where in (nowhere, loopback, site(folder, "sender")):
        with pytest.raises(UsageError):
            prove(where)


def test_evidence_is_signed(folder: Path, tmp_path: Path) -> None:
    """By the key that was given, as a whole, in a new file."""
    private, public = new_signing_key()
    _, stranger = new_signing_key()
    write_private(tmp_path / "key", private)
    where = site(folder, "receiver")
    pack = evidence(where, examine(where), None)
    write_evidence(pack, tmp_path / "pack.json", tmp_path / "key")
    assert pack == read_evidence(tmp_path / "pack.json", load_public_key(public))
    with pytest.raises(TrustError):
        read_evidence(tmp_path / "pack.json", load_public_key(stranger))
    with pytest.raises(UsageError):
        write_evidence(pack, tmp_path / "pack.json", tmp_path / "key")
    (tmp_path / "pack.json").write_bytes(b"[]")
    with pytest.raises(UsageError):
        read_evidence(tmp_path / "pack.json", load_public_key(public))


JUDGES = {
    "receiver": ('[channels.c]\nscan = ["/bin/true"]\n', "scan_user"),
    "sender": ('[[channels.c.intake.hooks]]\nrun = ["/bin/true"]\n', "user"),
}


@pytest.mark.parametrize(("user", "level"), [("", "advice"), ("nobody", "ok"), ("nobody-of-this-name", "problem")])
@pytest.mark.parametrize("role", JUDGES)
def test_whom_scanners_and_hooks_run_as(folder: Path, role: str, user: str, level: str) -> None:
    """As the daemon's own user they are kept from its keys by Landlock alone."""
    text, setting = JUDGES[role]
    with (folder / role / f"{role}.toml").open("a") as file:
        file.write(text + (f'{setting} = "{user}"\n' if user else ""))
    assert level == named(examine(site(folder, role))["Is it sound?"], "judges").level


@pytest.mark.parametrize(
    ("landlock", "seccomp", "level", "text", "do"),
    [
        (6, True, "advice", "it opens no socket and writes below few folders", "useradd -r diode-judge"),
        (5, True, "advice", "and may signal the daemon (not from Linux 6.12 on)", "useradd -r diode-judge"),
        (0, True, "problem", "without Landlock it reads and writes all that the daemon does", "kernel with Landlock"),
        (6, False, "problem", "is not started without libseccomp", "apt install libseccomp2"),
    ],
)
@pytest.mark.parametrize("role", JUDGES)
def test_it_says_what_binds_a_program_of_our_own_user(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    landlock: int,
    seccomp: bool,
    level: str,
    text: str,
    do: str,
    role: str,
) -> None:
    """By what this kernel can do."""
    monkeypatch.setattr("diode.doctor.check_health.landlock_version", lambda: landlock)
    monkeypatch.setattr("diode.doctor.check_health.has_seccomp", lambda: seccomp)
    config, setting = JUDGES[role]
    with (folder / role / f"{role}.toml").open("a") as file:
        file.write(config)
    found = named(examine(site(folder, role))["Is it sound?"], "judges")
    assert (level, True, True) == (found.level, text in found.says, f"{setting} is not set" in found.says)
    assert do in found.do
