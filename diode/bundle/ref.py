"""The three names of a bundle (number on the wire, hexadecimal id, label for people), and conversions between them."""

from dataclasses import dataclass
from typing import Protocol, Self


class Named(Protocol):
    """Anything with channel, name and version, such as a manifest."""

    @property
    def channel(self) -> str: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def version(self) -> str: ...  # noqa: D102


class Row(Named, Protocol):
    """A bundle's row in the ledger of either side."""

    @property
    def id(self) -> str: ...  # noqa: D102 - 16 hexadecimal digits


@dataclass(frozen=True, slots=True)
class BundleRef:
    """One bundle by all its names.

    Datagrams use ``number``; ledgers, folders and logs use ``hex_id``; people use ``label``.
    """

    number: int  # 64 bits, as :func:`diode.bundle.manifest.bundle_id` makes it
    channel: str
    name: str
    version: str

    @classmethod
    def of_manifest(cls, manifest: Named, number: int) -> Self:
        """The bundle of a manifest. Its ``number`` is made from the digest of the manifest's payload."""
        return cls(number, manifest.channel, manifest.name, manifest.version)

    @classmethod
    def of_row(cls, row: Row) -> Self:
        """The bundle of a ledger's row. Raises ValueError when the row's id is not hexadecimal."""
        return cls(number_of(row.id), row.channel, row.name, row.version)

    @property
    def hex_id(self) -> str:
        """The number as 16 hexadecimal digits."""
        return hex_of(self.number)

    @property
    def label(self) -> str:
        """Channel, name and version, separated by slashes."""
        return label_of(self)

    @property
    def names(self) -> dict[str, str]:
        """As :func:`names_of` has it."""
        return {"bundle": self.hex_id, "label": self.label}


def label_of(named: Named) -> str:
    """The label of a bundle: channel, name and version, separated by slashes."""
    return f"{named.channel}/{named.name}/{named.version}"


def names_of(row: Row) -> dict[str, str]:
    """A bundle as each log line and JSON message names it: ``bundle`` is its id, ``label`` its label."""
    return {"bundle": row.id, "label": label_of(row)}


def hex_of(number: int) -> str:
    """The hexadecimal id for a bundle's number: 16 digits, as ledgers, folders and logs store it."""
    return f"{number:016x}"


def number_of(hex_id: str) -> int:
    """The number for a hexadecimal id. Raises ValueError."""
    return int(hex_id, 16)
