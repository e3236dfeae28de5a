"""The seal of a backup: a list of all its files with their digests, signed by the service key of its side.

It lies beside the copy of the ledger. While a backup is being replaced there are two seals; the one that fits the
ledger that lies there counts.
"""

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

from blake3 import blake3
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from diode.errors import IntegrityError, ManifestError, SignatureError, TrustError, UsageError
from diode.formats.canonical import canonical
from diode.formats.dsse import read_envelope, seal, valid_keys
from diode.formats.names import Count, Hex32, Moment
from diode.formats.signers import Key, Signer
from diode.storage.durable import read_bounded
from diode.storage.folder import Folder
from diode.storage.rollback_guard import TrustCheckpoint

BACKUP_TYPE: Final = "application/vnd.diode.backup.v1+json"
SEAL_FILE: Final = "backup.dsse.json"
NEXT_SEAL_FILE: Final = "backup.next.dsse.json"
MAX_SEAL_BYTES: Final = 256 << 20  # some 400,000 packed bundles
_CHUNK_BYTES: Final = 1 << 20


class Copied(BaseModel):
    """Size and digest of one file of a backup."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    size: Count
    blake3: Hex32


class Contents(BaseModel):
    """Everything that a backup holds: ``files`` by their paths in it."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    format: Literal["diode-backup-1"] = "diode-backup-1"
    side: Literal["sender", "receiver"]
    ledger: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    decisions: Annotated[int, Field(ge=0, lt=1 << 63)]
    trust: TrustCheckpoint | None
    created: Moment
    files: dict[Annotated[str, Field(max_length=4096)], Copied]

    def check(self, name: str, copied: Copied) -> None:
        """Raise IntegrityError unless the file ``name`` is what was signed."""
        if self.files.get(name) != copied:
            what = "is not what was signed" if name in self.files else "is not in what was signed"
            raise IntegrityError(f"{name} in the backup {what}")


def write_seal(target: Path, contents: Contents, signer: Signer) -> None:
    """Sign ``contents``, and write the seal as a new file. Raises OSError, LimitError."""
    sealed = seal(canonical(contents.model_dump()), BACKUP_TYPE, [signer], MAX_SEAL_BYTES)
    with Folder.open(target.parent) as folder:
        folder.write_new(target.name, sealed)


def list_files(folder: Path, names: Iterable[Path]) -> dict[str, Copied]:
    """Sizes and digests of these files below ``folder``, by reading them. Raises OSError."""
    return {str(path.relative_to(folder)): copy_file(path, None) for path in names}


def copy_file(source: Path, target: Path | None) -> Copied:
    """Read a regular file once, copy it into a new file ``target`` if one is given, and return its digest.

    Raises OSError.
    """
    hasher, size = blake3(), 0
    with Folder.open(source.parent) as folder:
        fd = folder.beneath(source.name, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(fd, "rb") as file, open(target or os.devnull, "wb" if target is None else "xb") as copy:
        while data := file.read(_CHUNK_BYTES):
            hasher.update(data)
            copy.write(data)
            size += len(data)
    if target is not None:
        shutil.copystat(source, target)
    return Copied(size=size, blake3=hasher.hexdigest())


def read_seals(folder: Path, keys: Sequence[Key]) -> list[Contents]:
    """The contents that one of ``keys`` signed: one list, or two after an interrupted backup.

    Raises UsageError when there is no seal, TrustError when none of these keys signed it, ManifestError when it is
    damaged.
    """
    found = [path for name in (SEAL_FILE, NEXT_SEAL_FILE) if (path := folder / name).exists()]
    if not found:
        raise UsageError(
            f"{folder} is not signed: there is no {SEAL_FILE} in it; nothing was changed. Whoever made it can make you"
            " believe anybody's keys. If it is a backup of an older version, and you know that nobody changed it, type "
            "--unsigned"
        )
    return [_open_seal(path, keys) for path in found]


def fitting(seals: Sequence[Contents], name: str, copied: Copied) -> Contents:
    """The seal that lists this file. If none does, the first, whose ``check`` will then report that."""
    return next((contents for contents in seals if contents.files.get(name) == copied), seals[0])


def _open_seal(path: Path, keys: Sequence[Key]) -> Contents:
    try:
        envelope = read_envelope(read_bounded(path, MAX_SEAL_BYTES), BACKUP_TYPE, MAX_SEAL_BYTES)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; nothing was changed") from error
    if not any(valid_keys(envelope, keys)):
        known = {key.keyid for key in keys} & envelope.signatures.keys()
        who = ", ".join(key_id[:16] for key_id in list(envelope.signatures)[:8]) or "nobody"
        if known:
            raise SignatureError(f"{path} was changed after it was signed; nothing was changed, use another backup")
        raise TrustError(
            f"{path} is signed by {who}, and not by the service key of this side; nothing was changed. If that key is "
            "lost, give its public half, from where you keep it: --signed-by PUB"
        )
    try:
        return Contents.model_validate_json(envelope.payload)
    except ValidationError as error:
        raise ManifestError(f"{path} cannot be read ({error.errors()[0]['msg']}); nothing was changed") from None
