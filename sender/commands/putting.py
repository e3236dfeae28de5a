"""``diode-sender put``: copies into the outbox so that no half of it is ever sent.

The copy has a name with a leading dot, which the daemon leaves alone. It is synced, and gets its name by one rename.
"""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from diode.config.load import load
from diode.config.sender import SenderConfig
from diode.console.entry import INTERRUPTED, fail
from diode.console.terminal import say
from diode.errors import SourceError, UsageError
from diode.storage.folder import Folder, make_link, set_modified
from sender.outbox.folder import check_channel, printable, split_name
from sender.outbox.scan import Found, Root, Source, find


def put(toml: Path, path: Path, channel: str, name: str | None) -> None:
    """Copy ``path`` into the outbox as ``name``, which is NAME or NAME@VERSION; by default that of the path.

    Raises SourceError for what cannot cross the diode, UsageError where something of that name waits already. After a
    failure or Ctrl-C nothing of it is in the outbox.
    """
    config = load(SenderConfig, toml)
    wanted = name or path.absolute().name
    split_name(wanted)
    check_channel(channel)
    found = find([Root.named(path)], config.links(channel), wanted)
    is_file = path.is_file()
    with (
        Folder.open(config.outbox.path, create=True, mode=0o777) as outbox,
        outbox.folder(channel, create=True, mode=0o777) as target,
        _unfinished(target) as partial,
    ):
        if target.has(wanted):
            raise UsageError(f"{printable(config.outbox.path / channel / wanted)} waits already; give another --name")
        with target.folder(partial, create=True, mode=0o777) as folder:
            _copy(found, folder)
            if is_file:
                folder.move(wanted, target, wanted)
        if not is_file:
            target.move(partial, target, wanted)
        target.sync()
    say(f"put {printable(config.outbox.path / channel / wanted)}")


@contextmanager
def _unfinished(target: Folder) -> Iterator[str]:
    """A free name with a leading dot. What lies at it in the end is removed, also after SIGTERM and SIGHUP."""
    name = f".put-{os.urandom(8).hex()}"
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield name
    except KeyboardInterrupt:
        target.remove(name)
        fail("interrupted; nothing of it is in the outbox", INTERRUPTED)
    finally:
        target.remove(name)
        for number, handler in before.items():
            signal.signal(number, handler)


def _copy(found: Found, top: Folder) -> None:
    """Copy the files, durably and with their times, and tell now and then how far it is."""
    sources = found.sources
    total, done, told = sum(source.size for source in sources), 0, 0
    for source in sources:
        folder, _, name = source.path.rstrip("/").rpartition("/")
        with top.folders(folder, create=True, mode=0o777) if folder else top.folders(".") as inner:
            if source.link is not None:
                make_link(inner, name, source.link)
                set_modified(inner, name, source.mtime_ns)
            elif source.path.endswith("/"):
                inner.folder(name, create=True, mode=0o777).close()
            else:
                _copy_file(source, inner, name)
            inner.sync()
        done += source.size
        if total and 10 * done // total > told:
            told = 10 * done // total
            say(f"{told * 10:3d} % of {total:,} bytes copied")
    for path, time_ns in found.folders.items():
        above, _, name = path.rpartition("/")
        with top.folders(above or ".") as inner:
            set_modified(inner, name or ".", time_ns)


def _copy_file(source: Source, folder: Folder, name: str) -> None:
    with source.open() as file:
        status = os.fstat(file.fileno())
        mode = 0o777 if status.st_mode & 0o100 else 0o666
        with os.fdopen(folder.create(name, mode), "wb") as copy:
            shutil.copyfileobj(file, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())
        set_modified(folder, name, status.st_mtime_ns)
        if not source.is_as_found(status) or not source.is_as_found(os.fstat(file.fileno())):
            raise SourceError(f"{source.origin!r} changed while it was copied; nothing of it is in the outbox")
