"""Finds files that confer trust and that other users may change: keys, the configuration, every folder above them.

All of these must belong to root or to the daemon's user, and nobody else may write them, since whoever can write them
decides what is believed. A sticky folder (such as /tmp) protects a file in it that belongs to root or to the daemon:
others can neither replace nor remove the file. It does not protect a folder of keys, to which others could add one, or
a name that does not exist yet.
"""

import os
import stat
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import BaseModel

from diode.config.identity import Identity
from diode.config.programs import programs_of
from diode.config.receiver import ReceiverConfig
from diode.config.sender import SenderConfig
from diode.errors import UsageError
from diode.process.judges import find_program
from diode.storage.database import LEDGER_FILE

MOST_LINKS: Final = 40  # as the kernel
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_KEYS_FOLDERS: Final = ("signers", "releasers", "services")

Config = SenderConfig | ReceiverConfig
Lstat = Callable[[Path], os.stat_result]


class Unsafe(NamedTuple):
    """One thing that other users may change: its path, the reason, and the command that mends it."""

    path: Path
    why: str
    do: str

    @property
    def text(self) -> str:
        """The same as a sentence for people."""
        return f"{self.path} confers trust, or lies above what does, and {self.why}"


def check_ownership(config: Config) -> None:
    """Raise UsageError at the first thing that users other than root and this process's own may change."""
    found = list(find_unsafe(config, {0, os.geteuid()}))
    if not found:
        return
    more = ""
    if len(found) > 1:
        plan = f"diode doctor -c {config.source or 'CONFIG'} --fix-plan"
        more = f" So are {len(found) - 1} others, which '{plan}' lists."
    raise UsageError(f"{found[0].text}; nothing was read.{more} Look at what it holds, then type: {found[0].do}")


def find_unsafe(config: Config, owners: Collection[int], lstat: Lstat = Path.lstat) -> Iterator[Unsafe]:
    """Everything on this side that confers trust and that users other than ``owners`` (user numbers) may change."""
    seen: set[Unsafe] = set()
    for path in _files(config):
        seen.update(unsafe_file(path, owners, lstat))
    for folder in _folders(config):
        seen.update(_unsafe_keys(folder, owners, lstat))
    yield from sorted(seen)


def unsafe_file(path: Path, owners: Collection[int], lstat: Lstat = Path.lstat) -> Iterator[Unsafe]:
    """Find what others may change: the file, or a folder or link on the way to it. The file need not exist."""
    places = [*_way(path, lstat)]
    for (place, status), (below, status_below) in zip(places, [*places[1:], (path, None)], strict=True):
        if status is None:
            return
        yield from _unsafe_entry(place, status, below, status_below, owners)


def _unsafe_keys(folder: Path, owners: Collection[int], lstat: Lstat) -> Iterator[Unsafe]:
    """Find what others may change of a folder in which every key counts."""
    yield from unsafe_file(folder, owners, lstat)
    try:
        status = folder.stat()
        names = sorted(folder.glob("*.pub"))
    except OSError:
        return
    if status.st_mode & _OTHERS_WRITE:  # also where it is sticky
        yield _writable(folder, status)
    for path in names:
        yield from unsafe_file(path, owners, lstat)


def _unsafe_entry(
    place: Path, status: os.stat_result, below: Path, status_below: os.stat_result | None, owners: Collection[int]
) -> Iterator[Unsafe]:
    if status.st_uid not in owners:
        flag = "-h " if stat.S_ISLNK(status.st_mode) else ""
        yield Unsafe(place, f"belongs to user {status.st_uid}", f"chown {flag}{min(owners)} {place}")
    if stat.S_ISLNK(status.st_mode) or not status.st_mode & _OTHERS_WRITE:
        return
    is_protected = status_below is not None and status_below.st_uid in owners and below.parent == place
    if not (stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX and is_protected):
        yield _writable(place, status)


def _writable(path: Path, status: os.stat_result) -> Unsafe:
    return Unsafe(path, f"others may write it (mode {stat.S_IMODE(status.st_mode):o})", f"chmod go-w {path}")


def _way(path: Path, lstat: Lstat) -> Iterator[tuple[Path, os.stat_result | None]]:
    """Each place that the kernel passes from / to ``path``, with links and their targets. Ends at what is missing."""
    at, rest, links = Path("/"), list(Path(os.path.abspath(path)).parts[1:]), 0
    yield at, lstat(at)
    while rest:
        name = rest.pop(0)
        if name == "..":
            at = at.parent
            continue
        place = at / name
        try:
            status = lstat(place)
            target = Path(os.readlink(place)) if stat.S_ISLNK(status.st_mode) else None
        except OSError:
            yield place, None
            return
        yield place, status
        if target is None:
            at = place
            continue
        links += 1
        if links > MOST_LINKS:
            return
        at = Path("/") if target.is_absolute() else at
        rest = [part for part in target.parts if part != "/"] + rest


def _files(config: Config) -> Iterator[Path]:
    if config.source is not None:
        yield config.source
    yield from (config.link.key, config.link.previous, config.service_key)
    yield config.audit_folder
    for program in programs_of(config):
        yield from _code_in(program.command)
    yield config.state / LEDGER_FILE  # the trust document lies in it, and which numbers are spent
    if isinstance(config, SenderConfig):
        yield config.send.key
        for channel in config.channels.values():
            yield from _paths_in(channel.intake)
            yield from _pins(channel.intake.identity)
        if config.guard_file.is_relative_to(config.outbox.path):  # others may write there
            yield config.guard_file
    else:
        for side in config.channels.values():
            yield from _pins(side.identity)


def _pins(identity: Identity | None) -> Iterator[Path]:
    """Files of certificates whose keys sign what the enclave believes."""
    if identity is not None:
        yield from (*identity.crl_issuers, *identity.saml_signers)


def _code_in(command: Sequence[str]) -> Iterator[Path]:
    """The program of a command, and files among its arguments that it may run or obey: a script, a file of rules."""
    with suppress(OSError):
        yield Path(find_program(command[0]))
    if os.path.isabs(command[0]):
        yield Path(command[0])  # also where nothing is yet: whoever can make it decides
    yield from (Path(argument) for argument in command[1:] if os.path.isabs(argument) and os.path.isfile(argument))


def _paths_in(section: BaseModel) -> Iterator[Path]:
    """Files that a section names, of keys and of trusted roots; the scanner's socket is no file of ours."""
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Path):
            yield value
        elif isinstance(value, BaseModel) and name != "clamd":
            yield from _paths_in(value)


def _folders(config: Config) -> Iterator[Path]:
    if isinstance(config, SenderConfig):
        yield config.send.approvers
    else:
        yield from (getattr(config, name) for name in _KEYS_FOLDERS)
