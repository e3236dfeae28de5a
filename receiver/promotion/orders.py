"""The orders of people about published bundles: small signed files, written by a command, read by ``store``.

An order counts as that of the person whose releaser's key signed it. If no releaser's key is known, it counts as that
of the Unix user who owns the file. The supervisor orders as well, by the receiver's service key: what a hook found,
and that a bundle is looked into again.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from diode.formats.canonical import canonical
from diode.formats.dsse import seal
from diode.formats.names import BundleHex, ChannelName, Moment
from diode.formats.signers import Signer
from diode.formats.strict_json import read_json
from diode.storage.folder import Folder
from receiver.release.words import ENDING, Kind, Said, Speakers, Uncounted, find_words, read_words

ORDER_TYPE: Final = "application/vnd.diode.order.v1+json"
FOLDER: Final = "orders"  # below the state folder
MAX_ORDER_BYTES: Final = 1 << 20
MAX_REMOVED: Final = 10_000  # bundles that one order removes
MAX_ORDERS: Final = 1000  # read from one Unix user at a time, the newest
OURSELVES: Final = "the receiver"  # by its service key; no person can be called so
ORDERS: Final = Kind(ORDER_TYPE, MAX_ORDER_BYTES, OURSELVES)
_NAME: Final = re.compile(r"[0-9a-f]{16}" + re.escape(ENDING))

What = Literal[
    "promote",
    "rollback",
    "follow",
    "pin",
    "unpin",
    "remove",
    "recall",
    "undo-recall",
    "drill",
    "healthy",
    "unhealthy",
    "describe",
]


class Order(BaseModel):
    """One person's order.

    ``version``: what is promoted or pinned; of a rollback the version that the person saw it would lead to.
    ``expects``: the pointer's number that the person saw; if it moved meanwhile, the order is refused. ``bundles``:
    what is recalled or looked into again (one), or removed. ``reason`` goes into the audit log.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    format: Literal["diode-order-1"] = "diode-order-1"
    id: BundleHex
    what: What
    channel: ChannelName | Literal[""] = ""
    name: Annotated[str, Field(max_length=255)] = ""
    version: Annotated[str, Field(max_length=255)] = ""
    bundles: Annotated[list[BundleHex], Field(max_length=MAX_REMOVED)] = []
    expects: Annotated[int, Field(ge=-1)] = -1  # -1: whatever it is
    reason: Annotated[str, Field(max_length=500)] = ""
    at: Moment


class Given(NamedTuple):
    """An order whose giver is known, and the file it lies in. ``key``: its id; none: a Unix user's order."""

    order: Order
    person: str
    path: Path
    key: str = ""


def new_id() -> str:
    """An id that no other order has."""
    return os.urandom(8).hex()


def write_order(state: Path, order: Order, signers: list[Signer]) -> Path:
    """Put an order where ``store`` finds it. Raises OSError."""
    name = f"{order.id}.dsse.json"
    sealed = seal(canonical(order.model_dump()), ORDER_TYPE, signers, MAX_ORDER_BYTES)
    with Folder.open(state / FOLDER, create=True, mode=0o777) as folder:
        folder.replace(name, sealed, 0o666)
    return state / FOLDER / name


def read_orders(state: Path, speakers: Speakers, now: str) -> Iterator[Given | Uncounted]:
    """The orders that lie there, and the files that hold none that counts."""
    paths = find_words(state / FOLDER, lambda name: _NAME.fullmatch(name) is not None, MAX_ORDERS)
    for said in read_words(paths, ORDERS, speakers, now):
        yield said if isinstance(said, Uncounted) else _given(said)


def _given(said: Said) -> Given | Uncounted:
    try:
        order = Order.model_validate(read_json(said.payload))
    except (ValidationError, ValueError, RecursionError) as error:
        return Uncounted(said.path, f"no order: {str(error)[:100]}")
    if f"{order.id}{ENDING}" != said.path.name:
        return Uncounted(said.path, f"it is order {order.id}, under another name")
    return Given(order, said.person, said.path, said.key)
