"""Checks what gets worse with time on a host: clock, disks, keys and permissions."""

import os
import stat
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from diode.config.link_key_rotation import maybe_previous
from diode.config.ownership import find_unsafe
from diode.config.programs import programs_of
from diode.config.receiver import ReceiverConfig
from diode.config.sender import SenderConfig
from diode.doctor.findings import Finding, Site
from diode.errors import DiodeError, UsageError
from diode.process.judges import Account
from diode.process.sandbox import has_seccomp, landlock_version
from diode.trust.keys import read_link_key, read_signer, read_trusted

OLDEST_KEY_DAYS: Final = 365
OLDEST_PREVIOUS_DAYS: Final = 30  # a change of the link key takes days, not months
SLOW_FSYNC_MS: Final = 100.0
_BUILT: Final = 1_767_225_600  # 2026-01-01: no clock that is right says less


def check_upkeep(site: Site) -> Iterator[Finding]:
    """Run all of these checks; yields their findings."""
    yield _check_clock(site)
    config = site.config
    folders = {"state": config.state}
    if isinstance(config, ReceiverConfig):
        folders["inbox"] = config.inbox.path
        yield from _check_room(config)
    else:
        folders["outbox"] = config.outbox.path
    for name, folder in folders.items():
        yield _check_folder(name, folder)
    yield from _check_links(site)
    yield _check_fsync(config.inbox.path if isinstance(config, ReceiverConfig) else config.state)
    yield from _check_keys(config)
    yield from _check_ownership(config)
    yield _check_sandbox()
    yield from _check_judges(config)


def _check_clock(site: Site) -> Finding:
    if time.time() < _BUILT:
        return Finding("clock", "problem", time.strftime("%Y-%m-%d cannot be", time.gmtime()), "date --set ...")
    told = site.host.run("timedatectl", "show", "--property=NTPSynchronized", "--value")
    if told is None:
        return Finding("clock", "unknown", "nobody tells whether it is synchronised", "timedatectl")
    if told.strip() == "yes":
        return Finding("clock", "ok", "synchronised")
    text = "not synchronised: set it by hand now and then, receipts and expiry go by it"
    return Finding("clock", "advice", text, "timedatectl set-ntp true, or date --set ...")


def _check_room(config: ReceiverConfig) -> Iterator[Finding]:
    try:
        disk = os.statvfs(config.inbox.path)
    except OSError as error:
        yield Finding("room", "problem", f"{config.inbox.path}: {error.strerror}", f"mkdir {config.inbox.path}")
        return
    free = disk.f_bavail * disk.f_frsize
    if free <= config.limits.reserve:
        do = "take bundles out of the inbox, or lower limits.reserve"
        yield Finding("room", "problem", f"{free:,} bytes are free: nothing is begun below limits.reserve", do)
    else:
        yield Finding("room", "ok", f"{free / 1e9:,.1f} GB are free")


def _check_folder(name: str, folder: Path) -> Finding:
    try:
        mode = folder.stat().st_mode
    except OSError as error:
        return Finding(name, "problem", f"{folder}: {error.strerror}", f"mkdir -p {folder}")
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        return Finding(name, "problem", f"{folder} can be written by everybody", f"chmod o-w {folder}")
    if not os.access(folder, os.W_OK):
        return Finding(name, "problem", f"{folder} cannot be written by this user", f"chown $(id -u) {folder}")
    return Finding(name, "ok", f"{folder}")


def _check_links(site: Site) -> Iterator[Finding]:
    """Whether the kernel lets a user link to files that he cannot read, or lead others through links in /tmp."""
    for kind in ("hardlinks", "symlinks"):
        name, value = f"protected {kind}", site.host.number(f"/proc/sys/fs/protected_{kind}")
        do = f"sysctl -w fs.protected_{kind}=1"
        if value is None:
            yield Finding(name, "unknown", f"fs.protected_{kind} cannot be read", do)
        elif value:
            yield Finding(name, "ok", f"fs.protected_{kind}={value}")
        else:
            text = f"fs.protected_{kind}=0: whoever may drop items can link to files of others in them"
            yield Finding(name, "problem" if site.role == "sender" else "advice", text, do)


def _check_fsync(folder: Path) -> Finding:
    """Median of five small synced writes in milliseconds."""
    times = []
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            for _ in range(5):
                began = time.perf_counter()
                file.write(bytes(65536))
                file.flush()
                os.fsync(file.fileno())
                times.append((time.perf_counter() - began) * 1000)
    except OSError as error:
        return Finding("fsync", "problem", f"{folder}: {error.strerror}", "make it writable")
    median = statistics.median(times)
    if median > SLOW_FSYNC_MS:
        return Finding("fsync", "advice", f"{median:.0f} ms: small bundles are published slowly", "use a faster disk")
    return Finding("fsync", "ok", f"{median:.1f} ms")


def _check_keys(config: SenderConfig | ReceiverConfig) -> Iterator[Finding]:
    yield _check_key(config.link.key, "link", read_link_key)
    if config.service_key.exists():
        yield _check_key(config.service_key, "service", read_signer)
    else:
        text = f"{config.service_key} is missing: the audit log is not signed"
        yield Finding("service key", "advice", text, f"diode keys service {config.service_key}")
    if isinstance(config, SenderConfig):
        yield _check_key(config.send.key, "signing", read_signer)
        return
    yield from _check_previous(config)
    try:
        count = len(read_trusted(config.signers).keys)
        yield Finding("signers", "ok", f"{count} trusted")
    except (DiodeError, OSError) as error:
        yield Finding("signers", "problem", str(error), f"put a signing.pub into {config.signers}")


def _check_ownership(config: SenderConfig | ReceiverConfig) -> Iterator[Finding]:
    """Whoever runs this may be root, and the daemon somebody else: the one whose its state folder is."""
    owners = {0, os.geteuid()}
    with suppress(OSError):
        owners.add(config.state.stat().st_uid)
    found = list(find_unsafe(config, owners))
    for unsafe in found:
        yield Finding("ownership", "problem", unsafe.text, unsafe.do)
    if not found:
        text = "keys, configuration and the folders above them are root's or the daemon's alone"
        yield Finding("ownership", "ok", text)


def _check_previous(config: ReceiverConfig) -> Iterator[Finding]:
    name = "previous link key"
    try:
        previous = maybe_previous(config.link)
    except DiodeError as error:
        yield Finding(name, "problem", str(error))
        return
    if previous is None:
        return
    text = f"{config.link.previous} is still taken, since {previous.since}"
    if previous.days > OLDEST_PREVIOUS_DAYS:
        do = "when the sender has the new one: diode keys retire-link receiver.toml"
        yield Finding(name, "advice", f"{text}: {previous.days} days", do)
    else:
        yield Finding(name, "ok", text)


def _check_key(path: Path, kind: str, read: Callable[[Path], object]) -> Finding:
    name = f"{kind} key"
    try:
        read(path)
        status = path.stat()
    except (DiodeError, OSError) as error:
        return Finding(name, "problem", str(error))
    if status.st_mode & 0o077:
        return Finding(name, "problem", f"mode {status.st_mode & 0o777:o}: others may read it", f"chmod 600 {path}")
    days = int((time.time() - status.st_mtime) / 86400)
    if days > OLDEST_KEY_DAYS:
        return Finding(name, "advice", f"{days} days old", f"diode keys {kind} {path}.new")
    return Finding(name, "ok", f"{days} days old, for this user alone")


def _check_judges(config: SenderConfig | ReceiverConfig) -> Iterator[Finding]:
    """Scanners and hooks: whom they run as. What a person starts by a command is theirs."""
    for setting, user in {one.user_setting: one.user for one in programs_of(config) if not one.is_persons}.items():
        yield _check_judge(setting, user)


def _check_judge(setting: str, user: str) -> Finding:
    do = f"useradd -r diode-judge; set {setting}, and start the daemon as root"
    if not user:
        return _check_own(f"{setting} is not set: what runs there is the daemon's own user", do)
    try:
        account = Account.of(user)
    except UsageError as error:
        return Finding("judges", "problem", f"{setting}: {error}", f"useradd -r {user}")
    if account.user == 0:
        return _check_own(f"{setting} is {user}, who is treated as the daemon's own user", do)
    return Finding("judges", "ok", f"{setting} is {user}")


def _check_own(who: str, do: str) -> Finding:
    """What binds a program of the daemon's own user, and what this kernel lacks of it."""
    if not has_seccomp():
        return Finding("judges", "problem", f"{who}, and is not started without libseccomp", "apt install libseccomp2")
    version = landlock_version()
    if version < 2:
        text = f"{who}: without Landlock it reads and writes all that the daemon does, keys and decisions too"
        return Finding("judges", "problem", text, f"{do}; or boot a kernel with Landlock")
    lacks = "" if version >= 6 else ", and may signal the daemon (not from Linux 6.12 on)"
    return Finding("judges", "advice", f"{who}: it opens no socket and writes below few folders{lacks}", do)


def _check_sandbox() -> Finding:
    lacking = [] if landlock_version() >= 2 else ["Landlock (Linux 5.19, lsm=landlock,...)"]
    lacking += [] if has_seccomp() else ["seccomp (libseccomp2)"]
    if lacking:
        do = "apt install libseccomp2; boot a newer kernel"
        return Finding("sandbox", "advice", f"workers run without {' and '.join(lacking)}", do)
    return Finding("sandbox", "ok", f"seccomp, and Landlock version {landlock_version()}")
