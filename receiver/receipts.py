"""Receipts in the inbox: what was published, whatever the ledger says. A ledger that does not know one is too old.

Readers of the inbox may have moved or changed them, so all that is read is bounded and checked; what is no receipt is
counted and left alone.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from diode.durable import read_bounded
from diode.errors import PathError
from diode.manifest import MAX_SEQUENCE, BundleHex, ChannelName, Count, Hex32, check_component
from receiver.ledger import Row

MAX_RECEIPT_BYTES: Final = 64 << 10
RECEIPT_FILE: Final = "receipt.json"


class Receipt(BaseModel):
    """What of a receipt the ledger needs; ``store`` writes more for people."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    bundle: BundleHex
    channel: ChannelName
    name: str
    version: str
    sequence: Annotated[int, Field(ge=1, le=MAX_SEQUENCE)]
    files: Count
    bytes: Count
    slabs: Count
    content: Hex32
    signer: Annotated[str, Field(max_length=2048)]
    published: Annotated[str, Field(max_length=32)]

    @model_validator(mode="after")
    def _is_printable(self) -> "Receipt":
        check_component(self.name)
        check_component(self.version)
        return self

    @property
    def label(self) -> str:
        """As people call it."""
        return f"{self.channel}/{self.name}/{self.version}"

    def row(self) -> Row:
        """As the ledger of a receiver that published it knows it."""
        sizes = (self.bytes, self.files, self.slabs, self.content)
        place = (self.bundle, self.channel, self.name, self.version, self.sequence)
        return Row(*place, *sizes, self.signer, "published", "taken from its receipt", self.published)


class Findings(NamedTuple):
    """Receipts of bundles that are not known, and files that are no receipts, each with what is wrong."""

    unknown: list[Receipt]
    strange: list[str]


def find_unknown(inbox: Path, is_known: Callable[[str], bool]) -> Findings:
    """Read every ``<channel>/<name>/<version>/receipt.json`` below ``inbox``; ``is_known`` judges bundle ids."""
    findings = Findings([], [])
    for folder in _folders(inbox, 3, findings.strange):
        path = folder / RECEIPT_FILE
        try:
            receipt = Receipt.model_validate_json(read_bounded(path, MAX_RECEIPT_BYTES))
        except FileNotFoundError:
            continue
        except OSError as error:
            findings.strange.append(f"{path}: {error.strerror}")
        except (ValidationError, PathError) as error:
            findings.strange.append(f"{path}: {_first(error)}")
        else:
            if not is_known(receipt.bundle):
                findings.unknown.append(receipt)
    return findings


def _folders(top: Path, depth: int, strange: list[str]) -> Iterator[Path]:
    """Folders so many levels below ``top``; links are not followed, names with a leading dot are not ours."""
    if not depth:
        yield top
        return
    try:
        with os.scandir(top) as entries:
            found = sorted(e.name for e in entries if e.name[0] != "." and e.is_dir(follow_symlinks=False))
    except OSError as error:
        strange.append(f"{top}: {error.strerror}")
        return
    for name in found:
        yield from _folders(top / name, depth - 1, strange)


def _first(error: ValidationError | PathError) -> str:
    """What is wrong with a receipt, in one line."""
    if isinstance(error, PathError):
        return str(error)
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}".removeprefix(": ")
