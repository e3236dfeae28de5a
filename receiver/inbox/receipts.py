"""Finds receipts in the inbox. A receipt proves that a bundle was published: a ledger that does not know it is too old.

People who read the inbox may have moved or changed receipts. So everything that is read is bounded and checked. A file
that is no receipt is counted, and left alone.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from diode.bundle.receipt import MAX_RECEIPT_BYTES, RECEIPT_FILE, Receipt
from diode.errors import PathError
from diode.storage.durable import read_bounded
from receiver.ledger.bundles import FROM_RECEIPT, Row
from receiver.ledger.states import State


def row_of(receipt: Receipt) -> Row:
    """A receipt as the ledger of a receiver that published its bundle knows it."""
    sizes = (receipt.bytes, receipt.files, receipt.slabs, receipt.content)
    place = (receipt.bundle, receipt.channel, receipt.name, receipt.version, receipt.sequence)
    return Row(*place, *sizes, receipt.signer, State.PUBLISHED, FROM_RECEIPT, receipt.published)


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
