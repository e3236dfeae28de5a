"""Parses and resolves addresses: a host and a port, as text and as the kernel takes them."""

import socket
from typing import NamedTuple, Self

from diode.errors import UsageError

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
        return cls(host, int(port))

    @property
    def family(self) -> socket.AddressFamily:
        """``AF_INET`` or ``AF_INET6``. A name is looked up for this."""
        return self.resolve()[0]

    def resolve(self) -> tuple[socket.AddressFamily, SocketAddress]:
        """Family and numeric socket address. Only names are looked up. Raises UsageError when a name is unknown."""
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError) as error:
            raise UsageError(f"cannot find the host of {self}: {error}") from error
        family, _, _, _, address = found[0]
        return family, address  # type: ignore[return-value]  # typeshed allows for builds of Python without IPv6

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
