"""Which bundle is meant: its number on the wire, and the names that people know it by."""

from dataclasses import dataclass
from typing import Protocol, Self


class Named(Protocol):
    """What has the three names of a bundle, such as its manifest."""

    @property
    def channel(self) -> str: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def version(self) -> str: ...  # noqa: D102


class Row(Named, Protocol):
    """A bundle as either ledger knows it."""

    @property
    def id(self) -> str: ...  # noqa: D102 - 16 hexadecimal digits


@dataclass(frozen=True, slots=True)
class BundleRef:
    """One bundle. Datagrams name it by ``number``; ledgers, folders and logs by ``hex_id``; people by ``label``."""

    number: int  # 64 bits, as :func:`diode.bundle.manifest.bundle_id` makes it
    channel: str
    name: str
    version: str

    @classmethod
    def of_manifest(cls, manifest: Named, number: int) -> Self:
        """The bundle that has this manifest; ``number`` is made from the digest of its payload."""
        return cls(number, manifest.channel, manifest.name, manifest.version)

    @classmethod
    def of_row(cls, row: Row) -> Self:
        """The bundle of a ledger's row. Raises ValueError when its id is no number."""
        return cls(number_of(row.id), row.channel, row.name, row.version)

    @property
    def hex_id(self) -> str:
        """The number as 16 hexadecimal digits."""
        return hex_of(self.number)

    @property
    def label(self) -> str:
        """Channel, name and version, with slashes between."""
        return label_of(self)


def label_of(named: Named) -> str:
    """As people call a bundle: channel, name and version, with slashes between."""
    return f"{named.channel}/{named.name}/{named.version}"


def hex_of(number: int) -> str:
    """The number of a bundle as ledgers, folders and logs have it."""
    return f"{number:016x}"


def number_of(hex_id: str) -> int:
    """The number of a bundle that a ledger, a folder or a log names. Raises ValueError."""
    return int(hex_id, 16)
