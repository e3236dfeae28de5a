"""The outbox: which items are there, which are quiet long enough to be taken, and where they go afterwards."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog
from pydantic import TypeAdapter, ValidationError

from diode.config import Outbox
from diode.errors import DiodeError, IntakeError, PathError, SourceError, UsageError
from diode.manifest import ChannelName, check_new_name

_CHANNEL: TypeAdapter[str] = TypeAdapter(ChannelName)

log = structlog.get_logger()


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
    """Raise SourceError unless a bundle may be called so."""
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
    """Reads the outbox, and moves what was handled out of it."""

    def __init__(self, config: Outbox) -> None:
        self._config = config
        self._strays: set[Path] = set()
        try:
            for folder in (config.path, config.sent, config.failed):
                folder.mkdir(parents=True, exist_ok=True)
            for folder in (config.sent, config.failed):
                _try_rename(config.path, folder)
        except OSError as error:
            raise UsageError(
                f"outbox.path, outbox.sent and outbox.failed must be writable and on one mount: "
                f"{error.filename}: {error.strerror}"
            ) from error

    def entries(self) -> Iterator[Path]:
        """What lies in the channels, hidden names left out."""
        for channel in sorted(self._config.path.iterdir()):
            if channel.is_dir() and not channel.is_symlink() and not channel.name.startswith("."):
                for entry in sorted(channel.iterdir()):
                    if not entry.name.startswith("."):
                        yield entry

    def strays(self) -> list[Path]:
        """What lies beside the channels' folders and is ignored there; each is named once."""
        found = {path for path in self._config.path.iterdir() if not path.is_dir() or path.is_symlink()}
        new = sorted(path for path in found - self._strays if not path.name.startswith("."))
        self._strays = found
        return new

    def item(self, entry: Path) -> Item:
        """The item that ``entry`` names. Raises SourceError."""
        name, version = split_name(entry.name)
        return Item(entry, check_channel(entry.parent.name), name, version)

    def is_quiet(self, entry: Path, now: float | None = None) -> bool:
        """Whether nothing below ``entry`` changed for the settle time."""
        limit = (time.time() if now is None else now) - self._config.settle_s
        try:
            return all(status.st_ctime <= limit for status in _stats(entry))
        except OSError:
            return True  # unreadable: packing will say why

    def archive(self, item: Path) -> Path:
        """Move what was sent to ``sent/<channel>/``; returns its new place."""
        return self._move(item, self._config.sent)

    def set_aside(self, entry: Path, error: DiodeError) -> None:
        """Move what cannot be sent to ``failed/<channel>/``, with a reason beside it; if it cannot be moved, say so.

        Beside an item that its intake refused lies the whole verdict, too.
        """
        log.error("item_set_aside", item=printable(entry), reason=error.reason, detail=str(error))
        reason = {
            "reason": error.reason,
            "detail": str(error),
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        try:
            moved = self._move(entry, self._config.failed)
            moved.with_name(moved.name + ".reason.json").write_text(json.dumps(reason, indent=1) + "\n")
            if isinstance(error, IntakeError):
                verdict = json.dumps(error.verdict, indent=1, ensure_ascii=False)
                moved.with_name(moved.name + ".verdict.json").write_text(verdict + "\n")
        except OSError as stuck:
            log.warning("item_stuck", item=printable(entry), detail=f"{stuck.strerror}: {stuck.filename}")

    def _move(self, entry: Path, base: Path) -> Path:
        folder = base / entry.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        target, number = folder / entry.name, 1
        while os.path.lexists(target):
            number += 1
            target = folder / f"{entry.name}.{number}"
        entry.rename(target)
        return target


def printable(path: Path) -> str:
    """A path for the log: names need not be UTF-8."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _try_rename(source: Path, target: Path) -> None:
    """Prove that what was sent can be moved: between two mounts of one file system it cannot."""
    trial = source / ".diode-trial"
    trial.mkdir(exist_ok=True)
    moved = target / ".diode-trial"
    try:
        trial.rename(moved)
        moved.rmdir()
    except OSError:
        trial.rmdir()
        raise


def _stats(entry: Path) -> Iterator[os.stat_result]:
    yield os.lstat(entry)
    if entry.is_dir() and not entry.is_symlink():
        for folder, directories, files in os.walk(entry):
            for name in (*directories, *files):
                yield os.lstat(os.path.join(folder, name))
