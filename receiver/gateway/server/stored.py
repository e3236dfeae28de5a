"""Opens the files of bundles in the inbox: only by a place of the snapshot and a path of the signed table."""

import os
import stat
from pathlib import Path

from diode.errors import StorageError
from diode.storage.folder import Folder
from receiver.gateway.answers import BundleFile


class NotYetError(StorageError):
    """A channel's first bundle came after this process had confined itself. The next process can read it."""


class Stored:
    """The inbox, for reading. Each channel's folder is opened for itself: there is no right to look beside them."""

    def __init__(self, inbox: Path) -> None:
        self._inbox = inbox

    def open(self, wanted: BundleFile) -> int:
        """A file, opened; the descriptor is the caller's. Raises StorageError when it is not what was published.

        Raises NotYetError when the channel's folder cannot be read.
        """
        one, file = wanted.bundle, wanted.file
        place = f"{one.name}/{one.version}/data/{file.path}"
        try:
            channel = Folder.open(self._inbox / one.channel)
        except OSError as error:
            raise NotYetError(f"the folder of channel {one.channel} cannot be read: {error.strerror}") from error
        try:
            with channel:
                fd = channel.beneath(place, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise StorageError(f"{one.channel}/{place} cannot be read: {error.strerror}") from error
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_size != file.size:
            os.close(fd)
            raise StorageError(f"{one.channel}/{place} is not the file that was published: its size or kind is another")
        return fd
