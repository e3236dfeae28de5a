"""Client tokens: for which channels a client has one. Tokens themselves are not kept, only digests of them."""

import base64
import binascii
import hashlib
import hmac
import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from diode.errors import UsageError
from diode.storage.durable import read_bounded

MAX_TOKENS_BYTES: Final = 1 << 20
MAX_TOKENS: Final = 1000  # of one channel: each is compared at each request
SHORTEST: Final = 16  # characters
_LINE: Final = re.compile(r"(?:([A-Za-z0-9._-]{1,64}):)?([!-~]+)")


class Token(NamedTuple):
    """A client token: the name that the log shows, and the SHA-256 of the token in hex."""

    name: str
    digest: str


def read_tokens(path: Path) -> tuple[Token, ...]:
    """The tokens of a file: ``token`` or ``name:token`` in a line; ``#`` begins a comment. Raises UsageError."""
    try:
        lines = read_bounded(path, MAX_TOKENS_BYTES).decode("ascii").splitlines()
    except (OSError, ValueError) as error:
        raise UsageError(f"client tokens {path} cannot be read: {error}") from error
    found = []
    for number, line in enumerate(map(str.strip, lines), 1):
        if line and not line.startswith("#"):
            match = _LINE.fullmatch(line)
            if not match or len(match[2]) < SHORTEST:
                raise UsageError(f"{path}, line {number}: no token of {SHORTEST} or more characters, or name:token")
            found.append(Token(match[1] or f"line {number}", digest_of(match[2])))
    if not found or len(found) > MAX_TOKENS:
        raise UsageError(f"{path} has {len(found)} tokens; 1 to {MAX_TOKENS} are wanted: without one nobody could read")
    return tuple(found)


def digest_of(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def presented(authorization: str) -> str:
    """The token of an Authorization header: Bearer, or the password of Basic; empty: none."""
    scheme, _, value = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value.strip(), validate=True).decode().partition(":")[2]
        except (binascii.Error, ValueError):
            return ""
    return ""


class Access:
    """``tokens``: of each channel that asks for one."""

    def __init__(self, tokens: Mapping[str, Iterable[Token]] | None = None) -> None:
        self._tokens = {channel: tuple(found) for channel, found in (tokens or {}).items()}

    def closed(self, authorization: str) -> frozenset[str]:
        """The channels that ask for a token which this client did not show."""
        return frozenset(channel for channel in self._tokens if not self._match(channel, authorization))

    def client(self, channel: str, authorization: str) -> str:
        """The name of the token that opens a channel; empty: it asks for none, or this is none."""
        return self._match(channel, authorization)

    def _match(self, channel: str, authorization: str) -> str:
        shown, name = digest_of(presented(authorization)), ""
        for one in self._tokens.get(channel, ()):  # all of them, so that the time tells nothing
            if hmac.compare_digest(shown, one.digest):
                name = one.name
        return name


def peer_of(address: str, forwarded: Sequence[str], proxies: frozenset[str]) -> str:
    """Who asks. X-Forwarded-For is believed of ``proxies`` alone: its last address that is none of theirs."""
    peer = plain_address(address)
    hops = [hop.strip() for line in forwarded for hop in line.split(",")]
    while peer in proxies and hops:
        peer = plain_address(hops.pop()) or peer
    return peer


def plain_address(text: str) -> str:
    """An address in its one spelling, an IPv4 one without its IPv6 coat; empty: it is none."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return ""
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)
