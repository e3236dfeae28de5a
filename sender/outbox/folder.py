"""The outbox folder: finds its items, tells which have been quiet long enough, and moves them away afterwards."""

import json
import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from diode.config.sender import Outbox
from diode.errors import DiodeError, IntakeError, PathError, SourceError, UsageError
from diode.formats.names import ChannelName, check_new_name
from diode.log import log
from diode.storage.folder import Folder, fitting, real_path
from diode.storage.locking import lock_in
from sender.outbox.left import Left
from sender.outbox.look import Look, look
from sender.outbox.scan import Root
from sender.outbox.writers import maybe_writer

OURS: Final = ".diode"  # in the outbox
REASONS: Final = ".reasons"  # in ``failed``
_NUMBERED: Final = 100  # items of one name that get a number; later ones get a random ending at once

_CHANNEL: TypeAdapter[str] = TypeAdapter(ChannelName)


@dataclass(frozen=True, slots=True)
class Item:
    """One file or directory of the outbox, named ``<channel>/<name>[@<version>]``."""

    path: Path
    channel: str
    name: str
    version: str | None


def check_channel(channel: str) -> str:
    """The channel's name. Raises SourceError."""
    try:
        return _CHANNEL.validate_python(channel)
    except ValidationError:
        raise SourceError(
            f"channel {channel!r} is not a lower-case word of letters, digits, '.', '_' and '-'"
        ) from None


def split_name(entry: str) -> tuple[str, str | None]:
    """(name, version or None) of an outbox entry. Raises SourceError."""
    name, at, version = entry.rpartition("@")
    if not at:
        name, version = entry, ""
    check_label(name, version if at else None)
    return name, version if at else None


def check_label(name: str, version: str | None) -> None:
    """Raise SourceError unless a bundle may have this name and version."""
    try:
        for component in (name,) if version is None else (name, version):
            check_new_name(component)
    except PathError as error:
        raise SourceError(str(error)) from error
    if name.startswith(".") or (version or "").startswith(".") or version == "current":
        raise SourceError(
            f"{name!r}, {version!r}: neither name nor version may start with a dot, and no version is 'current'"
        )


class OutboxFolder:
    """Reads the outbox, and moves what was handled out of it.

    Other users may write into the outbox, and may put a link at any name in it. So each name is opened relative to the
    descriptor of its folder, and a link is never followed. The reasons for a refusal are written below
    ``failed/.reasons``, in folders of our own, which no item's name can lead to.
    """

    def __init__(self, config: Outbox) -> None:
        self._config = config
        self._strays: set[str] = set()
        self._closed: dict[str, str] = {}  # why a folder of a channel cannot be read
        try:
            self._outbox = Folder.open(config.path, create=True, mode=0o777)
            self._sent, self._failed = (open_place(config, path, create=True) for path in (config.sent, config.failed))
            self._ours = _our_folder(self._outbox)
            for folder in (self._sent, self._failed):
                self._try_move(folder)
        except OSError as error:
            raise UsageError(
                f"outbox.path, outbox.sent and outbox.failed must be writable and on one mount: "
                f"{error.filename}: {error.strerror}"
            ) from error

    def lock(self) -> int:
        """Lock the outbox against other senders. Closing the returned descriptor unlocks it. Raises LockedError."""
        return lock_in(self._ours, self._config.path)

    def entries(self) -> Iterator[Path]:
        """The entries in the folders of the channels, without hidden names. A folder that cannot be read is skipped.

        Raises OSError when the outbox itself cannot be read.
        """
        closed: dict[str, str] = {}
        for channel in self._outbox.names():
            if channel.startswith("."):
                continue
            try:
                if not self._outbox.is_folder(channel):
                    continue
                with self._outbox.folder(channel) as folder:
                    names = folder.names()
            except FileNotFoundError:
                continue  # somebody removed it
            except OSError as error:
                closed[channel] = error.strerror or str(error)
                continue
            yield from (self._config.path / channel / name for name in names if not name.startswith("."))
        self._closed = closed

    def in_turn(self, entries: Iterable[Path]) -> list[Path]:
        """The entries in the order in which they are taken: the oldest of each channel, the next of each, and so on.

        The age of an entry is the time of its last change, which renaming it into the outbox is.
        """
        channels: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
        for entry in entries:
            channels[entry.parent.name].append((0, entry.name))
        for channel, aged in channels.items():
            with suppress(OSError), self._outbox.folder(channel) as folder:
                aged[:] = [(_changed_ns(folder, name), name) for _, name in aged]
            aged.sort()
        rounds = zip_longest(*([(age, channel, name) for age, name in aged] for channel, aged in channels.items()))
        return [self._config.path / one[1] / one[2] for row in rounds for one in sorted(filter(None, row))]

    def closed(self) -> list[Left]:
        """The folders of channels that could not be read when the entries were last listed."""
        do = "let the sender's user read and enter it, or remove it; what lies in it is not sent"
        return [
            Left(printable(self._config.path / channel), f"cannot be read: {why}", do)
            for channel, why in self._closed.items()
        ]

    def strays(self) -> list[Path]:
        """Files that lie beside the folders of the channels, and are ignored. Each is returned once only."""
        found = {name for name in self._outbox.names() if name[0] != "." and self._is_stray(name)}
        new = sorted(found - self._strays)
        self._strays = found
        return [self._config.path / name for name in new]

    def _is_stray(self, name: str) -> bool:
        with suppress(OSError):
            return not self._outbox.is_folder(name)
        return False

    def item(self, entry: Path) -> Item:
        """The item that ``entry`` names. Raises SourceError."""
        name, version = split_name(entry.name)
        return Item(entry, check_channel(entry.parent.name), name, version)

    def root(self, entry: Path) -> Root:
        """The root of the files of ``entry``: its name in the open folder of its channel, which is not a link."""
        channel = self._outbox.folder(entry.parent.name)
        channel.path = real_path(self._outbox.fd) / entry.parent.name
        return Root(channel, entry.name)

    def has(self, entry: Path) -> bool:
        """Whether ``entry`` still lies in the outbox."""
        if entry.parent.parent != self._config.path:
            return False
        try:
            with self._outbox.folder(entry.parent.name) as channel:
                return channel.has(entry.name)
        except OSError:
            return False

    def look(self, entry: Path) -> Look:
        """What the entry and everything in it look like now. Raises OSError."""
        with self._outbox.folder(entry.parent.name) as channel:
            return look(channel, entry.name)

    def maybe_writer(self, entry: Path) -> str | None:
        """What of the entry is open for writing, and by whom. None: nothing that can be seen. Raises OSError."""
        with self._outbox.folder(entry.parent.name) as channel:
            return maybe_writer(channel, entry.name)

    def archive(self, item: Path) -> Path:
        """Move what was sent to ``sent/<channel>/``; returns its new place."""
        return self._move(item, self._sent)

    def sent(self, channel: str) -> Folder:
        """The folder of a channel below ``sent``, opened without following a link."""
        return self._sent.folder(channel)

    def try_leaving(self, entry: Path) -> None:
        """Try once more to move an item to ``failed/``. That it could not be, and why, was logged before."""
        with suppress(OSError):
            self._move(entry, self._failed)

    def set_aside(self, entry: Path, error: DiodeError) -> None:
        """Move an item that cannot be sent to ``failed/<channel>/``.

        The reason is written below ``failed/.reasons/<channel>/``; when intake refused the item, the whole verdict is,
        too. An item that cannot be moved is logged.
        """
        details = error.details if isinstance(error, SourceError) else ()
        each = {"details": list(details)} if details else {}
        log.error("item_set_aside", item=printable(entry), reason=error.reason, detail=str(error), **each)
        reason = {
            "reason": error.reason,
            "detail": str(error),
            **each,
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        try:
            moved = self._move(entry, self._failed)
            self._say(moved, "reason", json.dumps(reason, indent=1))
            if isinstance(error, IntakeError):
                self._say(moved, "verdict", json.dumps(error.verdict, indent=1, ensure_ascii=False))
        except OSError as stuck:
            log.warning("item_stuck", item=printable(entry), detail=f"{stuck.strerror}: {stuck.filename}")

    def is_set_aside(self, channel: str, name: str) -> bool:
        """Whether an item lies in ``failed``."""
        try:
            with self._failed.folder(channel) as folder:
                return folder.has(name)
        except OSError:
            return False

    def bring_back(self, entry: Path) -> None:
        """Move an item that was set aside back to its place in the outbox. Raises OSError; nothing is replaced."""
        channel, name = entry.parent.name, entry.name
        with self._failed.folder(channel) as source, self._outbox.folder(channel, create=True, mode=0o777) as target:
            source.move(name, target, name)
        with suppress(OSError), self._failed.folders(f"{REASONS}/{channel}") as folder:
            for what in ("reason", "verdict"):
                folder.remove(fitting(name, f".{what}.json"))

    def _say(self, moved: Path, what: str, text: str) -> None:
        """Write a reason about an item, into a folder where the item's own name cannot be a file."""
        with self._failed.folders(f"{REASONS}/{moved.parent.name}", create=True, mode=0o777) as folder:
            folder.put(fitting(moved.name, f".{what}.json"), f"{text}\n".encode(), 0o666)

    def _move(self, entry: Path, base: Folder) -> Path:
        """Move an entry into ``base``, to the first name that is free there. A link is moved itself."""
        channel, name = entry.parent.name, entry.name
        with self._outbox.folder(channel) as source, base.folder(channel, create=True, mode=0o777) as target:
            for number in range(1, _NUMBERED):
                with suppress(FileExistsError):
                    new = name if number == 1 else fitting(name, f".{number}")
                    source.move(name, target, new)
                    return target.path / new
            new = fitting(name, f".{os.urandom(8).hex()}")
            source.move(name, target, new)
            return target.path / new

    def _try_move(self, target: Folder) -> None:
        """Prove by a trial that items can be renamed into ``target``: two mounts of one file system forbid it."""
        trial = f".diode-trial-{os.urandom(8).hex()}"
        with self._ours.folder(trial, create=True):
            pass
        try:
            self._ours.move(trial, target, trial)
            target.remove(trial)
        except OSError:
            self._ours.remove(trial)
            raise


def open_place(config: Outbox, path: Path, *, create: bool = False) -> Folder:
    """Open the folder ``sent`` or ``failed``. If it lies in the outbox, where others may write, no link is followed."""
    if not path.is_relative_to(config.path):
        return Folder.open(path, create=create, mode=0o777)
    with Folder.open(config.path) as outbox:
        return outbox.folders(str(path.relative_to(config.path)), create=create, mode=0o777)


def _our_folder(outbox: Folder) -> Folder:
    """The folder ``.diode`` in the outbox, which is ours alone. If a stranger put something there, it is moved away."""
    with suppress(OSError):
        folder = outbox.folder(OURS, create=True)
        if folder.is_ours(outbox):
            return folder
    outbox.move(OURS, outbox, f"{OURS}-strange-{os.urandom(8).hex()}")
    return outbox.folder(OURS, create=True)


def _changed_ns(folder: Folder, name: str) -> int:
    with suppress(OSError):
        return os.stat(name, dir_fd=folder.fd, follow_symlinks=False).st_ctime_ns
    return 0


def printable(path: Path) -> str:
    """A path as text for the log. Names of files need not be UTF-8, so other bytes are escaped."""
    return os.fsencode(path).decode(errors="backslashreplace")
