"""The rules of who may sign what: people, their keys, how many must sign for each channel, how long a key counts.

See docs/trust.md. A key's id is derived from the key. A person counts once, however many keys they hold. Times are RFC
3339 in UTC, so they compare as text.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from diode.bundle.manifest import PAYLOAD_TYPE, Manifest, read_manifest
from diode.bundle.opened import Opened, Signature
from diode.errors import ExpiredKeyError, RevokedKeyError, SignatureError, SignerError, ThresholdError, TrustError
from diode.formats.canonical import canonical
from diode.formats.dsse import read_envelope, seal, valid_keys
from diode.formats.names import MAX_MANIFEST_BYTES
from diode.formats.signers import Envelope, Key, Signer

ANY_CHANNEL: Final = "*"


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A public key, its owner, and when it counts: from ``not_before`` until ``expires``, unless it was revoked."""

    key: Key
    person: str
    not_before: str = ""
    expires: str = ""
    revoked: str = ""

    def counts(self, now: str | None) -> bool:
        """Whether a signature by it counts at ``now``. With None any time is accepted, but no revoked key."""
        return not self.revoked and (
            now is None or (self.not_before <= now and (not self.expires or now < self.expires))
        )


@dataclass(frozen=True, slots=True)
class Role:
    """How many people must sign, and who may. ``persons`` None: anybody whose key is trusted."""

    threshold: int = 1
    persons: frozenset[str] | None = None

    def within(self, other: "Role") -> "Role":
        """The role that satisfies both this one and ``other``."""
        mine, theirs = self.persons, other.persons
        both = theirs if mine is None else mine if theirs is None else mine & theirs
        return Role(max(self.threshold, other.threshold), both)


class Trust:
    """Trusted keys, and the role of each channel. The role ``*`` is for channels that have none of their own."""

    def __init__(self, keys: Iterable[TrustedKey], roles: Mapping[str, Role] | None = None) -> None:
        self.keys = {trusted.key.keyid: trusted for trusted in keys}
        self.roles = dict({ANY_CHANNEL: Role()} if roles is None else roles)

    def demanding(self, roles: Mapping[str, Role]) -> "Trust":
        """The same keys, with these additional demands for each channel."""
        merged = {}
        for channel in {*self.roles, *roles}:
            if (own := self.role(channel)) is not None:
                merged[channel] = own.within(roles.get(channel, Role()))
        return Trust(self.keys.values(), merged)

    def role(self, channel: str) -> Role | None:
        """The role for ``channel``. None: nobody may sign for it."""
        return self.roles.get(channel, self.roles.get(ANY_CHANNEL))

    def signatures(self, envelope: Envelope, now: str | None) -> tuple[Signature, ...]:
        """The valid signatures of an envelope, at least one. With none it raises a TrustError that tells why."""
        signed = {key.keyid for key in valid_keys(envelope, (trusted.key for trusted in self.keys.values()))}
        good = [self.keys[key_id] for key_id in signed if self.keys[key_id].counts(now)]
        if not good:
            raise self._refusal(envelope, signed)
        return tuple(sorted(Signature(trusted.person, trusted.key.keyid) for trusted in good))

    def check(self, channel: str, signatures: Iterable[Signature]) -> None:
        """Raise SignerError or ThresholdError unless these signatures are enough for ``channel``."""
        role = self.role(channel)
        persons = {signature.person for signature in signatures}
        allowed = persons if role is None or role.persons is None else persons & role.persons
        if role is None or not allowed:
            raise SignerError(f"signed by {_names(persons)}, who may not sign for channel {channel}")
        if len(allowed) < role.threshold:
            raise ThresholdError(
                f"signed by {_names(allowed)}: channel {channel} needs the signatures of {role.threshold} people"
            )

    def confirm(self, channel: str, signatures: Iterable[Signature]) -> None:
        """Check signatures that were valid at an earlier time, as :meth:`check` does. Revoked keys do not count.

        Raises TrustError.
        """
        known = [(s, self.keys.get(s.key_id)) for s in signatures]
        good = [Signature(trusted.person, s.key_id) for s, trusted in known if trusted and trusted.counts(None)]
        if not good:
            raise RevokedKeyError("the keys that signed it were revoked, or are trusted no more, since it was accepted")
        self.check(channel, good)

    def _refusal(self, envelope: Envelope, signed: set[str]) -> TrustError:
        """Why none of the signatures counts: the first reason there is, of the keys that are known."""
        for trusted in self.keys.values():
            key_id = trusted.key.keyid
            if key_id not in envelope.signatures:
                continue
            who = f"{trusted.person}'s key {key_id[:16]}"
            if key_id not in signed:
                return SignatureError(f"the signature by {who} does not fit: it was changed after it was signed")
            if trusted.revoked:
                return RevokedKeyError(f"signed with {who}, which was revoked: {trusted.revoked}")
            return ExpiredKeyError(
                f"signed with {who}, which counts from {trusted.not_before or 'ever'} until {trusted.expires or 'ever'}"
            )
        ids = ", ".join(key_id[:16] for key_id in list(envelope.signatures)[:8])
        return TrustError(f"not signed by a trusted key (signed by: {ids or 'none'})")


def seal_manifest(manifest: Manifest, signers: Iterable[Signer]) -> tuple[bytes, bytes]:
    """Sign a manifest. Returns its canonical bytes (the payload) and the envelope around them. Raises LimitError."""
    payload = canonical(manifest.model_dump())
    return payload, seal(payload, PAYLOAD_TYPE, signers, MAX_MANIFEST_BYTES)


def open_manifest(sealed: bytes, trust: Trust, now: str | None = None) -> Opened:
    """Verify an envelope, and read its manifest. Its signatures must be enough for its channel.

    They must be valid at ``now``; with None they may have expired, but not been revoked. They are verified over the raw
    bytes before anything inside is parsed. Raises TrustError, or ManifestError for any other fault.
    """
    envelope = read_envelope(sealed, PAYLOAD_TYPE, MAX_MANIFEST_BYTES)
    signatures = trust.signatures(envelope, now)
    manifest = read_manifest(envelope.payload)
    trust.check(manifest.channel, signatures)
    return Opened(manifest, envelope.payload, signatures)


def _names(persons: Iterable[str]) -> str:
    return ", ".join(sorted(person[:16] for person in persons))
