"""Changes the link key of one side, and deletes the key from before once nobody needs it any more.

During a change the receiver accepts two keys, while the sender seals under one. Nothing is lost in this order: change
the receiver, then change the sender, then delete the old key. Each step is one rename. After a crash the same command
is typed again: at every moment there is one whole link key, and the receiver also accepts the one that counted before.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from diode.audit.chain import What
from diode.audit.log import open_log
from diode.config.receiver import ReceiverConfig, ReceiverLink
from diode.config.sender import SenderConfig
from diode.errors import UsageError
from diode.formats.timestamps import moment
from diode.protocol.link_key import LinkKey
from diode.storage.durable import disk_error, sync_folder
from diode.trust.keys import new_link_key, read_link_key, read_private


@dataclass(frozen=True, slots=True)
class Previous:
    """The link key from before the last change, while the receiver still accepts it, and the time of that change."""

    key: LinkKey
    changed_at: float  # seconds since 1970

    @property
    def since(self) -> str:
        """When the link key was changed, as text."""
        return moment(self.changed_at)

    @property
    def days(self) -> int:
        """Days since the link key was changed."""
        return int((time.time() - self.changed_at) / 86400)


def maybe_previous(link: ReceiverLink) -> Previous | None:
    """The second key that a receiver accepts; None when there is only one. Raises as :func:`read_link_key`."""
    if not link.previous.exists():
        return None
    key, current = read_link_key(link.previous), read_link_key(link.key)
    if key == current:
        return None  # a change was begun, and not finished
    if key.key_id == current.key_id:
        raise UsageError(f"{link.previous} has the same id as {link.key}: datagrams could not tell them apart")
    return Previous(key, link.previous.stat().st_mtime)


def rotate_link(config: SenderConfig | ReceiverConfig, new: Path | None) -> bool:
    """Install ``new`` as the link key, and keep the one before as the previous key.

    False: ``new`` is installed already.

    With None a new key is made. Only the receiver may do so, since it must have the new key first. Raises UsageError
    for a key that cannot follow, and StorageError. After an error the key that counted before still counts.
    """
    link = config.link
    current = read_link_key(link.key)
    previous = read_link_key(link.previous) if link.previous.exists() else None
    key = _make(config, current) if new is None else read_link_key(new)
    try:
        if key.secret == current.secret:
            sync_folder(link.key.parent)  # whoever was killed before this types it again
            return False
        if key.key_id == current.key_id:
            raise UsageError(
                f"{new} has by chance the same id as the key that counts; make another one (diode keys link)"
            )
        if previous is not None and previous.secret == key.secret:
            raise UsageError(
                f"{new} is the key from before the last change; a key that was given up does not come back"
            )
        if isinstance(config, ReceiverConfig) and previous not in (None, current):
            raise UsageError(
                f"the key from before the last change is still taken, and a third one cannot be; when the sender has "
                f"{link.key}: diode keys retire-link receiver.toml"
            )
        _note(config, f"{key.key_id:04x}", f"after {current.key_id:04x}")
        owner = link.key.stat()
        replace_private(link.previous, read_private(link.key), owner)
        replace_private(link.key, key.secret.hex().encode() + b"\n", owner)
    except OSError as error:
        raise disk_error(error, "the link key was not changed", "type the same again when the disk works") from error
    return True


def retire_link(config: SenderConfig | ReceiverConfig) -> bool:
    """Delete the previous link key. False when there is none. Raises UsageError, StorageError."""
    previous = config.link.previous
    try:
        if not previous.exists():
            sync_folder(previous.parent)
            return False
        _note(config, f"{read_link_key(config.link.key).key_id:04x}", "the one before is given up")
        previous.unlink()
        sync_folder(previous.parent)
    except OSError as error:
        raise disk_error(error, "the key from before may still be there", "type the same again") from error
    return True


def replace_private(path: Path, data: bytes, owner: os.stat_result) -> None:
    """Put a private file (0600) at ``path`` by one rename, durably. A file that root writes is given to ``owner``."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        if os.geteuid() == 0:
            os.fchown(fd, owner.st_uid, owner.st_gid)
        file.write(data)
        file.flush()
        os.fsync(fd)
    os.replace(partial, path)
    sync_folder(path.parent)


def _make(config: SenderConfig | ReceiverConfig, current: LinkKey) -> LinkKey:
    """A new key with another id."""
    if isinstance(config, SenderConfig):
        raise UsageError("the receiver has to have the new key first: change it there, and name it here by --new FILE")
    while (key := LinkKey.of(bytes.fromhex(new_link_key().decode()))).key_id == current.key_id:
        pass
    return key


def _note(config: SenderConfig | ReceiverConfig, key: str, detail: str) -> None:
    log = open_log(config.audit_folder, config.service_key, config.side)
    log.append(What.LINK_KEY_CHANGED, key=key, detail=detail)
