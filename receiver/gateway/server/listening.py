"""The sockets that the gateway listens on: one for all prefixes, and one for each protocol with a port of its own.

They belong to the parent process, or to systemd, and outlive each serving process.
"""

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from diode.config.receiver import ReceiverConfig
from diode.errors import UsageError
from diode.layouts.kinds import Kind
from diode.net.address import Address
from diode.process.systemd import Passed, listen_fds
from receiver.gateway.server.interfaces import refuse_diode

BACKLOG: Final = 2048


@dataclass(frozen=True)
class Listening:
    """A socket. ``kind``: what has the root of this port; None: every protocol, by prefix."""

    sock: socket.socket
    kind: Kind | None

    @property
    def port(self) -> int:
        """Its port, also where any was asked for."""
        return int(self.sock.getsockname()[1])


def address_of(config: ReceiverConfig, listen: str) -> Address:
    """Where the gateway listens: as the command says, or else the configuration. Raises UsageError."""
    text = listen or config.gateway.listen
    if not text:
        raise UsageError("where the gateway listens is not said: --listen HOST:PORT, or listen below [gateway]")
    try:
        return Address.parse(text)
    except ValueError as error:
        raise UsageError(str(error)) from None


def open_all(config: ReceiverConfig, address: Address) -> list[Listening]:
    """Open, or take from systemd, every socket. Raises UsageError: an address that is taken, or is the diode's."""
    wanted: list[tuple[Address, Kind | None]] = [(address, None)]
    wanted += [(Address(address.host, port), kind) for kind, port in config.gateway.ports.items()]
    for one, _ in wanted:
        refuse_diode(config.link.address, one)
    passed = listen_fds()
    if passed:
        return _adopt(passed, wanted)
    return [Listening(_open(one), kind) for one, kind in wanted]


def _open(address: Address) -> socket.socket:
    family, place = address.resolve()
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(place)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise UsageError(f"the gateway cannot listen on {address}: {error.strerror}") from error
    return sock


def _adopt(passed: Sequence[Passed], wanted: Sequence[tuple[Address, Kind | None]]) -> list[Listening]:
    """Systemd's sockets, each told by its port."""
    kinds = {address.port: kind for address, kind in wanted}
    found = []
    for one in passed:
        sock = socket.socket(fileno=os.dup(one.fd))
        host, port = sock.getsockname()[:2]
        expected = {address.resolve()[1][0] for address, _ in wanted if address.port == port}
        if sock.type != socket.SOCK_STREAM or host not in expected:
            asked = ", ".join(str(address) for address, _ in wanted)
            raise UsageError(f"systemd passed a socket on {Address(host, port)}, and the gateway listens on {asked}")
        found.append(Listening(sock, kinds[port]))
    if missing := kinds.keys() - {one.port for one in found}:
        raise UsageError(f"systemd passed no socket for port {min(missing)}; add a ListenStream= for it")
    return found
