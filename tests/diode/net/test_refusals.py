"""Each errno of a send or a read has one meaning: wait, try otherwise, count, or stop."""

import errno

import pytest

from diode.errors import KernelError
from diode.net.address import Address
from diode.net.refusals import NO_OFFLOAD, NO_ROOM, quiet, raise_unless_passing

TO = Address("127.0.0.1", 9)
PASSING = (errno.EPERM, errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTUNREACH, errno.ECONNREFUSED, errno.ENODEV)


@pytest.mark.parametrize("code", [*PASSING, *NO_ROOM])
def test_a_fault_that_passes_stops_nobody(code: int) -> None:
    """Neither a sender nor a reader ends for a pulled cable or a full queue."""
    raise_unless_passing(code, TO)
    assert 0 == quiet(OSError(code, "scripted"))


@pytest.mark.parametrize("code", [errno.EACCES, errno.EINVAL, errno.ENXIO, errno.EHOSTDOWN, errno.ENOMEM, errno.EIO])
def test_what_a_route_refuses_stops_no_sender(code: int) -> None:
    """A prohibit or blackhole route passes like a pulled cable."""
    raise_unless_passing(code, TO)


@pytest.mark.parametrize("code", [errno.EBADF, errno.EDESTADDRREQ, errno.ENOTSOCK, 99_999])
def test_any_other_refusal_stops_and_is_named(code: int) -> None:
    """What nobody foresaw is not counted as a passing fault."""
    with pytest.raises(KernelError, match=errno.errorcode.get(code, str(code))):
        raise_unless_passing(code, TO)
    with pytest.raises(KernelError, match="refused to receive: scripted"):
        quiet(OSError(code, "scripted"))


def test_a_small_mtu_passes() -> None:
    """Whoever set it can set it back, and nothing counts as sent until then."""
    raise_unless_passing(errno.EMSGSIZE, TO)


def test_an_interrupted_read_is_a_quiet_one() -> None:
    """A signal comes in the middle of a read: nothing came."""
    assert 0 == quiet(OSError(errno.EINTR, "scripted"))


def test_what_passes_is_no_missing_offload() -> None:
    """A passing fault never switches the offload off."""
    assert set() == NO_OFFLOAD & {*PASSING, *NO_ROOM}
