"""Whom this receiver believes, read beside a running daemon: an import is refused before anything is handed over."""

from diode.config.receiver import ReceiverConfig
from diode.trust.keys import read_trusted
from diode.trust.roles import Role, Trust
from receiver.ledger.ledgers import LedgerView
from receiver.policy.authority import read_kept


def trust_of(config: ReceiverConfig, ledger: LedgerView) -> Trust:
    """Whose signatures count, for which channel. Raises ContentError, NotInitialisedError."""
    document = read_kept(ledger)
    trust = document.trust if document is not None else read_trusted(config.signers)
    roles = {
        name: Role(channel.signatures, frozenset(channel.signers) if channel.signers else None)
        for name, channel in config.channels.items()
    }
    return trust.demanding(roles)
