"""Tells what to do when the kernel refuses a datagram: wait, send it another way, offer it again, or stop."""

import errno
from typing import Final

from diode.errors import KernelError
from diode.net.address import Address

RETRY_S: Final = 0.05  # how long one train is offered again to a kernel without room
RETRY_SLEEP_S: Final = 0.0005  # between two of its offers

NO_ROOM: Final = frozenset({errno.ENOBUFS, errno.EAGAIN})  # the same datagram may be offered again at once
# The kernel takes no train in one call; it may take the datagrams of one by one.
NO_OFFLOAD: Final = frozenset({errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.ENOPROTOOPT, errno.EOPNOTSUPP})
# What a pulled cable, a firewall rule or an interface being reconfigured looks like, also to a reader.
_QUIET: Final = NO_ROOM | {
    errno.EPERM,  # nftables
    errno.ENETUNREACH,
    errno.ENETDOWN,
    errno.EHOSTUNREACH,
    errno.EHOSTDOWN,
    errno.ECONNREFUSED,
    errno.EADDRNOTAVAIL,
    errno.ENODEV,
}
# What routes give besides (net/ipv4/route.c, net/ipv6/route.c: ip_rt_type "prohibit" and "blackhole"), a policy of
# IPsec, an interface that is gone, or memory that is short. All of it passes, so the sender goes on.
_PASSING: Final = _QUIET | {
    errno.EACCES,  # prohibit
    errno.EINVAL,  # blackhole
    errno.EIO,
    errno.ENXIO,
    errno.ENOENT,
    errno.ESRCH,
    errno.ENOMEM,
    errno.EINTR,
    errno.EMSGSIZE,  # the interface has another MTU now, and may have its old one again
    errno.ENONET,
    errno.ENETRESET,
    errno.ENOPROTOOPT,
    errno.EOPNOTSUPP,
    errno.EPROTO,
    errno.ETIMEDOUT,
}


def raise_unless_passing(code: int, to: Address) -> None:
    """Raise KernelError, unless the errno ``code`` of a send is a fault that passes by itself."""
    if code in _PASSING:
        return
    raise KernelError(f"the kernel refused to send to {to}: {named(code)}")


def named(code: int) -> str:
    """The name of an errno, such as ENETUNREACH; its number where it has none."""
    return errno.errorcode.get(code, str(code))


def quiet(error: OSError) -> int:
    """0 if a read failed only because nothing came (a timeout, a signal, a stray ICMP). Raises for other errors."""
    if error.errno == errno.EINTR or error.errno in _QUIET:
        return 0
    raise KernelError(f"the kernel refused to receive: {error.strerror}") from error
