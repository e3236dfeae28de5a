"""Smaller tables of the sender's ledger: which bundles lie on physical media, and which a person keeps back."""

from diode.storage.connection import Connection


class Exports:
    """Which bundles were written to physical media, and when."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def note(self, bundle: str, at: str) -> None:
        """Record that a bundle is about to lie on a medium, whole. Raises StorageError."""
        self._connection.execute("INSERT INTO exported (bundle, at) VALUES (?, ?)", (bundle, at))

    def of(self, bundle: str) -> list[str]:
        """When a bundle was exported, oldest first."""
        rows = self._connection.execute("SELECT at FROM exported WHERE bundle = ? ORDER BY number", (bundle,))
        return [row["at"] for row in rows]


class KeptBack:
    """Queued bundles that a person keeps back, until a person lets them go."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> dict[str, str]:
        """Since when each is kept back (UTC), by its id."""
        return {row["bundle"]: row["since"] for row in self._connection.execute("SELECT bundle, since FROM kept_back")}

    def add(self, bundle: str, at: str) -> None:
        """Keep it back, durably."""
        self._connection.execute("INSERT OR IGNORE INTO kept_back (bundle, since) VALUES (?, ?)", (bundle, at))

    def remove(self, bundle: str) -> None:
        """Let it go."""
        self._connection.execute("DELETE FROM kept_back WHERE bundle = ?", (bundle,))
