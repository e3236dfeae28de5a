"""Keeps the gateway off the diode's interface: what could be sent there might leave the enclave."""

import ipaddress
import socket
import struct
from collections.abc import Iterator, Mapping
from typing import Final

from diode.errors import UsageError
from diode.net.address import Address

# numbers of rtnetlink, the kernel's own
_GET_ADDRESSES, _NEW_ADDRESS, _DONE = 22, 20, 3
_DUMP: Final = 0x301  # NLM_F_REQUEST, NLM_F_DUMP
_ADDRESS, _LOCAL = 1, 2
_HEADER: Final = struct.Struct("=IHHII")
_ABOUT: Final = struct.Struct("=BBBBI")
_ATTRIBUTE: Final = struct.Struct("=HH")
_READ_BYTES: Final = 1 << 16


def refuse_diode(link: Address, gateway: Address, found: Mapping[str, str] | None = None) -> None:
    """Raise UsageError when a gateway that listens at ``gateway`` could be reached by the diode's interface.

    ``link`` is where the receiver listens. ``found``: the interface of each address of this host. Where the diode is on
    loopback, as in a trial, nothing is refused.
    """
    ours, theirs = _numeric(gateway), _numeric(link)
    if ours.is_loopback or theirs.is_loopback:
        return
    interfaces = addresses() if found is None else found
    do = "give the gateway an address of the enclave's own interface: --listen, or listen below [gateway]"
    if theirs.is_unspecified:
        raise UsageError(
            f"the gateway may not listen on {gateway}: the receiver listens for the diode on every interface ({link}). "
            "Write the address of the diode's interface into listen below [link]"
        )
    if ours.is_unspecified:
        raise UsageError(f"the gateway may not listen on {gateway}, which is every interface, the diode's too; {do}")
    diode = interfaces.get(str(theirs))
    if ours == theirs or (diode is not None and interfaces.get(str(ours)) == diode):
        raise UsageError(f"the gateway may not listen on {gateway}: that is the diode's interface ({link}); {do}")


def addresses() -> dict[str, str]:
    """The interface of each address of this host."""
    found: dict[str, str] = {}
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        length = _HEADER.size + _ABOUT.size
        kernel.send(_HEADER.pack(length, _GET_ADDRESSES, _DUMP, 1, 0) + _ABOUT.pack(socket.AF_UNSPEC, 0, 0, 0, 0))
        while True:
            data, kinds = kernel.recv(_READ_BYTES), set()
            for kind, body in _messages(data):
                kinds.add(kind)
                if kind == _NEW_ADDRESS:
                    found |= _read(body)
            if kinds - {_NEW_ADDRESS}:  # that was all, or an error
                return found


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, at)
        if length < _HEADER.size:
            return
        yield kind, data[at + _HEADER.size : at + length]
        at += (length + 3) & ~3


def _read(body: bytes) -> dict[str, str]:
    family, _, _, _, index = _ABOUT.unpack_from(body)
    if family not in (socket.AF_INET, socket.AF_INET6):
        return {}
    parts, at = {}, _ABOUT.size
    while at + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, at)
        if length < _ATTRIBUTE.size:
            break
        parts[kind] = body[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3
    packed = parts.get(_LOCAL) or parts.get(_ADDRESS)
    return {str(ipaddress.ip_address(packed)): socket.if_indextoname(index)} if packed else {}


def _numeric(address: Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    _, found = address.resolve()
    numeric = ipaddress.ip_address(found[0].partition("%")[0])
    return (isinstance(numeric, ipaddress.IPv6Address) and numeric.ipv4_mapped) or numeric
