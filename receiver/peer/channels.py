"""``diode-receiver channel begin``: a person says from which number on a channel's bundles are in order.

It may be typed beside a running daemon: ``store`` asks the ledger about every manifest, and the bundle that waited
comes in with its next pass, or with a resend. Nothing is published by it: signatures, limits and policy stand.
"""

from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from diode.audit.chain import What
from diode.audit.log import open_log
from diode.config.receiver import ReceiverConfig
from diode.errors import UsageError
from diode.storage.database import LEDGER_FILE
from diode.storage.locking import is_locked
from receiver.ledger.ledgers import LedgerView, StoreLedger
from receiver.ledger.numbers import MAX_JUMP
from receiver.peer.requests import Request, request_bundle


class Begun(NamedTuple):
    """The range that was opened, and how to ask for the bundles that waited for it."""

    last: int
    requests: list[Request]


def begin_channel(config: ReceiverConfig, channel: str, first: int) -> Begun:
    """Open numbers from ``first`` on; the audit log says so before it counts. Raises UsageError, StorageError."""
    path = config.state / LEDGER_FILE
    if not path.exists():
        raise UsageError(f"nothing was ever received into {config.state}: start the daemon first")
    _check_version(path, is_running=is_locked(config.state))
    with closing(StoreLedger(path)) as ledger:
        if first <= (low_watermark := ledger.numbers.low_watermark(channel)):
            raise UsageError(
                f"numbers of channel {channel} up to {low_watermark} were spent by a rebaseline; they may have been "
                f"published; the sender goes on after them: diode-sender rebaseline --after {channel}={low_watermark}"
            )
        waiting = ledger.waiting.ahead().values()
        waited = [gap.bundle for gap in waiting if gap.channel == channel and gap.sequence >= first]
        audit = open_log(config.audit_folder, config.service_key, "receiver")
        audit.append(What.CHANNEL_BEGUN, channel=channel, detail=f"numbers from {first} on, by hand")
        ledger.numbers.begin(channel, first)
        still = ledger.waiting.ahead()
        return Begun(first - 1 + MAX_JUMP, [request_bundle(ledger, bundle) for bundle in waited if bundle not in still])


def _check_version(path: Path, *, is_running: bool) -> None:
    """Raise UsageError rather than bring a ledger up to date under a daemon that does not know the new tables."""
    with closing(LedgerView(path)) as ledger:
        if is_running and ledger.version < len(ledger.migrations):
            raise UsageError(
                f"{path} is of an older version, and so is the daemon that runs; nothing was changed: restart it first"
            )
