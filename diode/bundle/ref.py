"""How one bundle is named: by its number on the wire, by that number in hexadecimal, and as people call it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BundleRef:
    """One bundle. ``number`` is the 64-bit id of :func:`diode.bundle.manifest.bundle_id`."""

    number: int
    channel: str
    name: str
    version: str

    @property
    def hex_id(self) -> str:
        """The number as 16 hexadecimal digits, as ledgers, logs and folders have it."""
        return f"{self.number:016x}"

    @property
    def label(self) -> str:
        """As people call it."""
        return f"{self.channel}/{self.name}/{self.version}"
