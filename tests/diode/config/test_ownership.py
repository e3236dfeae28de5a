"""What confers trust is changed by root and the daemon's user alone, and so is every folder above it."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from diode.config.init import init_pair
from diode.config.load import load, load_either
from diode.config.ownership import Config, check_ownership, find_unsafe, unsafe_file
from diode.config.receiver import ReceiverConfig
from diode.config.sender import SenderConfig
from diode.console.progress import Display
from diode.doctor.check_health import check_upkeep
from diode.doctor.findings import Site
from diode.doctor.host import Host
from diode.errors import NotInitialisedError, UsageError
from receiver.daemon import Receiver
from sender.daemon import Sender
from tests.diode.config.test_identity import certificate

NOBODY = 65534


@pytest.fixture(params=["sender", "receiver"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Config:
    """Either side, as 'diode init' writes it, below a folder that is somebody's own."""
    init_pair(tmp_path, to="127.0.0.1:9", listen="127.0.0.1:0", mtu=1500, rate=0, profile="standard", auth="gmac")
    with (tmp_path / "sender" / "sender.toml").open("a") as file:
        file.write('[channels.a.intake]\nkey = "keys/acme.pub"\n')
        file.write(f'hooks = [{{ run = ["/bin/true", "{tmp_path}/sender/rules"] }}]\n')
        file.write('identity = { kinds = ["crl"], crl_issuers = ["pins.pem"] }\n')
    with (tmp_path / "receiver" / "receiver.toml").open("a") as file:
        file.write(f'[channels.a]\nscan = ["/bin/true", "{tmp_path}/receiver/rules"]\n')
        file.write('identity = { kinds = ["crl"], crl_issuers = ["pins.pem"] }\n')
    pins = certificate("a").public_bytes(Encoding.PEM)
    for side in ("sender", "receiver"):
        (tmp_path / side / "rules").touch(0o644)
        (tmp_path / side / "pins.pem").write_bytes(pins)
        (tmp_path / side / "state" / "audit").mkdir(mode=0o700)
    keys = tmp_path / "sender" / "keys"
    (keys / "acme.pub").write_bytes((keys / "signing.pub").read_bytes())
    return load_either(tmp_path / request.param / f"{request.param}.toml")


def folder_of(config: Config) -> Path:
    """Where all of it lies."""
    assert config.source is not None
    return config.source.parent


HARMS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "configuration of others": ("", lambda folder: os.chown(next(folder.glob("*.toml")), NOBODY, NOBODY)),
    "configuration that all write": ("", lambda folder: next(folder.glob("*.toml")).chmod(0o666)),
    "its folder": ("", lambda folder: folder.chmod(0o777)),
    "its folder, by a group": ("", lambda folder: folder.chmod(0o775)),
    "a folder above": ("", lambda folder: folder.parent.chmod(0o757)),
    "a folder above of others": ("", lambda folder: os.chown(folder.parent, NOBODY, NOBODY)),
    "link key of others": ("", lambda folder: os.chown(folder / "keys" / "link.key", NOBODY, NOBODY)),
    "service key of others": ("", lambda folder: os.chown(folder / "keys" / "service.key", NOBODY, NOBODY)),
    "keys' folder sticky, its keys of others": ("", lambda folder: _sticky(folder / "keys", "link.key")),
    "a link of others": ("", lambda folder: _link(folder / "keys" / "link.key")),
    "the ledger's folder": ("", lambda folder: (folder / "state").chmod(0o777)),
    "what a hook or scanner runs": ("", lambda folder: (folder / "rules").chmod(0o666)),
    "what it runs, of others": ("", lambda folder: os.chown(folder / "rules", NOBODY, NOBODY)),
    "pins of identity material": ("", lambda folder: (folder / "pins.pem").chmod(0o666)),
    "the audit log": ("", lambda folder: (folder / "state" / "audit").chmod(0o770)),
    "signers of all": ("receiver", lambda folder: (folder / "keys" / "signers").chmod(0o777)),
    "signers of all, sticky": ("receiver", lambda folder: (folder / "keys" / "signers").chmod(0o1777)),
    "signers of a group": ("receiver", lambda folder: (folder / "keys" / "signers").chmod(0o770)),
    "services of all": ("receiver", lambda folder: (folder / "keys" / "services").chmod(0o777)),
    "a signer that all write": ("receiver", lambda folder: (folder / "keys" / "signers" / "sender.pub").chmod(0o666)),
    "a signer of others": (
        "receiver",
        lambda folder: os.chown(folder / "keys" / "signers" / "sender.pub", NOBODY, NOBODY),
    ),
    "releasers that are not there": ("receiver", lambda folder: (folder / "keys").chmod(0o1777)),
    "a vendor's key that all write": ("sender", lambda folder: (folder / "keys" / "acme.pub").chmod(0o666)),
    "approvers that are not there": ("sender", lambda folder: (folder / "keys").chmod(0o1777)),
    "signing key of others": ("sender", lambda folder: os.chown(folder / "keys" / "signing.key", NOBODY, NOBODY)),
}


def _sticky(folder: Path, name: str) -> None:
    folder.chmod(0o1777)
    os.chown(folder / name, NOBODY, NOBODY)


def _link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")
    os.lchown(path, NOBODY, NOBODY)


def start(config: Config) -> None:
    """The daemon, as far as its constructor."""
    display = Display("quiet")
    with Sender(config, display) if isinstance(config, SenderConfig) else Receiver(config, display):
        pass


@pytest.mark.needs("root")
@pytest.mark.parametrize("harm", HARMS)
def test_what_others_may_change_is_refused(config: Config, harm: str) -> None:
    """At start, exit code 2 with what to type; doctor says the same."""
    side, do = HARMS[harm]
    if side not in ("", type(config).__name__.removesuffix("Config").lower()):
        return
    start(config)
    do(folder_of(config))
    with pytest.raises(UsageError, match=r"confers trust.*type: ch(own|mod) ") as refused:
        start(config)
    assert config.source is not None
    found = [finding for finding in check_upkeep(Site(Host(), config, config.source, None)) if finding.do]
    assert 2 == refused.value.exit_code
    assert str(refused.value).endswith(tuple(finding.do for finding in found if finding.check == "ownership"))


@pytest.mark.needs("root")
@pytest.mark.parametrize("harm", HARMS)
def test_what_is_to_be_typed_mends_it(config: Config, harm: str) -> None:
    """Until nothing is found; a folder that anybody could make is made by whoever owns the place."""
    side, do = HARMS[harm]
    if side not in ("", type(config).__name__.removesuffix("Config").lower()):
        return
    do(folder_of(config))
    while found := list(find_unsafe(config, {0})):
        command, *options, value, path = found[0].do.split()
        assert options in ([], ["-h"])
        if command == "chmod":
            Path(path).chmod(Path(path).stat().st_mode & ~0o022)
        else:
            os.lchown(path, int(value), -1)
    start(config)


def test_the_sticky_bit_protects_what_is_ones_own(tmp_path: Path) -> None:
    """As /tmp does, and not what is another's, or not there."""
    folder = tmp_path / "sticky"
    folder.mkdir()
    folder.chmod(0o1777)
    (folder / "key").touch(0o600)
    me = {0, os.geteuid()}
    assert [] == list(unsafe_file(folder / "key", me))
    assert [folder] == [unsafe.path for unsafe in unsafe_file(folder / "absent", me)]
    folder.chmod(0o777)
    assert [folder] == [unsafe.path for unsafe in unsafe_file(folder / "key", me)]


def test_links_are_followed_as_the_kernel_does(tmp_path: Path) -> None:
    """Each link, and each folder above what it leads to; a circle ends."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "open" / "key").touch(0o600)
    (tmp_path / "one").symlink_to("./two")
    (tmp_path / "two").symlink_to(tmp_path / "x" / ".." / "open" / "key")
    (tmp_path / "x").mkdir()
    (tmp_path / "round").symlink_to("round")
    me = {0, os.geteuid()}
    assert [tmp_path / "open"] == [unsafe.path for unsafe in unsafe_file(tmp_path / "one", me)]
    assert [] == list(unsafe_file(tmp_path / "round", me))


def test_what_is_not_there_yet_is_somebody_elses_error(config: Config) -> None:
    """A key that is missing is not called unsafe."""
    config.link.key.unlink()
    check_ownership(config)
    with pytest.raises(NotInitialisedError, match=re.escape(str(config.link.key))):
        start(config)


@pytest.mark.parametrize("mask", [0o002, 0o000, 0o077])
def test_what_init_writes_is_in_order(tmp_path: Path, mask: int) -> None:
    """Whatever the umask: a daemon starts from it at once, and a strict one is not widened."""
    before = os.umask(mask)
    try:
        init_pair(
            tmp_path / "pair", to="127.0.0.1:9", listen="127.0.0.1:0", mtu=1500, rate=0, profile="clean", auth="gmac"
        )
    finally:
        os.umask(before)
    check_ownership(load(ReceiverConfig, tmp_path / "pair" / "receiver" / "receiver.toml"))
    check_ownership(load(SenderConfig, tmp_path / "pair" / "sender" / "sender.toml"))
    mode = (tmp_path / "pair" / "receiver" / "keys" / "signers").stat().st_mode & 0o777
    assert (0o700 if mask == 0o077 else 0o755) == mode


def test_all_that_is_wrong_is_told_at_once(config: Config) -> None:
    """Where more than one thing is wrong, as after an umask of 002, it is said where to find the other ones."""
    folder = folder_of(config)
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode | 0o020)
    with pytest.raises(UsageError, match=r"So are \d+ others, which 'diode doctor .* --fix-plan' lists\. Look"):
        check_ownership(config)


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777])
def test_an_anchor_where_others_drop(config: Config, mode: int) -> None:
    """They would take it away, or put an older one there."""
    if not isinstance(config, SenderConfig):
        return
    inside = config.outbox.model_copy(update={"sent": config.outbox.path / ".sent"})
    changed = config.model_copy(update={"outbox": inside})
    check_ownership(config)
    config.outbox.path.chmod(mode)
    check_ownership(config)
    assert [config.outbox.path] == [unsafe.path for unsafe in find_unsafe(changed, {0, os.geteuid()})]
