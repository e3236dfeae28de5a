"""What people decide about bundles that are held: small signed files, written by a command, read by ``store``.

Whose word a decision is says :mod:`receiver.release.words`.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from diode.errors import ManifestError
from diode.formats.canonical import canonical
from diode.formats.dsse import seal
from diode.formats.names import BundleHex, Hex32, Moment
from diode.formats.signers import Key, Signer
from diode.formats.strict_json import read_json
from diode.storage.folder import Folder
from diode.trust.roles import Trust
from receiver.release.words import Kind, Speakers, Uncounted, find_words, read_words

DECISION_TYPE: Final = "application/vnd.diode.decision.v1+json"
FOLDER: Final = "decisions"
MAX_DECISION_BYTES: Final = 64 << 10
MAX_DECISIONS: Final = 100  # read of one bundle from one Unix user, the newest
SCANNER: Final = "the scanner"  # the supervisor's own; no person can be called so
DECISIONS: Final = Kind(DECISION_TYPE, MAX_DECISION_BYTES, SCANNER)

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


def write_decision(state: Path, decision: Decision, signers: list[Signer]) -> Path:
    """Put a decision where ``store`` finds it. Raises OSError."""
    name = f"{decision.bundle}-{os.urandom(8).hex()}.dsse.json"
    sealed = seal(canonical(decision.model_dump()), DECISION_TYPE, signers, MAX_DECISION_BYTES)
    with Folder.open(state / FOLDER, create=True, mode=0o777) as folder:
        folder.replace(name, sealed, 0o666)
    return state / FOLDER / name


def find_decisions(folder: Path, bundle: str) -> list[Path]:
    """Files about a bundle: of each owner the newest."""
    return find_words(folder, lambda name: name.startswith(f"{bundle}-"), MAX_DECISIONS)


def read_decisions(
    paths: Iterable[Path], trust: Trust | None, own_key: Key | None, now: str
) -> Iterator[Given | Uncounted]:
    """Decisions, and the files that hold none that counts.

    ``trust``: the releasers' keys; None: Unix users. By ``own_key``, the receiver's, the scanner speaks.
    """
    for said in read_words(paths, DECISIONS, Speakers(trust, own_key), now):
        match said:
            case Uncounted():
                yield said
            case _:
                try:
                    yield Given(_parse(said.payload), said.person, said.path, said.key)
                except ManifestError as error:
                    yield Uncounted(said.path, str(error))


def _parse(payload: bytes) -> Decision:
    try:
        return Decision.model_validate(read_json(payload))
    except (ValidationError, ValueError) as error:
        raise ManifestError(f"no decision: {str(error)[:100]}") from None
