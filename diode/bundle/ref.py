"""Which bundle is meant: its number on the wire, and the names that people know it by."""

from dataclasses import dataclass
from typing import Self

from diode.bundle.manifest import Manifest


@dataclass(frozen=True, slots=True)
class BundleRef:
    """One bundle. Datagrams name it by ``number``; ledgers, folders and logs by ``hex_id``; people by ``label``."""

    number: int  # 64 bits, as :func:`diode.bundle.manifest.bundle_id` makes it
    channel: str
    name: str
    version: str

    @classmethod
    def of_manifest(cls, manifest: Manifest, number: int) -> Self:
        """The bundle that has this manifest; ``number`` is the digest of its payload."""
        return cls(number, manifest.channel, manifest.name, manifest.version)

    @classmethod
    def of_hex(cls, hex_id: str, channel: str, name: str, version: str) -> Self:
        """The bundle that a ledger knows by ``hex_id``. Raises ValueError when that is no number."""
        return cls(int(hex_id, 16), channel, name, version)

    @property
    def hex_id(self) -> str:
        """The number as 16 hexadecimal digits."""
        return f"{self.number:016x}"

    @property
    def label(self) -> str:
        """Channel, name and version, with slashes between."""
        return f"{self.channel}/{self.name}/{self.version}"
