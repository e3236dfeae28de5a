"""Authenticates datagrams by AES-256-GMAC (or GCM) under a key for each session of a sealing process.

Session key = HKDF-SHA256(link key, session). The nonce of a datagram is 12 bytes of its own header (the low half of the
session, and the counter), so it costs nothing to build. Every process that seals draws a random session at its start
and has its own counter. So processes never share a nonce, and a restart never reuses one. The tag keeps strangers out;
whether content is believed depends on the signature of the manifest.

Python needs one call for each datagram. The inputs of these calls are views that are prepared once for a whole region,
to keep the work of the interpreter small.
"""

import hmac
import itertools
from collections.abc import Sequence
from typing import Final

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from numpy.typing import NDArray

from diode.protocol.link_key import LinkKey, Mode
from diode.protocol.sizes import HEADER_BYTES, TAG_BYTES
from diode.protocol.wire import COUNTER, NONCE, SESSION

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


class Session:
    """The cipher of one session. ``seal`` and ``check`` take matrices of datagrams with complete headers."""

    def __init__(self, key: LinkKey | None, session: int, mode: Mode) -> None:
        if key is None and mode != "none":
            raise ValueError(f"mode {mode} needs a link key")  # or every stranger's zero tag would be authentic
        self.session = session
        self.mode = mode
        self._cipher = None if mode == "none" or key is None else AESGCM(key.session_key(session))

    def seal(self, datagrams: Bytes2D, views: DatagramViews, first: int, count: int) -> None:
        """Write tags (and, in ``aead`` mode, ciphertext) into rows ``first .. first + count``.

        ``views`` were made over the same rows: entry i belongs to row i.
        """
        rows = datagrams[first : first + count]
        if self._cipher is None:
            rows[:, -TAG_BYTES:] = 0
        elif self.mode == "gmac":
            rows[:, -TAG_BYTES:] = self._tags(views, slice(first, first + count))
        else:
            self._encrypt(rows, views, first)

    def check(self, datagrams: Bytes2D, views: DatagramViews, rows: NDArray[np.intp] | slice) -> NDArray[np.bool_]:
        """Which of the given rows are authentic. In ``aead`` mode these are also decrypted in place."""
        if self._cipher is None:
            untagged: NDArray[np.bool_] = (datagrams[rows, -TAG_BYTES:] == 0).all(axis=1)
            return untagged
        if self.mode == "aead":
            return self._decrypt(datagrams, views, rows)
        expected = self._tags(views, rows).view(np.uint64)
        tags = np.ascontiguousarray(datagrams[rows, -TAG_BYTES:]).view(np.uint64)
        same: NDArray[np.bool_] = ((tags[:, 0] ^ expected[:, 0]) | (tags[:, 1] ^ expected[:, 1])) == 0
        return same

    def _tags(self, views: DatagramViews, rows: NDArray[np.intp] | slice) -> Bytes2D:
        assert self._cipher is not None
        nonces, bodies = _pick(views.nonces, rows), _pick(views.bodies, rows)
        tags = b"".join(map(self._cipher.encrypt, nonces, _EMPTY, bodies))
        return np.frombuffer(tags, dtype=np.uint8).reshape(-1, TAG_BYTES)

    def _encrypt(self, rows: Bytes2D, views: DatagramViews, first: int) -> None:
        assert self._cipher is not None
        for i, row in enumerate(rows):
            body = views.bodies[first + i]
            sealed = self._cipher.encrypt(views.nonces[first + i], body[HEADER_BYTES:], body[:HEADER_BYTES])
            row[HEADER_BYTES:] = np.frombuffer(sealed, dtype=np.uint8)

    def _decrypt(self, datagrams: Bytes2D, views: DatagramViews, rows: NDArray[np.intp] | slice) -> NDArray[np.bool_]:
        assert self._cipher is not None
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
