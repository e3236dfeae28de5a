"""Parses and resolves addresses: a host and a port, as text and as the kernel takes them."""

import ipaddress
import socket
from typing import Final, NamedTuple, Self

from diode.errors import NetworkError, UsageError

GROUPS: Final = (
    "to join a group, a host sends IGMP or MLD out of the diode's interface, and many hosts would take what is meant "
    "for one; write the address of one host"
)

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
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_DGRAM)
        except OSError as error:
            raise NetworkError(f"cannot find the host of {self}: {error}; correct it, or try again later") from error
        except UnicodeError as error:
            raise UsageError(f"cannot find the host of {self}: {error}") from error
        family, _, _, _, address = found[0]
        if is_group(str(address[0])):
            raise UsageError(f"{self} is {address[0]}, a multicast or broadcast address: {GROUPS}")
        return family, address  # type: ignore[return-value]  # typeshed allows for builds of Python without IPv6

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_group(host: str) -> bool:
    """Whether more hosts than one take what is sent to this address. A name is none; a net's own broadcast is unknown.

    The kernel refuses to send to the broadcast address of one of its nets (EACCES), which is an alarm.
    """
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return mapped.is_multicast or str(mapped) == "255.255.255.255"
