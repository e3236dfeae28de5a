"""What the gateway serves of one repository of models: which files, and their bytes, as a client is given them."""

import hashlib
import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import quote

from diode.errors import StorageError
from diode.formats.escape import escape
from receiver.ingest.hub_names import HubNames
from receiver.ingest.item import CHUNK_BYTES

_MAX_ANSWER_BYTES: Final = 64 << 20
_TIMEOUT_S: Final = 60.0  # of waiting for the next bytes


class Served:
    """One commit of a repository. Calls raise StorageError when the gateway does not serve it."""

    def __init__(self, gateway: str, names: HubNames) -> None:
        self._gateway = gateway.rstrip("/")
        self._names = names

    @property
    def address(self) -> str:
        """Where the repository is asked about."""
        names = self._names
        return f"{self._gateway}/api/{names.type}/{quote(names.repository)}/revision/{names.commit}"

    def paths(self) -> set[str]:
        """The files that the gateway names."""
        with _asked(self.address) as answer:
            said: Any = json.loads(answer.read(_MAX_ANSWER_BYTES))
            return {str(one["rfilename"]) for one in said["siblings"]}

    def sha256(self, path: str, size: int) -> str:
        """Digest of what is served under a path. At most one byte more than ``size`` is taken in."""
        names, hasher, left = self._names, hashlib.sha256(), size + 1
        above = "datasets/" if names.type == "datasets" else ""
        address = f"{self._gateway}/{above}{quote(names.repository)}/resolve/{names.commit}/{quote(path)}"
        with _asked(address) as answer:
            while left and (chunk := answer.read(min(left, CHUNK_BYTES))):
                hasher.update(chunk)
                left -= len(chunk)
        return hasher.hexdigest()


@contextmanager
def _asked(address: str) -> Iterator[Any]:
    """One answer, to be read. Errors on the way, and in what is read of it, name the address."""
    try:
        with urllib.request.urlopen(address, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - its scheme is checked
            yield answer
    except (OSError, HTTPException, ValueError, KeyError, TypeError) as error:
        raise StorageError(
            f"the gateway does not say what it serves at {address}: {escape(str(error))[:300]}; no version was made"
        ) from error
