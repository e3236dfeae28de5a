"""Changing the link key: the receiver takes two for a while, the sender seals under one.

The order that loses nothing: the receiver first, then the sender, then the old key goes. Each step is one rename, and a
step that was killed is simply typed again.
"""

import os
from pathlib import Path

from diode.audit import open_log
from diode.chain import What
from diode.config import ReceiverConfig, SenderConfig
from diode.durable import sync_folder
from diode.errors import UsageError
from diode.keys import read_link_key, read_private


def rotate_link(config: SenderConfig | ReceiverConfig, new: Path) -> bool:
    """Install ``new`` as the link key; the one before is kept as the previous one. False: it is installed already.

    Raises UsageError for a key that cannot follow, and leaves all as it was.
    """
    link = config.link
    key, current = read_link_key(new), read_link_key(link.key)
    if key.secret == current.secret:
        return False
    if key.key_id == current.key_id:
        raise UsageError(f"{new} has by chance the same id as the key that counts; make another one (diode keys link)")
    if link.previous.exists() and read_link_key(link.previous).secret == key.secret:
        raise UsageError(f"{new} is the key from before the last change; a key that was given up does not come back")
    _note(config, f"{key.key_id:04x}", f"after {current.key_id:04x}")
    replace_private(link.previous, read_private(link.key))
    replace_private(link.key, key.secret.hex().encode() + b"\n")
    return True


def retire_link(config: SenderConfig | ReceiverConfig) -> bool:
    """Forget the previous link key. False: there is none."""
    previous = config.link.previous
    if not previous.exists():
        return False
    _note(config, f"{read_link_key(config.link.key).key_id:04x}", "the one before is given up")
    previous.unlink()
    sync_folder(previous.parent)
    return True


def replace_private(path: Path, data: bytes) -> None:
    """Put a private file (0600) at ``path`` by one rename, durably."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_folder(path.parent)


def _note(config: SenderConfig | ReceiverConfig, key: str, detail: str) -> None:
    log = open_log(
        config.audit_folder, config.service_key, "sender" if isinstance(config, SenderConfig) else "receiver"
    )
    log.append(What.LINK_KEY_CHANGED, key=key, detail=detail)
