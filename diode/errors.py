"""What can go wrong, in one place: reasons for dropped datagrams, and exceptions in families by whose fault it is.

A bad datagram never raises: it is dropped and counted under a :class:`Drop` reason, which is the word used by the
wire specification, the code, the test vectors and the metric labels alike. Everything else is an exception whose
``reason`` is the metric label and the ``reason`` field of ``reason.json``, and whose ``exit_code`` is the process's.

============== =====================================  ==============================================
family         whose fault                            what happens
============== =====================================  ==============================================
OperatorError  a person's command or configuration    nothing is begun
BytesError     the peer's bytes                       the bundle goes to quarantine
RefusedError   the peer's content                     the bundle is refused, or waits
ItemError      an item of the outbox                  it is set aside, with the reason beside it
HostError      the kernel, a process of ours          what was begun is begun again
StorageError   our disks                              stop, and keep everything
============== =====================================  ==============================================

``BytesError`` and ``RefusedError`` are both a ``ContentError``: what must not be published. A leaf that says nothing
else has the reason and the exit code of its family.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class Drop(StrEnum):
    """Why a datagram was dropped (docs/wire-format.md, section "Outcomes"). Order is the order of the checks."""

    LENGTH = "length"  # the run is not a whole number of datagrams of one allowed size
    MAGIC = "magic"
    VERSION = "version"
    KIND = "kind"
    FLAGS = "flags"
    RESERVED = "reserved"
    SYMBOL_SIZE = "symbol_size"
    GEOMETRY = "geometry"  # D, k or row outside their bounds
    KEY = "key"  # sealed under a link key this receiver does not hold
    SESSION = "session"  # not announced by an authenticated heartbeat
    TAG = "tag"
    HEARTBEAT_KIND = "heartbeat_kind"  # kind 3, and its key has spoken by kind 4
    HEARTBEAT_KEY = "heartbeat_key"  # of the key from before the last change, and the new one has spoken
    HEARTBEAT_ORDER = "heartbeat_order"  # not newer than the last one: a replay
    HEARTBEAT = "heartbeat"  # authentic, but not a heartbeat this version understands
    HEARTBEAT_RATE = "heartbeat_rate"  # too many heartbeats to be checked this second
    REFUSED = "refused"  # the bundle was refused before
    REDUNDANT = "redundant"  # the slab, or the whole bundle, is complete already
    SIGNED_GEOMETRY = "signed_geometry"  # contradicts the bundle's signed manifest
    MEMORY = "memory"  # the receiver's budget for unfinished slabs is spent
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"  # a duplicate with other content: the first one is kept


class DiodeError(Exception):
    """Base of all errors of this project. ``str()`` says what happened, what was kept and what to type."""

    reason = "failed"
    exit_code = 1


class OperatorError(DiodeError):
    """Family: what a person typed, configured or started. A person mends it before anything else happens."""


class UsageError(OperatorError):
    """The operator's command line or configuration cannot be used as it stands."""

    reason = "usage"
    exit_code = 2


class NotInitialisedError(OperatorError):
    """A folder, configuration or key that ``diode init`` writes is not there."""

    reason = "not_initialised"
    exit_code = 10


class LockedError(OperatorError):
    """Another daemon already works on this folder."""

    reason = "locked"
    exit_code = 11


class FindingsError(OperatorError):
    """A check of this host found something that has to be mended."""

    reason = "findings"
    exit_code = 20


class ContentError(DiodeError):
    """What the peer sent must not be published: for its bytes, or for what they say."""

    reason = "content"
    exit_code = 13


class BytesError(ContentError):
    """Family: the peer's bytes. They are not in the format, or not those that were signed."""


class ManifestError(BytesError):
    """A manifest or table breaks docs/bundle-format.md."""

    reason = "manifest"


class PathError(ManifestError):
    """A file name inside a bundle is unsafe or ambiguous."""

    reason = "path"


class IntegrityError(BytesError):
    """Bytes do not have the digest that was signed for them."""

    reason = "integrity"


class RefusedError(ContentError):
    """Family: the peer's content. It can be read, and this side does not take it."""


class TrustError(RefusedError):
    """A signature is missing, wrong, or by a key this side does not trust."""

    reason = "trust"
    exit_code = 12


class SignatureError(TrustError):
    """A trusted key's signature does not fit what was signed: somebody changed it."""

    reason = "signature"


class ExpiredKeyError(TrustError):
    """Signed by a key that is trusted no more, or not yet."""

    reason = "expired_key"


class RevokedKeyError(TrustError):
    """Signed by a key that was revoked."""

    reason = "revoked_key"


class SignerError(TrustError):
    """Signed by people who may not sign for this channel."""

    reason = "signer"


class ThresholdError(TrustError):
    """Signed by fewer people than this channel needs."""

    reason = "threshold"


class ExpiredError(RefusedError):
    """The time for which this was signed is over."""

    reason = "expired"
    exit_code = 15


class PolicyError(RefusedError):
    """What this side allows for its channel is something else: labels, kinds of content, a person's word."""

    reason = "policy"
    exit_code = 14


class PlaceError(RefusedError):
    """The receiver's file system has no place for it: a name too long there, a file where its folder must be."""

    reason = "place"


class ReplayError(RefusedError):
    """A sequence number or name/version was used before."""

    reason = "replay"
    exit_code = 15


class NumberError(ReplayError):
    """A sequence number is not taken now: its bundle waits, and is not refused. ``do``: what a person can do."""

    reason = "number"

    def __init__(self, message: str, do: str) -> None:
        super().__init__(message)
        self.do = do


class ForkError(ReplayError):
    """A trust document that was validly signed, and is another one than its place in the order of documents allows."""

    reason = "trust_fork"


class LimitError(RefusedError):
    """The content is larger than this side allows."""

    reason = "limit"
    exit_code = 17


class IncompleteError(RefusedError):
    """All passes are over and slabs are missing."""

    reason = "incomplete"
    exit_code = 16


class ItemError(DiodeError):
    """Family: what somebody put into the outbox. It is set aside, and the next item is taken."""


class SourceError(ItemError):
    """An item of the outbox cannot be packed or sent: unreadable, changing, a link, a device, an unusable name."""

    reason = "source"
    exit_code = 3


class IntakeError(ItemError):
    """A check of the intake rejected an item, or could not be made. ``verdict``: all of them, for machines."""

    reason = "intake"
    exit_code = 14

    def __init__(self, message: str, verdict: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.verdict = verdict


class HostError(DiodeError):
    """Family: the kernel, and the processes of ours that run on it."""


class KernelError(HostError):
    """The kernel refused something the service cannot do without."""

    reason = "kernel"


class WorkerError(HostError):
    """A worker process ended when it should not have."""

    reason = "worker"


class MessageError(HostError):
    """Another process of ours said what it may not say, or what nobody can mean: it is broken, or taken over.

    ``kind`` is what it said, as far as that is one of our words; else ``?``.
    """

    reason = "message"

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(f"{kind}: {why}")
        self.kind = kind
        self.why = why
        self.peer = ""  # its module, where a worker hears more than one


class StorageError(DiodeError):
    """Family: our own disks. One of them failed; everything written so far is kept."""

    reason = "storage"


class FullError(StorageError):
    """Our own disk is full; everything written so far is kept."""

    exit_code = 17


class LostWritesError(StorageError):
    """The disk did not take what it had been given: all that no earlier sync has covered may be lost."""


def exit_codes(of: type[DiodeError]) -> dict[str, int]:
    """Exit codes of a family of errors, by their reasons."""
    codes = {of.reason: of.exit_code}
    for kind in of.__subclasses__():
        codes |= exit_codes(kind)
    return codes
