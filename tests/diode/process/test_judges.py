"""A site's own scanners and hooks find neither our keys nor our books, whoever they run as."""

import ctypes
import os
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from diode.config.init import init_pair
from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.config.sender import SenderConfig
from diode.errors import UsageError
from diode.process.judges import CANNOT_START, Account, Surroundings, let_in
from diode.process.programs import environment
from diode.process.sandbox import everything_but, landlock_version
from receiver.release.scanning import surroundings as scanner_surroundings
from sender.intake.hooks import surroundings as hook_surroundings
from tests.patience import PATIENCE_S

needs_landlock = pytest.mark.skipif(landlock_version() < 2, reason="this kernel has no Landlock")
needs_root = pytest.mark.needs("root")


@pytest.fixture
def link(tmp_path: Path) -> Path:
    """Both sides, with something in each folder."""
    return pair_in(tmp_path)


@pytest.fixture
def open_link() -> Iterator[Path]:
    """The same in a folder to which every user may pass, as through pytest's own not everyone may."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        yield pair_in(Path(folder))


def pair_in(folder: Path) -> Path:
    """Both sides below a folder; everybody may pass through the pair itself."""
    pair, (to, listen) = folder / "pair", ("127.0.0.1:9", "127.0.0.1:9")
    init_pair(pair, to=to, listen=listen, mtu=1500, rate=0, profile="standard", auth="gmac")
    for name in ("receiver/state/ledger.db", "receiver/state/audit/1", "sender/state/ledger.db"):
        (pair / name).parent.mkdir(parents=True, exist_ok=True)
        (pair / name).write_text("books")
    held = pair / "receiver/inbox/.diode/held/0123456789abcdef/data"
    held.mkdir(parents=True)
    (held / "file").write_text("held")
    (pair / "sender/outbox/item").write_text("item")
    return pair


@pytest.fixture
def victim() -> Iterator[int]:
    """Another process of this user, as a daemon is."""
    with subprocess.Popen(["/bin/sleep", "1000"], env={"SECRET": "x"}) as process:
        while "sleep" not in Path(f"/proc/{process.pid}/comm").read_text():
            time.sleep(0.01)
        yield process.pid
        process.kill()


def tried(attack: str, around: Surroundings | None, user: str = "") -> bool:
    """Whether a shell can do something: as a judge, or plainly where there is no ``around``."""
    program = ["/bin/sh", "-c", attack]
    command = program if around is None else around.command(program, user)
    done = subprocess.run(command, capture_output=True, cwd="/", env=environment(), timeout=PATIENCE_S, check=False)
    assert CANNOT_START != done.returncode, done.stderr
    return done.returncode == 0


SIDES = {
    "receiver": ("keys/link.key", "keys/service.key", "receiver.toml", "state/ledger.db", "state/audit/1"),
    "sender": ("keys/link.key", "keys/signing.key", "keys/service.key", "sender.toml", "state/ledger.db"),
}
WRITES = {
    "receiver": ("keys/signers/mallory.pub", "state/decisions/x", "inbox/c", "inbox/.diode/spool/x"),
    "sender": ("outbox/item", "outbox/new", "sent/.anchor.json", "keys/approvers/mallory.pub", "state/x"),
}


def around_of(link: Path, side: str) -> Surroundings:
    """What the judges of a side find."""
    config = link / side / f"{side}.toml"
    if side == "sender":
        return hook_surroundings(load(SenderConfig, config))
    held = link / "receiver/inbox/.diode/held/0123456789abcdef"
    return scanner_surroundings(load(ReceiverConfig, config)).with_reads(held)


@pytest.mark.long
@needs_landlock
@pytest.mark.parametrize("side", SIDES)
def test_a_judge_reads_no_key_and_no_book(link: Path, side: str) -> None:
    """Which it could as the daemon's user: by name, through a link, through a process, and beside what it may see."""
    around = around_of(link, side)
    detour = link.parent / "detour"
    detour.symlink_to(link / side)
    for name in SIDES[side]:
        path = link / side / name
        for way in (path, detour / name, f"/proc/self/root{path}", f"/proc/{os.getpid()}/root{path}"):
            assert tried(f"cat {way}", None)
            assert not tried(f"cat {way}", around), way


@needs_landlock
@pytest.mark.parametrize("side", SIDES)
def test_a_judge_changes_nothing_of_ours(link: Path, side: str) -> None:
    """Neither whom we trust, nor decisions, nor what waits; nor can it put something else in a place of ours."""
    around = around_of(link, side)
    for name in WRITES[side]:
        path = link / side / name
        assert not tried(f"mkdir -p {path.parent}; echo x >> {path}", around), name
    for ours in ("keys", "state", f"{side}.toml"):
        assert not tried(f"mv {link / side / ours} {link / 'gone'}", around)
        assert not tried(f"rm -rf {link / side / ours}", around)
    assert all((link / side / name).exists() for name in SIDES[side])


@needs_landlock
def test_a_judge_reads_what_it_judges(link: Path) -> None:
    """And keeps everything else that its user has."""
    held = link / "receiver/inbox/.diode/held/0123456789abcdef/data/file"
    assert tried(f"test held = $(cat {held})", around_of(link, "receiver"))
    assert not tried(f"echo x > {held}", around_of(link, "receiver"))
    assert not tried(f"rm {held}", around_of(link, "receiver"))
    assert tried(f"test item = $(cat {link}/sender/outbox/item)", around_of(link, "sender"))
    scratch = link.parent / "scratch"
    scratch.mkdir()
    assert tried(f"echo x > {scratch}/y && cat {scratch}/y /etc/hostname > /dev/null", around_of(link, "sender"))


@needs_landlock
def test_a_judge_leaves_other_processes_alone(victim: int, link: Path) -> None:
    """It is the daemon's user, and can neither look into the daemon nor trace it."""
    around = around_of(link, "receiver")
    for attack in (f"cat /proc/{victim}/environ", f"cat /proc/{victim}/maps", f"ls -l /proc/{victim}/fd/ | grep null"):
        assert tried(attack, None)
        assert not tried(attack, around), attack
    if landlock_version() >= 6:
        assert not tried(f"kill -0 {victim}", around)


@needs_root
@pytest.mark.parametrize("user", ["", "nobody"])
def test_a_judge_has_no_privilege(user: str, link: Path) -> None:
    """Root's scanner is root without power, and gains none by any program."""
    status = "grep -q '^{}:[[:space:]]*0*$' /proc/self/status"
    for field in ("CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert tried(status.format(field), around_of(link, "receiver"), user), field
    assert tried("grep -q '^NoNewPrivs:[[:space:]]*1$' /proc/self/status", around_of(link, "receiver"), user)
    assert not tried("mknod /dev/shm/diode-device b 8 0", around_of(link, "receiver"), user)


@needs_root
def test_a_judge_with_a_user_of_its_own(open_link: Path) -> None:
    """It has that user's numbers and groups, and still passes to the bundle that it judges."""
    link = open_link
    around, nobody = around_of(link, "receiver"), Account.of("nobody")
    assert tried(f"test $(id -u):$(id -g) = {nobody.user}:{nobody.group}", around, "nobody")
    assert tried(f'test "$(id -G)" = "{" ".join(map(str, nobody.groups))}"', around, "nobody")
    for folder in (link / "receiver", link):
        folder.chmod(folder.stat().st_mode | 0o011)
    held = link / "receiver/inbox/.diode/held"
    held.chmod(0o700)
    assert not tried(f"cat {held}/0123456789abcdef/data/file", around, "nobody")
    let_in(held, "nobody")
    assert tried(f"cat {held}/0123456789abcdef/data/file", around, "nobody")
    assert not tried(f"ls {held}", Surroundings(), "nobody")


def test_an_unknown_user_and_an_absent_program() -> None:
    """Both are said, and nothing is started as somebody else."""
    with pytest.raises(UsageError, match="there is no user"):
        Surroundings().command(["/bin/sh"], "nobody-of-this-name")
    with pytest.raises(FileNotFoundError):
        Surroundings().command(["/nowhere/scanner"])


@needs_root
def test_who_may_not_become_the_user_runs_nothing() -> None:
    """A daemon without CAP_SETUID whose configuration names a user: no scan, rather than one as the daemon's user."""
    command = Surroundings().command(["/bin/sh", "-c", "echo ran"], "nobody")
    drop_setuid = partial(ctypes.CDLL(None).prctl, 24, 7, 0, 0, 0)
    done = subprocess.run(command, capture_output=True, cwd="/", preexec_fn=drop_setuid, check=False)
    assert (CANNOT_START, b"") == (done.returncode, done.stdout)
    assert b"cannot be started: Operation not permitted" in done.stderr


def test_everything_but_is_everything_but(tmp_path: Path) -> None:
    """Neither what is hidden, nor a folder above it, nor a link."""
    for name in ("a/b/keys/k", "a/b/other", "a/c/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "a" / "link").symlink_to(tmp_path / "a" / "b" / "keys")
    found = {path for path in everything_but([str(tmp_path / "a" / "b" / "keys")]) if path.startswith(str(tmp_path))}
    assert {str(tmp_path / "a" / "b" / "other"), str(tmp_path / "a" / "c")} == found
    assert ["/"] == list(everything_but([]))
