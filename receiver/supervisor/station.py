"""Opens and holds what the daemon needs while it runs: locks of its folders, ledger, audit log, link keys, the port."""

import os
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

from diode.audit.log import AuditLog, open_log
from diode.config.link_key_rotation import Previous, maybe_previous
from diode.config.ownership import check_ownership
from diode.config.programs import say_missing
from diode.config.receiver import ReceiverConfig, ReceiverLink
from diode.errors import UsageError
from diode.net.address import Address
from diode.net.sockets import adopt_receiver, bound_address, open_receiver
from diode.process.clock import last_written
from diode.process.judges import Account
from diode.process.systemd import listen_fds
from diode.storage.connection import FOR_EVER
from diode.storage.database import LEDGER_FILE
from diode.storage.locking import lock_folder
from diode.trust.keys import maybe_read_service_key, read_link_key, read_signer
from receiver.catalogue.names import of_kinds, refuse_twins
from receiver.events.happened import Event
from receiver.events.of_link import PreviousKeyMissing, TwoLinkKeys
from receiver.inbox.folder import Inbox
from receiver.ledger.ledgers import SupervisorLedger
from receiver.policy.authority import Authority
from receiver.recovery.rebaseline import open_ledger, open_supervisor_ledger


class Station:
    """Opens all of it, or nothing: raises UsageError, LockedError, StorageError and their kind. ``close`` it.

    ``ledger`` and ``audit`` belong to the thread of the event loop; :meth:`second_ledger` and :meth:`second_audit`
    are another connection each, for a thread of its own. ``is_passed``: systemd has the port open, too.
    ``awaited``: see :class:`receiver.policy.authority.Authority`. ``last_written``: when the audit log was, before now.
    """

    def __init__(self, config: ReceiverConfig) -> None:
        self.config = config
        self._stack = ExitStack()
        with ExitStack() as opened:
            _check_settings(config)
            self.previous = maybe_previous(config.link)
            opened.callback(os.close, lock_folder(config.state))
            inbox = Inbox(config.inbox.path)
            inbox.prepare()
            opened.callback(os.close, inbox.lock())
            with closing(open_ledger(config)) as ledger:  # as `store` will
                self.awaited = Authority(ledger, config.signers, {}).awaited  # raises what is wrong with keys
            self.ledger = open_supervisor_ledger(config)
            opened.callback(self.ledger.close)
            self._open_port(config.link)
            opened.callback(self.socket.close)
            self.last_written = last_written(config.audit_folder)
            self.audit = open_log(config.audit_folder, config.service_key, "receiver")
            self.fingerprints = [read_link_key(path).fingerprint for path in config.link.keys]
            self._stack = opened.pop_all()

    def close(self) -> None:
        """Give all of it back."""
        self._stack.close()

    def at_end(self, callback: Callable[[], None]) -> None:
        """Call this when all is given back, first."""
        self._stack.callback(callback)

    def second_ledger(self) -> SupervisorLedger:
        """A connection of its own; it does not write the guard, which ``store`` alone does. The caller closes it."""
        ledger = SupervisorLedger(self.config.state / LEDGER_FILE)
        ledger.wait(FOR_EVER)
        return ledger

    @property
    def bound(self) -> tuple[int, Address]:
        """The socket's descriptor, and where it is bound to."""
        return self.socket.fileno(), bound_address(self.socket)

    def second_audit(self) -> AuditLog:
        """The audit log, for a thread of its own. That it is not signed, whoever opened :attr:`audit` has said."""
        return AuditLog(self.config.audit_folder, "receiver", maybe_read_service_key(self.config.service_key))

    def _open_port(self, link: ReceiverLink) -> None:
        passed = listen_fds()
        self.is_passed = bool(passed)
        address = Address.parse(link.listen)
        if len(passed) > 1:
            raise UsageError(f"{len(passed)} sockets were passed, but one is wanted: ListenDatagram={address}")
        buffer = link.socket_buffer
        self.socket = adopt_receiver(passed[0].fd, address, buffer) if passed else open_receiver(address, buffer)


def keys_event(link: ReceiverLink, previous: Previous | None) -> Event | None:
    """What is to be said of the previous link key; None: nothing."""
    if previous is not None:
        return TwoLinkKeys(f"{previous.key.key_id:04x}", previous.since)
    named: Path | None = link.previous_key
    if named and not named.exists():
        return PreviousKeyMissing(str(named))
    return None


def _prepare_index(index: Path) -> None:
    """Make the folder of cards and snapshots: what cannot be made is told before any worker is started."""
    try:
        index.mkdir(0o755, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"gateway.index {index} cannot be made: {error.strerror}") from error


def _check_settings(config: ReceiverConfig) -> None:
    """Say now, and here, what is wrong with keys, users, and who may change them. Raises UsageError and its kind."""
    refuse_twins({name: of_kinds(channel.names, channel.serve) for name, channel in config.channels.items()})
    _prepare_index(config.gateway.index)
    check_ownership(config)
    say_missing(config)
    read_link_key(config.link.key)
    if any(channel.scan for channel in config.channels.values()):
        read_signer(config.service_key)  # by which the scanner's word is told from a stranger's
    if any(channel.health for channel in config.channels.values()):
        read_signer(config.service_key)  # likewise: what a health hook found
    for channel in config.channels.values():
        for user in filter(None, (channel.scan_user, channel.health_user)):
            Account.of(user)
