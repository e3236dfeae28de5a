"""All errors of this project: reasons for dropped datagrams, and exceptions in families by whose fault they are.

A bad datagram never raises: it is dropped and counted under a :class:`Drop` reason. The wire specification, the code,
the test vectors and the metric labels all use the same word for it. Everything else is an exception. Its ``reason`` is
used as metric label and as the ``reason`` field of ``reason.json``, and its ``exit_code`` is that of the process.

============== =====================================  ==============================================
family         whose fault                            what happens
============== =====================================  ==============================================
OperatorError  a person's command or configuration    nothing is begun
BytesError     the peer's bytes                       the bundle goes to quarantine
RefusedError   the peer's content                     the bundle is refused, or waits
ItemError      an item of the outbox                  it is set aside, with the reason beside it
HostError      the kernel, or one of our processes    the interrupted work is started again
StorageError   our disks                              stop, and keep everything
============== =====================================  ==============================================

``BytesError`` and ``RefusedError`` are both a ``ContentError``: content that must not be published. An error class
without a reason or exit code of its own has those of its family.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any


class Drop(StrEnum):
    """Why a datagram was dropped (docs/wire-format.md, section "Outcomes"), in the order of the checks."""

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
    """Base of all errors of this project. ``str()`` tells what happened, what was kept and what to type."""

    reason = "failed"
    reasons: tuple[str, ...] = ()  # further ones, of a class whose errors differ in it
    exit_code = 1


class OperatorError(DiodeError):
    """Family: a wrong command, configuration or start. A person must correct it before anything is begun."""


class UsageError(OperatorError):
    """The operator's command line or configuration cannot be used as it stands."""

    reason = "usage"
    exit_code = 2


class LayoutError(OperatorError):
    """A folder that a person named is not what they said that it is, or does not tell what must be known of it."""

    reason = "layout"
    exit_code = 2


class NotInitialisedError(OperatorError):
    """A folder, configuration or key that ``diode init`` writes is not there."""

    reason = "not_initialised"
    exit_code = 10


class CoreError(OperatorError):
    """The compiled core is required, and a process cannot use it for the reason ``refused``."""

    reason = "core"
    exit_code = 2

    def __init__(self, refused: str) -> None:
        do = "build it (docs/operations.md, 'Compiled core'), or set core = \"auto\""
        super().__init__(f"the compiled core is required, and cannot be used: {refused}; {do}")


class LockedError(OperatorError):
    """Another daemon already works on this folder."""

    reason = "locked"
    exit_code = 11


class FindingsError(OperatorError):
    """A check of this host found something that has to be mended."""

    reason = "findings"
    exit_code = 20


class ContentError(DiodeError):
    """What the peer sent must not be published, because of its bytes or of what they mean."""

    reason = "content"
    exit_code = 13


class BytesError(ContentError):
    """Family: the peer's bytes break the format, or are not those that were signed."""


class ManifestError(BytesError):
    """A manifest or table breaks docs/bundle-format.md."""

    reason = "manifest"


class PathError(ManifestError):
    """A file name inside a bundle is unsafe or ambiguous."""

    reason = "path"


class IntegrityError(BytesError):
    """Bytes do not match the digest that was signed for them."""

    reason = "integrity"


class RefusedError(ContentError):
    """Family: the peer's content. It can be read, but this side does not accept it."""


class TrustError(RefusedError):
    """A signature is missing, wrong, or by a key this side does not trust."""

    reason = "trust"
    exit_code = 12


class SignatureError(TrustError):
    """The signature of a trusted key does not match the signed bytes: somebody changed one of them."""

    reason = "signature"


class ExpiredKeyError(TrustError):
    """Signed by a key that is no longer trusted, or not yet."""

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
    """The signed period of validity is over."""

    reason = "expired"
    exit_code = 15


class PolicyError(RefusedError):
    """This side's policy for the channel forbids it: by labels, by kinds of content, or by a person's decision."""

    reason = "policy"
    exit_code = 14


class MaterialError(PolicyError):
    """Identity material breaks the rules of its channel. ``reason`` says which: a word of ``reasons``."""

    reason = "identity"
    reasons = (  # as diode.identity.material has them; a test compares
        *("identity_kind", "identity_malformed", "identity_signature", "identity_expired", "identity_forbidden"),
        *("identity_older", "identity_sweeping", "identity_base"),
    )

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class PlaceError(RefusedError):
    """The receiver's file system cannot hold it: a name is too long, or a file lies where a folder must be."""

    reason = "place"


class ReplayError(RefusedError):
    """A sequence number or name/version was used before."""

    reason = "replay"
    exit_code = 15


class NumberError(ReplayError):
    """A sequence number cannot be accepted now. Its bundle waits, and is not refused. ``do``: what a person can do."""

    reason = "number"

    def __init__(self, message: str, do: str) -> None:
        super().__init__(message)
        self.do = do


class ForkError(ReplayError):
    """A trust document is validly signed, but contradicts one that counts: it has its version, or follows another."""

    reason = "trust_fork"


class LimitError(RefusedError):
    """The content exceeds a limit of this side."""

    reason = "limit"
    exit_code = 17


class IncompleteError(RefusedError):
    """All passes are over, and slabs are still missing."""

    reason = "incomplete"
    exit_code = 16


class ItemError(DiodeError):
    """Family: an item that somebody put into the outbox. It is set aside, and the next item is taken."""


class SourceError(ItemError):
    """An item of the outbox cannot be packed or sent: unreadable, changing, a link, a device, an unusable name.

    ``details``: where several things of it cannot, each of them.
    """

    reason = "source"
    exit_code = 3

    def __init__(self, message: str, details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.details = tuple(details)


class IntakeError(ItemError):
    """A check of the intake rejected an item, or could not be made.

    ``verdict``: the results of all checks, for machines.
    """

    reason = "intake"
    exit_code = 14

    def __init__(self, message: str, verdict: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.verdict = verdict


class HostError(DiodeError):
    """Family: the kernel, or one of our own processes."""


class KernelError(HostError):
    """The kernel refused something that the service cannot do without."""

    reason = "kernel"


class NetworkError(HostError):
    """This host's network is not there: an address that cannot be found yet, or a kernel that takes no datagrams."""

    reason = "network"
    exit_code = 19


class WorkerError(HostError):
    """A worker process ended when it should not have."""

    reason = "worker"


class MessageError(HostError):
    """Another of our processes sent a message that it may not send, or that is malformed. It is broken or taken over.

    ``kind`` is the name of the message if it is one that we know; else ``?``.
    """

    reason = "message"

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(f"{kind}: {why}")
        self.kind = kind
        self.why = why
        self.peer = ""  # its module, where a worker hears more than one


class StorageError(DiodeError):
    """Family: one of our own disks failed. Everything written so far is kept."""

    reason = "storage"


class HeldError(StorageError):
    """Another program holds our ledger. The disk is not at fault, and everything written so far is kept."""


class FullError(StorageError):
    """Our own disk is full; everything written so far is kept."""

    exit_code = 17


class LostWritesError(StorageError):
    """The disk lost writes. Everything since the last successful sync may be gone."""


def exit_codes(of: type[DiodeError]) -> dict[str, int]:
    """The exit codes of a family of errors and of its subclasses, by reason."""
    codes = dict.fromkeys((of.reason, *of.reasons), of.exit_code)
    for kind in of.__subclasses__():
        codes |= exit_codes(kind)
    return codes
