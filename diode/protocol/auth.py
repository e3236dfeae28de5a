"""Authenticates datagrams by AES-256-GMAC (or GCM) under a key for each session of a sealing process.

Session key = HKDF-SHA256(link key, session). The nonce of a datagram is 12 bytes of its own header (the low half of the
session, and the counter), so it costs nothing to build. Every process that seals draws a random session at its start
and has its own counter. So processes never share a nonce, and a restart never reuses one. The tag keeps strangers out;
whether content is believed depends on the signature of the manifest.

The readable way needs one call for each datagram. The inputs of these calls are views that are prepared once for a
whole region, to keep the work of the interpreter small. A kernel seals or judges a whole matrix in one
call, and produces the same bytes (:mod:`diode.protocol.kernel_proof`).
"""

import hmac
import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from numpy.typing import NDArray

from diode.protocol.link_key import LinkKey, Mode
from diode.protocol.sizes import HEADER_BYTES, TAG_BYTES
from diode.protocol.wire import COUNTER, NONCE, SESSION, number_headers

Bytes2D = NDArray[np.uint8]
NO_TAG: Final = bytes(TAG_BYTES)
_EMPTY: Final = itertools.repeat(b"")


class DatagramViews:
    """The views of a matrix of datagrams (one in each row) that sealing and opening need.

    Made once for an arena or region.
    """

    def __init__(self, buffer: memoryview, size: int, count: int) -> None:
        starts = range(0, count * size, size)
        body = size - TAG_BYTES
        self.nonces: Sequence[memoryview] = [buffer[at + NONCE.start : at + NONCE.stop] for at in starts]
        self.bodies: Sequence[memoryview] = [buffer[at : at + body] for at in starts]


class Tags(Protocol):
    """How the datagrams of one session are sealed and judged.

    ``datagrams`` is a matrix with one datagram in each row. ``views`` were made over the same rows: entry i belongs to
    row i.
    """

    def seal(self, datagrams: Bytes2D, views: DatagramViews, first: int, count: int) -> None:
        """Write tags (and, in ``aead`` mode, ciphertext) into rows ``first .. first + count``. Headers are complete."""
        ...

    def seal_numbered(
        self, datagrams: Bytes2D, views: DatagramViews, first: int, count: int, header: bytes, counter: int, symbol: int
    ) -> None:
        """Write headers as :func:`diode.protocol.wire.number_headers` does, and seal."""
        ...

    def check(self, datagrams: Bytes2D, views: DatagramViews, rows: NDArray[np.intp] | slice) -> NDArray[np.bool_]:
        """Which of the given rows are authentic. In ``aead`` mode these are also decrypted in place."""
        ...


class Kernel(Protocol):
    """Makes tags that are computed by compiled code: ``diode/core/sealing.py``."""

    def tags(self, key: bytes | None) -> Tags | None:
        """Tags under a session key of 32 bytes, or zero ones without it; None where this CPU cannot compute them."""
        ...


class Session:
    """The cipher of one session, which a kernel computes where one is given and can. The kernel knows no ``aead``."""

    def __init__(self, key: LinkKey | None, session: int, mode: Mode, kernel: Kernel | None = None) -> None:
        if key is None and mode != "none":
            raise ValueError(f"mode {mode} needs a link key")  # or every stranger's zero tag would be authentic
        self.session = session
        self.mode = mode
        secret = None if mode == "none" or key is None else key.session_key(session)
        compiled = None if kernel is None or mode == "aead" else kernel.tags(secret)
        self.tags: Tags = _readable(secret, mode) if compiled is None else compiled

    def seal(self, datagrams: Bytes2D, views: DatagramViews, first: int, count: int) -> None:
        """See :class:`Tags`."""
        self.tags.seal(datagrams, views, first, count)

    def seal_numbered(
        self, datagrams: Bytes2D, views: DatagramViews, first: int, count: int, header: bytes, counter: int, symbol: int
    ) -> None:
        """See :class:`Tags`."""
        self.tags.seal_numbered(datagrams, views, first, count, header, counter, symbol)

    def check(self, datagrams: Bytes2D, views: DatagramViews, rows: NDArray[np.intp] | slice) -> NDArray[np.bool_]:
        """See :class:`Tags`."""
        return self.tags.check(datagrams, views, rows)


def _readable(key: bytes | None, mode: Mode) -> Tags:
    if key is None:
        return _NoTags()
    return _Aead(AESGCM(key)) if mode == "aead" else _Gmac(AESGCM(key))


class _Readable(ABC):
    """Tags that are computed here, by one call for each datagram."""

    @abstractmethod
    def seal(self, datagrams: Bytes2D, views: DatagramViews, first: int, count: int) -> None:
        """See :class:`Tags`."""

    def seal_numbered(
        self, datagrams: Bytes2D, views: DatagramViews, first: int, count: int, header: bytes, counter: int, symbol: int
    ) -> None:
        """See :class:`Tags`."""
        number_headers(datagrams[first : first + count], header, counter, symbol)
        self.seal(datagrams, views, first, count)


class _NoTags(_Readable):
    """No authentication: every tag is zero."""

    def seal(self, datagrams: Bytes2D, views: DatagramViews, first: int, count: int) -> None:
        """See :class:`Tags`."""
        datagrams[first : first + count, -TAG_BYTES:] = 0

    def check(self, datagrams: Bytes2D, views: DatagramViews, rows: NDArray[np.intp] | slice) -> NDArray[np.bool_]:
        """See :class:`Tags`."""
        untagged: NDArray[np.bool_] = (datagrams[rows, -TAG_BYTES:] == 0).all(axis=1)
        return untagged


class _Gmac(_Readable):
    """Tags over header and symbol, which stay readable."""

    def __init__(self, cipher: AESGCM) -> None:
        self._cipher = cipher

    def seal(self, datagrams: Bytes2D, views: DatagramViews, first: int, count: int) -> None:
        """See :class:`Tags`."""
        datagrams[first : first + count, -TAG_BYTES:] = self._tags(views, slice(first, first + count))

    def check(self, datagrams: Bytes2D, views: DatagramViews, rows: NDArray[np.intp] | slice) -> NDArray[np.bool_]:
        """See :class:`Tags`."""
        expected = self._tags(views, rows).view(np.uint64)
        tags = np.ascontiguousarray(datagrams[rows, -TAG_BYTES:]).view(np.uint64)
        same: NDArray[np.bool_] = ((tags[:, 0] ^ expected[:, 0]) | (tags[:, 1] ^ expected[:, 1])) == 0
        return same

    def _tags(self, views: DatagramViews, rows: NDArray[np.intp] | slice) -> Bytes2D:
        nonces, bodies = _pick(views.nonces, rows), _pick(views.bodies, rows)
        tags = b"".join(map(self._cipher.encrypt, nonces, _EMPTY, bodies))
        return np.frombuffer(tags, dtype=np.uint8).reshape(-1, TAG_BYTES)


class _Aead(_Readable):
    """Symbols are encrypted, and bound to their headers."""

    def __init__(self, cipher: AESGCM) -> None:
        self._cipher = cipher

    def seal(self, datagrams: Bytes2D, views: DatagramViews, first: int, count: int) -> None:
        """See :class:`Tags`."""
        for i, row in enumerate(datagrams[first : first + count], first):
            body = views.bodies[i]
            sealed = self._cipher.encrypt(views.nonces[i], body[HEADER_BYTES:], body[:HEADER_BYTES])
            row[HEADER_BYTES:] = np.frombuffer(sealed, dtype=np.uint8)

    def check(self, datagrams: Bytes2D, views: DatagramViews, rows: NDArray[np.intp] | slice) -> NDArray[np.bool_]:
        """See :class:`Tags`."""
        numbers = np.arange(len(datagrams))[rows]
        ok = np.zeros(len(numbers), dtype=np.bool_)
        for i, number in enumerate(numbers.tolist()):
            row = datagrams[number]
            try:
                opened = self._cipher.decrypt(
                    views.nonces[number], row[HEADER_BYTES:], views.bodies[number][:HEADER_BYTES]
                )
            except InvalidTag:
                continue
            row[HEADER_BYTES:-TAG_BYTES] = np.frombuffer(opened, dtype=np.uint8)
            ok[i] = True
        return ok


class HeartbeatAuth:
    """Seals and opens heartbeats of kind 4 by one HMAC for all sessions of a key, so no session need be known.

    There is no nonce that could repeat. In ``aead`` mode the symbol is encrypted first, by AES-256-CTR under a key of
    the session. Its counter block begins with the header's counter, which no session uses twice.
    """

    def __init__(self, key: LinkKey, mode: Mode) -> None:
        self._key = key
        self._mode = mode
        self._keyed = None if mode == "none" else hmac.new(key.heartbeat_mac_key(mode), digestmod="sha256")

    def seal(self, datagram: bytearray) -> None:
        """Encrypt the symbol in ``aead`` mode, and write the tag. Header and symbol must be complete."""
        if self._mode == "aead":
            datagram[HEADER_BYTES:-TAG_BYTES] = self._crypt(bytes(datagram))
        datagram[-TAG_BYTES:] = self._tag(datagram[:-TAG_BYTES])

    def open(self, datagram: bytes) -> bytes | None:
        """The decrypted symbol; None when the tag is wrong. ``datagram`` must be the caller's own copy."""
        if not hmac.compare_digest(self._tag(memoryview(datagram)[:-TAG_BYTES]), datagram[-TAG_BYTES:]):
            return None
        return self._crypt(datagram) if self._mode == "aead" else datagram[HEADER_BYTES:-TAG_BYTES]

    def _tag(self, body: bytes | bytearray | memoryview) -> bytes:
        if self._keyed is None:
            return NO_TAG
        mac = self._keyed.copy()
        mac.update(body)
        return mac.digest()[:TAG_BYTES]

    def _crypt(self, datagram: bytes) -> bytes:
        session = int.from_bytes(datagram[SESSION], "big")
        first_block = datagram[COUNTER] + bytes(8)
        stream = Cipher(algorithms.AES(self._key.heartbeat_cipher_key(session)), modes.CTR(first_block)).encryptor()
        return stream.update(datagram[HEADER_BYTES:-TAG_BYTES])


def _pick(views: Sequence[memoryview], rows: NDArray[np.intp] | slice) -> Sequence[memoryview]:
    return views[rows] if isinstance(rows, slice) else [views[i] for i in rows.tolist()]
