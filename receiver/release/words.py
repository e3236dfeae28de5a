"""Small signed files by which people speak to ``store``: which are read, and who has signed each.

A word counts as that of the person who holds the releaser's key that signed it. If no releaser's key is known, it
counts as that of the Unix user who owns the file. The receiver itself speaks by its own service key.
"""

import os
import pwd
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from diode.errors import ManifestError, TrustError
from diode.formats.dsse import read_envelope, valid_keys
from diode.formats.signers import Envelope, Key
from diode.storage.folder import Folder
from diode.trust.roles import Trust
from receiver.policy.authority import Authority

MAX_BAD: Final = 1000  # files that do not count, each spoken of once
ENDING: Final = ".dsse.json"


class Kind(NamedTuple):
    """One kind of words: the type of the payload, the largest file in bytes, and who speaks by the own key."""

    payload_type: str
    most_bytes: int
    ourselves: str


class Said(NamedTuple):
    """What somebody said who is known, not yet parsed, and the file it lies in."""

    payload: bytes
    person: str
    path: Path
    key: str = ""  # its id; none: a Unix user's word


class Uncounted(NamedTuple):
    """A file that holds nothing that counts, and why. ``is_passing``: the disk said so, and it may be read later."""

    path: Path
    reason: str
    is_passing: bool = False


class Speakers(NamedTuple):
    """Whose words are known. ``trust``: the releasers' keys; None: Unix users. ``own_key``: the receiver's."""

    trust: Trust | None
    own_key: Key | None


class Releasers:
    """Whose word counts: the trust document says so, or else a folder of keys, or else every Unix user's does."""

    def __init__(self, authority: Authority, folder: Trust | None, own_key: Key | None) -> None:
        self._authority = authority
        self._folder = folder
        self._own_key = own_key

    @property
    def trust(self) -> Trust | None:
        """Whose keys release; None: no key is known, so Unix users do."""
        document = self._authority.release
        return document if document is not None and document.roles else self._folder

    @property
    def speakers(self) -> Speakers:
        """Whose words are known now."""
        return Speakers(self.trust, self._own_key)

    def may(self, person: str, channel: str) -> bool:
        """Whether a person's word counts for a channel."""
        trust = self.trust
        if trust is None:
            return True
        role = trust.role(channel)
        return role is not None and (role.persons is None or person in role.persons)


class Once:
    """Tells of each file that does not count, once."""

    def __init__(self, tell: Callable[[str, str], None]) -> None:
        """``tell`` is given the name of a file, and why it does not count."""
        self._tell = tell
        self._told: set[Path] = set()

    def tell(self, bad: Uncounted) -> None:
        """Tell of a file, unless that was done."""
        if bad.path not in self._told and len(self._told) < MAX_BAD:
            self._told.add(bad.path)
            self._tell(bad.path.name, bad.reason)


def find_words(folder: Path, is_one: Callable[[str], bool], most: int) -> list[Path]:
    """Files whose names are of the kind, oldest first: of each owner the newest, so that nobody hides others' words."""
    found, counts = [], Counter[int]()
    with suppress(FileNotFoundError), Folder.open(folder) as opened:
        for name in reversed(opened.oldest_first()):
            if not (is_one(name) and name.endswith(ENDING)):
                continue
            with suppress(FileNotFoundError):
                owner = os.stat(name, dir_fd=opened.fd, follow_symlinks=False).st_uid
                counts[owner] += 1
                if counts[owner] <= most:
                    found.append(folder / name)
    return found[::-1]


def read_words(paths: Iterable[Path], kind: Kind, speakers: Speakers, now: str) -> Iterator[Said | Uncounted]:
    """What was said by whom, and the files that hold nothing that counts."""
    for path in paths:
        try:
            sealed, owner = _read(path, kind.most_bytes)
            envelope = read_envelope(sealed, kind.payload_type, kind.most_bytes)
            person, key = _speaker(envelope, owner, kind, speakers, now)
            yield Said(envelope.payload, person, path, key)
        except (ManifestError, TrustError) as error:
            yield Uncounted(path, str(error))
        except OSError as error:
            yield Uncounted(path, str(error), is_passing=True)


def _speaker(envelope: Envelope, owner: int, kind: Kind, speakers: Speakers, now: str) -> tuple[str, str]:
    """Who has signed, and with which key. Raises ManifestError, TrustError."""
    if speakers.own_key is not None and list(valid_keys(envelope, [speakers.own_key])):
        return kind.ourselves, speakers.own_key.keyid
    if speakers.trust is None:
        return _unix_user(owner), ""
    (person, key), *others = speakers.trust.signatures(envelope, now)
    if others:
        raise ManifestError("signed more than once: each person decides in a file of their own")
    return person, key


def _read(path: Path, most_bytes: int) -> tuple[bytes, int]:
    """A file's bytes and its owner, of one and the same file."""
    with Folder.open(path.parent) as folder, folder.regular(path.name) as file:
        return file.read(most_bytes + 1), os.fstat(file.fileno()).st_uid


def _unix_user(uid: int) -> str:
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except (KeyError, OSError):
        return f"user {uid}"
