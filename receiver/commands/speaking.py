"""Judges a person's key before anything is written: whether the daemon would count their word for a channel."""

from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from diode.config.receiver import ReceiverConfig
from diode.errors import ExpiredKeyError, NotInitialisedError, RevokedKeyError, SignerError, TrustError
from diode.formats.signers import Signer
from diode.formats.timestamps import now_utc
from diode.trust.keys import read_any_signer, read_trusted
from diode.trust.roles import Trust
from receiver.commands.opening import maybe_ledger
from receiver.policy.authority import read_kept


@dataclass(frozen=True, slots=True)
class Releasers:
    """Who releases, as the daemon has it. ``trust`` None: no key is known, so every Unix user does."""

    trust: Trust | None
    source: str

    @classmethod
    def of(cls, config: ReceiverConfig) -> "Releasers":
        """By the trust document that counts here, or else by the folder of keys. Raises ContentError."""
        if (ledger := maybe_ledger(config)) is not None:
            with closing(ledger):
                document = read_kept(ledger)
            if document is not None and document.release_trust.roles:
                return cls(document.release_trust, f"trust document {document.version}")
        with suppress(NotInitialisedError):
            return cls(read_trusted(config.releasers), str(config.releasers))
        return cls(None, str(config.releasers))

    def persons(self, channel: str) -> frozenset[str] | None:
        """Whose word counts for a channel. None: that of any Unix user."""
        if self.trust is None:
            return None
        role = self.trust.role(channel)
        if role is None:
            return frozenset()
        now = now_utc()
        persons = frozenset(known.person for known in self.trust.keys.values() if known.counts(now))
        return persons if role.persons is None else persons & role.persons

    def who(self, channel: str) -> str:
        """Whose word counts for a channel, in words."""
        return ", ".join(sorted(self.persons(channel) or ())) or "nobody"


def signers_for(config: ReceiverConfig, channel: str, key: str | None, public: Path | None) -> list[Signer]:
    """Who signs a person's word about a channel; nobody where Unix users decide, and no key was given.

    Raises TrustError unless the daemon would count it, UsageError for a key that cannot be read.
    """
    releasers = Releasers.of(config)
    if releasers.trust is None:
        if key is None:
            return []
        raise TrustError(
            f"key {key} is no releaser's: {releasers.source} holds no *.pub, so Unix users decide here; nothing was "
            "done: leave --key out, or put releasers' keys there, and restart"
        )
    may = f"may: {releasers.who(channel)}, by {releasers.source}; nothing was done"
    if key is None:
        raise TrustError(f"only releasers' keys count here: give --key KEY; for channel {channel} {may}")
    signer = read_any_signer(key, public)
    _check(releasers.trust, channel, signer.public_key.keyid, may)
    return [signer]


def _check(trust: Trust, channel: str, key_id: str, may: str) -> None:
    """Raise TrustError unless the key is a releaser's, who may decide on this channel now."""
    trusted = trust.keys.get(key_id)
    if trusted is None:
        raise TrustError(f"key {key_id[:16]} is no releaser's; for channel {channel} {may}")
    role = trust.role(channel)
    if role is None or (role.persons is not None and trusted.person not in role.persons):
        raise SignerError(f"{trusted.person} may not release on channel {channel}; {may}")
    who = f"{trusted.person}'s key {key_id[:16]}"
    if trusted.revoked:
        raise RevokedKeyError(f"{who} was revoked: {trusted.revoked}; {may}")
    if not trusted.counts(now_utc()):
        raise ExpiredKeyError(
            f"{who} counts from {trusted.not_before or 'ever'} until {trusted.expires or 'ever'}; {may}"
        )
