"""Tells what to do when the kernel refuses a datagram: wait, send it another way, count it, or stop."""

import errno
from typing import Final

from diode.errors import KernelError
from diode.net.address import Address

RETRY_S: Final = 0.05  # how long one train is offered again to a kernel without room
RETRY_SLEEP_S: Final = 0.0005  # between two of its offers

NO_ROOM: Final = frozenset({errno.ENOBUFS, errno.EAGAIN})  # the same datagram may be offered again at once
# The kernel takes no train in one call; it may take the datagrams of one by one.
NO_OFFLOAD: Final = frozenset({errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.ENOPROTOOPT, errno.EOPNOTSUPP})
# What a pulled cable, a firewall rule or an interface being reconfigured looks like: it passes, so the sender goes on.
_PASSING: Final = NO_ROOM | {
    errno.EPERM,
    errno.ENETUNREACH,
    errno.ENETDOWN,
    errno.EHOSTUNREACH,
    errno.EHOSTDOWN,
    errno.ECONNREFUSED,
    errno.EADDRNOTAVAIL,
    errno.ENODEV,
}


def raise_unless_passing(code: int, to: Address, datagram_bytes: int) -> None:
    """Raise KernelError with advice, unless the errno ``code`` of a send is a fault that passes by itself."""
    if code in _PASSING:
        return
    if code == errno.EMSGSIZE:
        raise KernelError(
            f"the network interface towards {to} has too small an MTU for datagrams of {datagram_bytes} bytes; "
            f"lower link.mtu in the configuration, or raise the interface's MTU"
        )
    name = errno.errorcode.get(code, str(code))
    raise KernelError(f"the kernel refused to send to {to}: {name}")


def quiet(error: OSError) -> int:
    """0 if a read failed only because nothing came (a timeout, a signal, a stray ICMP). Raises for other errors."""
    if error.errno == errno.EINTR or error.errno in _PASSING:
        return 0
    raise KernelError(f"the kernel refused to receive: {error.strerror}") from error
