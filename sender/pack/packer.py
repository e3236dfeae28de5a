"""Makes a signed bundle of an item: hashes it, skips content that was sent before, checks it, numbers it, packs it."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from diode.audit.chain import What
from diode.audit.log import AuditLog, Decision
from diode.bundle.ref import BundleRef
from diode.config.intake import Intake
from diode.config.sender import SenderConfig
from diode.errors import DiodeError, IntakeError, SourceError
from diode.formats.signers import CryptoSigner
from diode.formats.timestamps import moment
from diode.protocol.geometry import PROFILES
from diode.storage.durable import disk_error
from diode.storage.folder import Folder
from diode.trust.keys import maybe_read_service_key
from sender.events.happened import (
    BundleQueued,
    BundleUnapproved,
    ContentSkipped,
    Event,
    FilesSentAgain,
    IntakePassed,
    IntakeRefused,
)
from sender.intake.attestation import attest_verdict
from sender.intake.candidate import Progress
from sender.intake.examiner import examine_apart
from sender.intake.hooks import surroundings
from sender.intake.pipeline import Pipeline
from sender.intake.spare import Spare
from sender.intake.verdict import Verdict
from sender.ledger import Ledger, Row, State, named
from sender.outbox.folder import Item
from sender.outbox.hashing import Content
from sender.pack.at_work import AtWork, Underway
from sender.pack.hashed import VERSION_TIME, Hashed, Order, collect_and_hash
from sender.pack.identity_copies import forget_older
from sender.pack.packed import Packed
from sender.pack.writing import Identity, write_packed

COPIES: Final = "intake"  # below the state folder: private copies of items


class Packer:
    """Packs items, of each channel one at a time. Files are read in threads, so that heartbeats leave meanwhile.

    While an item is packed, those of a lower priority stop at their next step, and go on after it.
    """

    def __init__(
        self,
        config: SenderConfig,
        ledger: Ledger,
        signer: CryptoSigner | None,
        audit: AuditLog,
        say: Callable[[Event], None],
    ) -> None:
        self._config = config
        self._ledger = ledger
        self._signer = signer
        self._audit = audit
        self._say = say
        around, copies, state = surroundings(config), config.state / COPIES, config.state
        self._spare = Spare()
        self.at_work = AtWork(say)
        examine = partial(examine_apart, take=self._spare.take)
        self._intake = {
            name: Pipeline(channel.intake, copies, around, examine, state, copy=f"item-{name}")
            for name, channel in config.channels.items()
        }
        self._usual_intake = Pipeline(Intake(), copies, examine=examine)
        self._service = maybe_read_service_key(config.service_key)

    async def pack(self, order: Order) -> Row | None:
        """Pack what ``order`` names, and record it.

        Returns its ledger row, or None when identical content was sent under this name. Raises SourceError, LimitError,
        IntakeError.
        """
        with self.at_work.begin(order.item, self._config.channel(order.item.channel).priority) as one:
            return await self._pack(order, one)

    async def _pack(self, order: Order, one: Underway) -> Row | None:
        item = order.item
        self._prepare(item.channel)
        hashed = await self._hash(order, one)
        digest = hashed.content.content_digest
        same = self._ledger.find(item.channel, item.name, content=digest)
        if same is not None and (item.version is None or item.version == same.version):
            self._say(ContentSkipped(item.channel, item.name, same.version))
            return None
        version = item.version or f"{time.strftime(VERSION_TIME, time.gmtime())}-{digest[:8]}"
        if self._ledger.find(item.channel, item.name, version=version):
            raise SourceError(
                f"{item.channel}/{item.name}@{version} was sent with other content; give it a new version"
            )
        verdict = await self._take_in(order, version, hashed, one)
        identity = self._identify(item, version)
        packed = await self.at_work.run(one, "pack", lambda _: self._write(order, identity, hashed, verdict))
        return await self._record(order, identity, hashed, packed)

    def prepare(self) -> None:
        """Prepare for items to come: remove what a killed run left, and start a spare child if a channel needs one."""
        with suppress(FileNotFoundError), Folder.open(self._config.state) as state:
            state.remove(COPIES)
        for channel in self._intake:
            self._prepare(channel)

    def close(self) -> None:
        """Close it: no more items will be packed."""
        self.at_work.close()
        self._spare.close()

    def reject(self, channel: str, name: str, error: DiodeError) -> None:
        """Write into the audit log that an item does not become a bundle."""
        facts = {"verdict": error.reason, "detail": str(error)}
        self._audit.append(What.INTAKE_REJECTED, channel=channel, name=name, **facts)

    def _prepare(self, channel: str) -> None:
        """Have a child ready for the channel's next item, if the channel checks content."""
        if "content" in self._pipeline(channel).steps:
            self._spare.prepare()

    async def _hash(self, order: Order, one: Underway) -> Hashed:
        hashed = await self.at_work.run(one, "hash", partial(collect_and_hash, self._config, order))
        if hashed.bytes_again:
            self._say(FilesSentAgain(hashed.bytes_again))
        return hashed

    async def _take_in(self, order: Order, version: str, hashed: Hashed, one: Underway) -> Verdict:
        """Let the channel's checks judge what was hashed. Raises IntakeError unless they all pass."""
        item = order.item
        pipeline = self._pipeline(item.channel)

        def judge(progress: Progress) -> Verdict:
            return pipeline.run(order.candidate(version, hashed, progress))

        try:
            verdict = await self.at_work.run(one, "intake", judge)
        finally:
            self._prepare(item.channel)
        place = (item.channel, item.name, version)
        if (failed := verdict.failed) is not None:
            self._say(IntakeRefused(*place, failed.name, failed.reason or "", failed.detail))
            raise IntakeError(f"{failed.name}: {failed.reason}: {failed.detail}", verdict.facts())
        noted = {check.name: check.detail for check in verdict.checks if check.detail}
        self._say(IntakePassed(*place, tuple(check.name for check in verdict.checks), noted))
        return verdict

    def _keep(self, identity: Identity) -> None:
        """Keep a copy of identity material, before the ledger has its number: the next item is compared with it.

        After a crash at this place the same item is compared with its own copy, and passes. Raises StorageError.
        """
        check = self._pipeline(identity.channel).identity
        if check is not None:
            try:
                check.keep(identity.channel, identity.name, identity.sequence)
            except OSError as error:
                raise disk_error(error, "no copy of the item could be kept", "the item stays where it is") from error

    def _pipeline(self, channel: str) -> Pipeline:
        return self._intake.get(channel, self._usual_intake)

    def _write(self, order: Order, identity: Identity, hashed: Hashed, verdict: Verdict) -> Packed:
        """Write the packed bundle. It does not exist before it is recorded."""
        self._keep(identity)
        link, state, signers = self._config.link, self._config.state, self._signers(identity.channel)
        made = order.staged.made if order.staged else None
        attestation = self._attest(identity, hashed.content, verdict)
        of_it = hashed.sources, hashed.content, signers, attestation, made, hashed.times
        return write_packed(state, identity, PROFILES[link.profile], link.symbol_bytes, *of_it)

    def _signers(self, channel: str) -> Sequence[CryptoSigner]:
        """Who signs at once: the daemon, or nobody, and then people do."""
        return [self._signer] if self._signer is not None and not self._config.approvals(channel) else []

    async def _record(self, order: Order, identity: Identity, hashed: Hashed, packed: Packed) -> Row:
        """Record the packed bundle under its sequence number. From here on the bundle exists."""
        item, signers = order.item, self._signers(order.item.channel)
        row = Row(
            id=packed.hex_id,
            channel=item.channel,
            name=item.name,
            version=identity.version,
            sequence=identity.sequence,
            content=hashed.content.content_digest,
            size=packed.manifest.stream_bytes,
            files=packed.manifest.files.entries,
            passes=order.passes,
            pass_delay_s=order.pass_delay_s,
            state=State.QUEUED if signers else State.UNAPPROVED,
            detail="",
            created=identity.created,
            origin=order.origin,
        )
        self._note(row)
        await self._ledger.turns.do(partial(self._ledger.add, row))
        if signers:
            forget_older(self._config.state, self._ledger, row)
        bundle, approvals = BundleRef.of_row(row), self._config.approvals(item.channel)
        self._say(BundleQueued(bundle, row.size) if signers else BundleUnapproved(bundle, row.size, approvals))
        return row

    def _attest(self, identity: Identity, content: Content, verdict: Verdict) -> str | None:
        """The attestation of the checks, for the enclave. None: this sender has no service key to sign it."""
        if self._service is None:
            return None
        settings = self._config.channel(identity.channel).intake
        return attest_verdict(verdict, settings, identity.label, content, identity.created, self._service)

    def _note(self, row: Row) -> None:
        """Write the bundle into the audit log, before the ledger gives it its number and it can be sent."""
        decisions: list[Decision] = [(What.PACKED, named(row))]
        if row.state == "queued" and self._signer is not None:
            decisions.append((What.QUEUED, named(row) | {"key": self._signer.public_key.keyid}))
        self._audit.append_all(decisions)

    def _identify(self, item: Item, version: str) -> Identity:
        """What the manifest says about a bundle apart from its content."""
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
