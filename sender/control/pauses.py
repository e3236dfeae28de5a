"""What people paused. It is kept in ``state/paused.json`` until they resume it, so a restart sends nothing of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from diode.errors import StorageError
from diode.formats.strict_json import read_json
from diode.storage.durable import disk_error
from diode.storage.folder import Folder

FILE: Final = "paused.json"
_MOST_BYTES: Final = 1 << 20


class Pauses:
    """Names of channels, with the moment since when; the empty name is the whole line."""

    def __init__(self, state: Path) -> None:
        """Read what an earlier run kept. Raises StorageError for a file that is none of ours: nothing is guessed."""
        self._state = state
        self._since = _read(state)

    @property
    def since(self) -> Mapping[str, str]:
        """By name, when it was paused (UTC)."""
        return self._since

    def add(self, name: str, at: str) -> bool:
        """Pause. False: it was paused already. Raises StorageError, and nothing has changed then."""
        if name in self._since:
            return False
        self._keep({**self._since, name: at})
        return True

    def remove(self, name: str) -> bool:
        """Resume. False: it was not paused. Raises StorageError, and nothing has changed then."""
        if name not in self._since:
            return False
        self._keep({known: at for known, at in self._since.items() if known != name})
        return True

    def _keep(self, since: dict[str, str]) -> None:
        try:
            with Folder.open(self._state) as folder:
                folder.replace(FILE, json.dumps(since).encode())
        except OSError as error:
            raise disk_error(error, f"{self._state / FILE}", "nothing was changed") from error
        self._since = since


def _read(state: Path) -> dict[str, str]:
    try:
        with Folder.open(state) as folder:
            said = read_json(folder.read(FILE, _MOST_BYTES))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise StorageError(f"{state / FILE} cannot be read ({error}): remove it, and nothing is paused") from None
    if not isinstance(said, dict) or not all(isinstance(at, str) for at in said.values()):
        raise StorageError(f"{state / FILE} is not what this program wrote: remove it, and nothing is paused")
    return said
