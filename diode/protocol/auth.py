"""Datagram authentication: AES-256-GMAC (or GCM) under a key of each sealing process's own session.

Session key = HKDF-SHA256(link key, session); the nonce of a datagram is 12 bytes of its own header (low half of the
session, and the counter), so it costs nothing to build. Every process that seals draws a random session at start and
counts alone: no nonce is shared and no restart reuses one. The tag keeps strangers out; the authority over content is
the signature on the manifest.

One call per datagram is what Python can do; its inputs are prepared views of whole regions, so that the interpreter
adds as little as possible.
"""

import hashlib
import hmac
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from diode.protocol.wire import COUNTER, HEADER_BYTES, NONCE, SESSION, TAG_BYTES

LINK_KEY_BYTES: Final = 32
Mode = Literal["gmac", "aead", "none"]
MODES: Final[tuple[Mode, ...]] = get_args(Mode)
Bytes2D = NDArray[np.uint8]
NO_TAG: Final = bytes(TAG_BYTES)
_EMPTY: Final = itertools.repeat(b"")


@dataclass(frozen=True, slots=True, repr=False)
class LinkKey:
    """The secret that both ends of a lane share, and the public number that headers name it by."""

    secret: bytes
    key_id: int

    @classmethod
    def of(cls, secret: bytes) -> "LinkKey":
        """Wrap 32 secret bytes. Raises ValueError for any other length."""
        if len(secret) != LINK_KEY_BYTES:
            raise ValueError(f"a link key has {LINK_KEY_BYTES} bytes, not {len(secret)}")
        return cls(secret, int.from_bytes(hashlib.sha256(b"diode link key id 1" + secret).digest()[:2], "big"))

    def session_key(self, session: int) -> bytes:
        """Key of one session: HKDF-SHA256 with the session as salt."""
        return self._derive(b"diode link session 1", session.to_bytes(8, "big"))

    def heartbeat_mac_key(self, mode: Mode) -> bytes:
        """Key of the tags of heartbeats of kind 4: one for all sessions, another one in each mode."""
        return self._derive(b"diode heartbeat mac 1 " + mode.encode())

    def heartbeat_cipher_key(self, session: int) -> bytes:
        """Key that encrypts the heartbeats of kind 4 of one session, in ``aead`` mode."""
        return self._derive(b"diode heartbeat cipher 1", session.to_bytes(8, "big"))

    @property
    def fingerprint(self) -> str:
        """64 hex digits that name the whole key, in ledgers and between our processes; they tell nothing of it."""
        return self._derive(b"diode link key fingerprint 1").hex()

    def _derive(self, info: bytes, salt: bytes | None = None) -> bytes:
        return HKDF(SHA256(), 32, salt=salt, info=info).derive(self.secret)


class DatagramViews:
    """Views of a matrix of datagrams (one a row) that sealing and opening need, made once per arena or region."""

    def __init__(self, buffer: memoryview, size: int, count: int) -> None:
        starts = range(0, count * size, size)
        body = size - TAG_BYTES
        self.nonces: Sequence[memoryview] = [buffer[at + NONCE.start : at + NONCE.stop] for at in starts]
        self.bodies: Sequence[memoryview] = [buffer[at : at + body] for at in starts]


class Session:
    """One session's cipher. ``seal`` and ``check`` take matrices of datagrams whose headers are complete."""

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
        """Which of the given rows are authentic. In ``aead`` mode they are also decrypted in place."""
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
    """Seals and opens heartbeats of kind 4: one HMAC for all sessions of a key, so that no session need be known.

    There is no nonce that could repeat. In ``aead`` mode the symbol is encrypted first, by AES-256-CTR under a key of
    the session; its counter block begins with the header's counter, which no session uses twice.
    """

    def __init__(self, key: LinkKey, mode: Mode) -> None:
        self._key = key
        self._mode = mode
        self._keyed = None if mode == "none" else hmac.new(key.heartbeat_mac_key(mode), digestmod="sha256")

    def seal(self, datagram: bytearray) -> None:
        """Encrypt in ``aead`` mode, and write the tag; header and symbol are complete."""
        if self._mode == "aead":
            datagram[HEADER_BYTES:-TAG_BYTES] = self._crypt(bytes(datagram))
        datagram[-TAG_BYTES:] = self._tag(datagram[:-TAG_BYTES])

    def open(self, datagram: bytes) -> bytes | None:
        """The symbol in clear; None when the tag is wrong. ``datagram`` is the caller's own copy."""
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
