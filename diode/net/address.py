"""Parses and resolves addresses: a host and a port, as text and as the kernel takes them."""

import errno
import ipaddress
import socket
from contextlib import closing
from typing import Final, NamedTuple, Self

from diode.errors import NetworkError, UsageError

GROUPS: Final = (
    "to join a group, a host sends IGMP or MLD out of the diode's interface, and many hosts would take what is meant "
    "for one; write the address of one host"
)

NET: Final = "the broadcast address of one of this host's own nets, which all hosts there take; write that of one host"

SocketAddress = tuple[str, int] | tuple[str, int, int, int]


class Address(NamedTuple):
    """A host and a port. ``host`` is an IPv4 or IPv6 address, or a name."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse ``HOST:PORT`` or ``[IPV6]:PORT``. Raises ValueError for anything else."""
        host, colon, port = text.strip().rpartition(":")
        if not colon or not host:
            raise ValueError(f"{text!r} is not HOST:PORT")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise ValueError(f"{text!r}: put an IPv6 address in brackets, as in [::1]:9000")
        if not host or "[" in host or "]" in host:
            raise ValueError(f"{text!r} is not HOST:PORT")
        if not (port.isascii() and port.isdigit() and int(port) <= 0xFFFF):
            raise ValueError(f"{text!r}: the port must be a number from 0 to 65535")
        if is_group(host):
            raise ValueError(f"{text!r} is a multicast or broadcast address: {GROUPS}")
        return cls(host, int(port))

    @property
    def family(self) -> socket.AddressFamily:
        """``AF_INET`` or ``AF_INET6``. A name is looked up for this."""
        return self.resolve()[0]

    def resolve(self) -> tuple[socket.AddressFamily, SocketAddress]:
        """Family and numeric socket address. Only names are looked up.

        Raises NetworkError when a name, or the interface of an IPv6 scope, is not known now: it may be known later.
        UsageError: it is the name of a multicast or broadcast address.
        """
        return self._found()[0]

    def _found(self) -> list[tuple[socket.AddressFamily, SocketAddress]]:
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_DGRAM)
        except OSError as error:
            raise NetworkError(f"cannot find the host of {self}: {error}; correct it, or try again later") from error
        except UnicodeError as error:
            raise UsageError(f"cannot find the host of {self}: {error}") from error
        for *_, address in found:
            if is_group(str(address[0])):
                raise UsageError(f"{self} is {address[0]}, a multicast or broadcast address: {GROUPS}")
        return [(family, address) for family, _, _, _, address in found]  # type: ignore[misc]  # builds without IPv6

    @property
    def is_name(self) -> bool:
        """Whether what it stands for may change: a name, or an address with the name of an interface as its scope."""
        host, _, scope = self.host.partition("%")
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return True
        return bool(scope) and not scope.isdigit()

    def numeric(self) -> "Address":
        """The address that it stands for now, as digits alone. Raises as :meth:`resolve`."""
        return self.all_numeric()[0]

    def all_numeric(self) -> "list[Address]":
        """All addresses that it stands for now, the resolver's first choice first. Raises as :meth:`resolve`."""
        return [Address(_digits(address), self.port) for _, address in self._found()]

    def refuse_broadcast(self) -> None:
        """Raise UsageError for the broadcast address of one of this host's nets, as the kernel has them. Sends nothing.

        The kernel has none for nets of two hosts or one (/31, /32). Of a name that is not known now, nothing is known.
        """
        try:
            found = self._found()
        except NetworkError:
            return
        for family, address in found:
            if _is_broadcast(family, address):
                raise UsageError(f"{self} is {NET}")

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_group(host: str) -> bool:
    """Whether more hosts than one take what is sent to this address, as the address alone tells. A name is none."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return mapped.is_multicast or str(mapped) == "255.255.255.255"


def _digits(address: SocketAddress) -> str:
    scope = address[3] if len(address) == 4 else 0
    return f"{address[0]}%{scope}" if scope else str(address[0])


def _is_broadcast(family: socket.AddressFamily, address: SocketAddress) -> bool:
    """Whether the kernel's routes say so: it connects a socket there only if that is one that may broadcast.

    Connecting a UDP socket sends nothing. A route that prohibits refuses both (EACCES).
    """
    answers = []
    for may_broadcast in (False, True):
        try:
            with closing(socket.socket(family, socket.SOCK_DGRAM)) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, may_broadcast)
                answers.append(sock.connect_ex(address))
        except OSError:
            return False
    return answers == [errno.EACCES, 0]
