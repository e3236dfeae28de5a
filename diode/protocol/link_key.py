"""The secret that both ends of a link share, and the keys that follow from it. Loads no numpy, for commands."""

import hashlib
from dataclasses import dataclass
from typing import Final, Literal, get_args

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

LINK_KEY_BYTES: Final = 32
Mode = Literal["gmac", "aead", "none"]  # of a link: how its datagrams are authenticated
MODES: Final[tuple[Mode, ...]] = get_args(Mode)


@dataclass(frozen=True, slots=True, repr=False)
class LinkKey:
    """The secret that both ends of a link share, and the public number by which headers name it."""

    secret: bytes
    key_id: int

    @classmethod
    def of(cls, secret: bytes) -> "LinkKey":
        """A link key from 32 secret bytes. Raises ValueError for any other length."""
        if len(secret) != LINK_KEY_BYTES:
            raise ValueError(f"a link key has {LINK_KEY_BYTES} bytes, not {len(secret)}")
        return cls(secret, int.from_bytes(hashlib.sha256(b"diode link key id 1" + secret).digest()[:2], "big"))

    def session_key(self, session: int) -> bytes:
        """The key of one session: HKDF-SHA256 with the session as salt."""
        return self._derive(b"diode link session 1", session.to_bytes(8, "big"))

    def heartbeat_mac_key(self, mode: Mode) -> bytes:
        """The key for the tags of kind 4 heartbeats. It is the same for all sessions, and differs between the modes."""
        return self._derive(b"diode heartbeat mac 1 " + mode.encode())

    def heartbeat_cipher_key(self, session: int) -> bytes:
        """The key that encrypts the kind 4 heartbeats of one session in ``aead`` mode."""
        return self._derive(b"diode heartbeat cipher 1", session.to_bytes(8, "big"))

    @property
    def fingerprint(self) -> str:
        """64 hex digits that name the whole key in ledgers and between our processes. They reveal nothing about it."""
        return self._derive(b"diode link key fingerprint 1").hex()

    def _derive(self, info: bytes, salt: bytes | None = None) -> bytes:
        return HKDF(SHA256(), 32, salt=salt, info=info).derive(self.secret)
