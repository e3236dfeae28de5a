"""Bundles of channel ``recall``: the statement that one brings takes effect before the bundle is published.

What carries a statement is not asked: the signatures of the statement itself must satisfy the role of the channel that
it names. So nobody who may only sign for another channel takes a bundle back.
"""

from diode.bundle.recall import (
    MAX_RECALL_BYTES,
    RECALL_CHANNEL,
    RECALL_FILE,
    RECALL_TYPE,
    read_recall,
    recall_digest,
)
from diode.errors import ManifestError
from diode.formats.dsse import read_envelope
from diode.formats.timestamps import now_utc
from diode.storage.durable import read_bounded
from diode.trust.roles import Trust
from receiver.promotion.recalling import Heard, Recalling
from receiver.store.receiving import Receiving
from receiver.store.records import Records


def open_statement(sealed: bytes, trust: Trust, now: str, carrier: str) -> Heard:
    """The statement in an envelope that enough of the recalled channel's people have signed.

    Signatures are verified before anything inside is parsed. Raises TrustError, ManifestError.
    """
    envelope = read_envelope(sealed, RECALL_TYPE, MAX_RECALL_BYTES)
    signatures = trust.signatures(envelope, now)
    statement = read_recall(envelope.payload)
    trust.check(statement.channel, signatures)
    people = ", ".join(sorted({one.person for one in signatures}))
    keys = ",".join(one.key_id for one in signatures)
    return Heard(statement, recall_digest(envelope.payload), carrier, people, keys)


class RecallChannel:
    """Reads what such bundles bring, and knows which bundles are recalled before they arrive."""

    def __init__(self, records: Records, recalling: Recalling) -> None:
        self._records = records
        self._recalling = recalling

    def carries(self, bundle: Receiving) -> bool:
        """Whether a bundle is of this channel."""
        return bundle.manifest.channel == RECALL_CHANNEL

    def take(self, bundle: Receiving) -> None:
        """Put the statement of a complete bundle into effect. Raises ContentError when it does not count."""
        path = bundle.spool.path / "data" / RECALL_FILE
        try:
            sealed = read_bounded(path, MAX_RECALL_BYTES)
        except FileNotFoundError:
            raise ManifestError(f"a bundle of channel {RECALL_CHANNEL} has a file {RECALL_FILE}") from None
        except OSError as error:
            raise ManifestError(f"{RECALL_FILE} cannot be read: {error.strerror}") from error
        now = now_utc()
        self._recalling.hear(open_statement(sealed, self._records.authority.trust, now, bundle.hex_id), now)

    def arrived(self, bundle: Receiving) -> None:
        """A complete bundle of any channel is about to be held or published. Raises StorageError."""
        self._recalling.arrived(bundle.hex_id, bundle.manifest)
