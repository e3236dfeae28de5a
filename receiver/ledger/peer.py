"""What the ledger knows of the sender by its heartbeats: their order, sessions, numbers issued, bundles named.

None of it is signed. The supervisor writes it. When another link key is used, what heartbeats said under the old key is
forgotten, because the old key may have been stolen.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from diode.audit.chain import LogCheckpoint
from diode.protocol.link_order import LinkOrder
from diode.storage.connection import Connection
from receiver.ledger.dismissals import not_dismissed

MAX_HEARD: Final = 4096
MAX_JUNK_CHANNELS: Final = 64  # that heartbeats name, that are not configured, and of which nothing signed ever came


class PeerRecord:
    """Reads what was heard."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def link_orders(self) -> dict[str, LinkOrder]:
        """How far the heartbeats of each link key have come, by its fingerprint; also of keys that are given up."""
        rows = self._connection.execute("SELECT key, epoch, number, has_mac, has_spoken FROM link_order")
        return {
            row["key"]: LinkOrder(row["epoch"], row["number"], bool(row["has_mac"]), bool(row["has_spoken"]))
            for row in rows
        }

    def head(self) -> LogCheckpoint | None:
        """Where the sender's audit log ended when it was heard last."""
        row = self._connection.execute("SELECT n, hash FROM peer_head").fetchone()
        return LogCheckpoint(**row) if row else None

    def sessions(self) -> list[list[int]]:
        """Which sessions were admitted when the last heartbeat was heard: (key id, session, expected) of each."""
        row = self._connection.execute("SELECT admitted FROM session").fetchone()
        sessions: list[list[int]] = json.loads(row["admitted"]) if row else []
        return sessions

    def heard(self) -> list[str]:
        """Bundles that the sender spoke of and of which nothing arrived, oldest first; last, those it says it withdrew.

        Its word is not signed: it takes nothing off what is missing. A person's does.
        """
        rows = self._connection.execute(
            "SELECT bundle FROM heard WHERE NOT EXISTS (SELECT 1 FROM bundle WHERE id = heard.bundle) "
            f"AND {not_dismissed('heard', is_numbered=False)} "
            "ORDER BY EXISTS (SELECT 1 FROM withdrawn WHERE bundle = heard.bundle), number"
        )
        return [row["bundle"] for row in rows]

    def was_heard(self, bundle: str) -> bool:
        """Whether the sender says that it sent this bundle."""
        row = self._connection.execute("SELECT 1 FROM heard WHERE bundle = ?", (bundle,)).fetchone()
        return row is not None

    def cancelled(self) -> set[str]:
        """Bundles that the sender says it cannot send any more."""
        return {row["bundle"] for row in self._connection.execute("SELECT bundle FROM withdrawn")}

    def high_watermarks(self) -> dict[str, int]:
        """Last sequence number that the sender was heard to have issued, by channel."""
        rows = self._connection.execute("SELECT channel, sequence FROM issued")
        return {row["channel"]: row["sequence"] for row in rows}


class PeerWriter(PeerRecord):
    """Records what is heard."""

    def note_order(self, key: str, order: LinkOrder) -> None:
        """Record the newest heartbeat under a link key; a recorded one must not count again after a restart."""
        self._connection.execute(
            "INSERT OR REPLACE INTO link_order (key, epoch, number, has_mac, has_spoken) VALUES (?, ?, ?, ?, ?)",
            (key, order.epoch, order.number, order.has_mac, order.has_spoken),
        )

    def take_over_order(self, keys: Sequence[str]) -> None:
        """Earlier versions kept one order for all keys: it goes on for those that are held now, once."""
        if not self.link_orders():
            for key in keys:
                self._connection.execute(
                    "INSERT INTO link_order (key, epoch, number, has_mac, has_spoken) "
                    "SELECT ?, epoch, number, 0, 0 FROM heartbeat",
                    (key,),
                )

    def reset_order(self, keys: Sequence[str], epoch: int) -> None:
        """A person says from which epoch on the heartbeats under these keys are believed again, of either kind."""
        with self._connection.synchronously("FULL"), self._connection.transaction():
            known = self.link_orders()
            for key in keys:
                self.note_order(key, LinkOrder(epoch, -1, has_spoken=known.get(key, LinkOrder()).has_spoken))

    def forget_claims(self, key: str) -> None:
        """Forget what heartbeats claimed under other link keys, because ``key`` is used now.

        Where a channel begins is kept, since its numbers are told anew; bundles are named anew as they are sent. A key
        that comes back counts as one that has not spoken: what was said meanwhile is forgotten then.
        """
        with self._connection.transaction():
            self._connection.execute("UPDATE link_order SET has_spoken = 0 WHERE key != ?", (key,))
            self._connection.execute("UPDATE issued SET sequence = first - 1")
            for table in ("heard", "withdrawn"):
                self._connection.execute(f"DELETE FROM {table}")

    def note_head(self, head: LogCheckpoint) -> None:
        """Record where the sender's audit log ends."""
        self._connection.execute(
            "INSERT OR REPLACE INTO peer_head (one, n, hash) VALUES (1, ?, ?)", (head.n, head.hash)
        )

    def note_sessions(self, admitted: Sequence[Sequence[int]]) -> None:
        """Record the sessions that are admitted, so that a receiver that starts again need not wait for a heartbeat."""
        self._connection.execute(
            "INSERT OR REPLACE INTO session (one, admitted) VALUES (1, ?)", (json.dumps(admitted),)
        )

    def note_high_watermarks(self, channels: Mapping[str, int]) -> None:
        """Record the last sequence number that the sender's heartbeat names for each channel; it may be lower."""
        for channel, sequence in channels.items():
            self._connection.execute(
                "INSERT INTO issued (channel, sequence, first) VALUES (?1, ?2, ?2) "
                "ON CONFLICT DO UPDATE SET sequence = ?2, first = min(first, ?2)",
                (channel, sequence),
            )

    def forget_high_watermarks(self, channels: Iterable[str]) -> None:
        """The sender's heartbeats have not named these channels for longer than any other."""
        for channel in channels:
            self._connection.execute("DELETE FROM issued WHERE channel = ?", (channel,))

    def keep_channels(self, configured: Collection[str]) -> list[str]:
        """Forget channels that heartbeats made up, but for the newest MAX_JUNK_CHANNELS. Returns what was forgotten."""
        rows = self._connection.execute(
            "SELECT channel FROM issued WHERE NOT EXISTS (SELECT 1 FROM bundle WHERE channel = issued.channel) "
            "ORDER BY rowid DESC"
        ).fetchall()
        forgotten = [row["channel"] for row in rows if row["channel"] not in configured][MAX_JUNK_CHANNELS:]
        self.forget_high_watermarks(forgotten)
        return forgotten

    def note_heard(self, bundles: Iterable[str]) -> None:
        """Record bundles that the sender speaks of and whose manifests have not arrived; the newest MAX_HEARD."""
        for bundle in bundles:
            self._connection.execute(
                "INSERT OR IGNORE INTO heard (bundle) SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM bundle WHERE id = ?1)",
                (bundle,),
            )
        self._keep_newest("heard")

    def note_cancelled(self, bundles: Iterable[str]) -> None:
        """Record bundles that the sender says it cannot send any more; the newest MAX_HEARD."""
        for bundle in bundles:
            self._connection.execute("INSERT OR IGNORE INTO withdrawn (bundle) VALUES (?)", (bundle,))
        self._keep_newest("withdrawn")

    def forget_cancelled(self, bundle: str) -> None:
        """The sender says that it comes after all."""
        self._connection.execute("DELETE FROM withdrawn WHERE bundle = ?", (bundle,))

    def _keep_newest(self, table: str) -> None:
        self._connection.execute(
            f"DELETE FROM {table} WHERE number <= (SELECT max(number) FROM {table}) - ?", (MAX_HEARD,)
        )
