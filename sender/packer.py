"""From an item to a signed bundle in the ledger: hash, skip what was sent before, number, pack."""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog
from securesystemslib.signer import CryptoSigner

from diode.audit import AuditLog, Decision
from diode.chain import What
from diode.clock import moment
from diode.config import SenderConfig
from diode.errors import DiodeError, SourceError
from diode.geometry import PROFILES, stream_geometry
from diode.progress import Display
from sender.ledger import Ledger, Row, named
from sender.outbox import Item
from sender.packing import Content, Identity, Source, collect, hash_content, write_packed

log = structlog.get_logger()


class _StoppedError(Exception):
    """Ends the thread that hashes."""


class Packer:
    """Packs one item at a time. Files are hashed in a thread: the event loop goes on beating."""

    def __init__(
        self, config: SenderConfig, ledger: Ledger, signer: CryptoSigner | None, display: Display, audit: AuditLog
    ) -> None:
        self._config = config
        self._ledger = ledger
        self._signer = signer
        self._display = display
        self._audit = audit

    async def pack(
        self, item: Item, roots: Sequence[Path], passes: int, pass_delay_s: float, origin: str
    ) -> Row | None:
        """Pack ``roots`` as ``item``; ``origin`` is its place in the outbox, if it has one.

        Returns its ledger row, or None when identical content was sent under this name. Raises SourceError, LimitError.
        """
        sources, content = await self._hash(item, roots, item.name if origin else None)
        same = self._ledger.find(item.channel, item.name, content=content.content_digest)
        if same is not None and (item.version is None or item.version == same.version):
            log.info("identical_content_skipped", channel=item.channel, name=item.name, version=same.version)
            return None
        version = item.version or f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{content.content_digest[:8]}"
        if self._ledger.find(item.channel, item.name, version=version):
            raise SourceError(
                f"{item.channel}/{item.name}@{version} was sent with other content; give it a new version"
            )
        return self._record(item, version, sources, content, passes, pass_delay_s, origin)

    def reject(self, channel: str, name: str, error: DiodeError) -> None:
        """Write into the audit log that an item does not become a bundle."""
        facts = {"verdict": error.reason, "detail": str(error)}
        self._audit.append(What.INTAKE_REJECTED, channel=channel, name=name, **facts)

    async def _hash(self, item: Item, roots: Sequence[Path], file_name: str | None) -> tuple[Sequence[Source], Content]:
        done = 0
        stopped = False

        def progress(count: int) -> None:
            nonlocal done
            done += count
            if stopped:
                raise _StoppedError

        label = f"hash {item.channel}/{item.name}"
        hashing = asyncio.create_task(asyncio.to_thread(self._collect_and_hash, roots, file_name, progress))
        try:
            while not hashing.done():
                await asyncio.wait({hashing}, timeout=0.25)
                self._display.update(label, done, 0, "", {})
            return await hashing
        finally:
            stopped = True  # a thread cannot be cancelled: this one ends at its next chunk
            hashing.add_done_callback(lambda task: task.cancelled() or task.exception())
            self._display.forget(label)

    def _collect_and_hash(
        self, roots: Sequence[Path], file_name: str | None, progress: Callable[[int], None]
    ) -> tuple[Sequence[Source], Content]:
        link = self._config.link
        sources = collect(roots, self._config.outbox.links, file_name)
        full = stream_geometry(link.symbol_bytes, PROFILES[link.profile])
        return sources, hash_content(sources, full.source_bytes, progress)

    def _record(
        self,
        item: Item,
        version: str,
        sources: Sequence[Source],
        content: Content,
        passes: int,
        pass_delay_s: float,
        origin: str,
    ) -> Row:
        link, approvals = self._config.link, self._config.approvals(item.channel)
        identity = self._identify(item, version)
        signers = [self._signer] if self._signer is not None and not approvals else []
        packed = write_packed(
            self._config.state, identity, PROFILES[link.profile], link.symbol_bytes, sources, content, signers
        )
        row = Row(
            id=packed.hex_id,
            channel=item.channel,
            name=item.name,
            version=version,
            sequence=identity.sequence,
            content=content.content_digest,
            size=packed.manifest.stream_bytes,
            files=packed.manifest.files.entries,
            passes=passes,
            pass_delay_s=pass_delay_s,
            state="queued" if signers else "unapproved",
            detail="",
            created=identity.created,
            origin=origin,
        )
        self._note(row)
        self._ledger.add(row)
        facts = {"bundle": row.id, "channel": row.channel, "name": row.name, "version": version, "bytes": row.size}
        if signers:
            log.info("bundle_queued", **facts)
        else:
            log.info("bundle_waits", **facts, signatures=approvals, do=f"diode-sender approve {row.id} --key KEY")
        return row

    def _note(self, row: Row) -> None:
        """Into the audit log, before the bundle takes its number and can be sent."""
        decisions: list[Decision] = [(What.PACKED, named(row))]
        if row.state == "queued" and self._signer is not None:
            decisions.append((What.QUEUED, named(row) | {"key": self._signer.public_key.keyid}))
        self._audit.append_all(decisions)

    def _identify(self, item: Item, version: str) -> Identity:
        """What the manifest says of a bundle beside its content."""
        channel, now = self._config.channel(item.channel), time.time()
        sequence, previous = self._ledger.next_sequence(item.channel)
        older = self._ledger.newest(item.channel, item.name)
        return Identity(
            channel=item.channel,
            name=item.name,
            version=version,
            sequence=sequence,
            previous=previous,
            created=moment(now),
            supersedes=older.version if older else None,
            expires=moment(now + channel.valid_days * 86400) if channel.valid_days else None,
            labels=channel.labels,
        )
