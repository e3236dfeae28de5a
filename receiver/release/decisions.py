"""What people decide about bundles that are held: small signed files, written by a command, read by ``store``.

A decision counts as that of the person who holds the releaser's key that signed it. If no releaser's key is known, it
counts as that of the Unix user who owns the file.
"""

import os
import pwd
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from securesystemslib.signer import Key, Signer

from diode.errors import ManifestError, TrustError
from diode.formats.canonical import canonical
from diode.formats.dsse import read_envelope, seal, valid_keys
from diode.formats.names import BundleHex, Hex32, Moment
from diode.formats.strict_json import read_json
from diode.storage.folder import Folder
from diode.trust.roles import Trust

DECISION_TYPE: Final = "application/vnd.diode.decision.v1+json"
FOLDER: Final = "decisions"
MAX_DECISION_BYTES: Final = 64 << 10
MAX_DECISIONS: Final = 100  # read of one bundle from one Unix user, the newest
SCANNER: Final = "the scanner"  # the supervisor's own; no person can be called so

Verdict = Literal["accept", "reject"]


class Decision(BaseModel):
    """One person's word about one bundle."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    format: Literal["diode-decision-1"]
    bundle: BundleHex
    content: Hex32
    verdict: Verdict
    reason: Annotated[str, Field(max_length=500)]
    at: Moment


class Given(NamedTuple):
    """A decision whose giver is known, and the file it lies in."""

    decision: Decision
    person: str
    path: Path
    key: str = ""  # its id; none: a Unix user's word


class Uncounted(NamedTuple):
    """A file that holds no decision that counts, and why."""

    path: Path
    reason: str


def write_decision(state: Path, decision: Decision, signers: list[Signer]) -> Path:
    """Put a decision where ``store`` finds it. Raises OSError."""
    name = f"{decision.bundle}-{os.urandom(8).hex()}.dsse.json"
    sealed = seal(canonical(decision.model_dump()), DECISION_TYPE, signers, MAX_DECISION_BYTES)
    with Folder.open(state / FOLDER, create=True, mode=0o777) as folder:
        folder.replace(name, sealed, 0o666)
    return state / FOLDER / name


def find_decisions(folder: Path, bundle: str) -> list[Path]:
    """Files about a bundle: of each owner the newest, so that nobody who may write here hides what others said."""
    found, counts = [], Counter[int]()
    with suppress(FileNotFoundError), Folder.open(folder) as opened:
        for name in reversed(opened.oldest_first()):
            if not (name.startswith(f"{bundle}-") and name.endswith(".dsse.json")):
                continue
            with suppress(FileNotFoundError):
                owner = os.stat(name, dir_fd=opened.fd, follow_symlinks=False).st_uid
                counts[owner] += 1
                if counts[owner] <= MAX_DECISIONS:
                    found.append(folder / name)
    return sorted(found)


def read_decisions(
    paths: Iterable[Path], trust: Trust | None, own_key: Key | None, now: str
) -> Iterator[Given | Uncounted]:
    """Decisions, and the files that hold none that counts.

    ``trust``: the releasers' keys; None: Unix users. By ``own_key``, the receiver's, the scanner speaks.
    """
    for path in paths:
        try:
            sealed, owner = _read(path)
            envelope = read_envelope(sealed, DECISION_TYPE, MAX_DECISION_BYTES)
            if own_key is not None and list(valid_keys(envelope, [own_key])):
                person, key = SCANNER, own_key.keyid
            elif trust is None:
                person, key = _unix_user(owner), ""
            else:
                (person, key), *others = trust.signatures(envelope, now)
                if others:
                    raise ManifestError("signed more than once: each person decides in a file of their own")
            yield Given(_parse(envelope.payload), person, path, key)
        except (ManifestError, TrustError, OSError) as error:
            yield Uncounted(path, str(error))


def _read(path: Path) -> tuple[bytes, int]:
    """A file's bytes and its owner, of one and the same file."""
    with Folder.open(path.parent) as folder, folder.regular(path.name) as file:
        return file.read(MAX_DECISION_BYTES + 1), os.fstat(file.fileno()).st_uid


def _parse(payload: bytes) -> Decision:
    try:
        return Decision.model_validate(read_json(payload))
    except (ValidationError, ValueError) as error:
        raise ManifestError(f"no decision: {str(error)[:100]}") from None


def _unix_user(uid: int) -> str:
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except (KeyError, OSError):
        return f"user {uid}"
