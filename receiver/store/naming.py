"""Records what was found in a bundle, and decides whose the names are that it claims.

Whose a name is follows from the ledger and the configuration, and never from what a bundle says
(:func:`receiver.catalogue.names.lawful_holder`). A name of another channel is not served of this bundle, and that is
alarmed.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final

from diode.audit.chain import What
from diode.formats.timestamps import check_moment, now_utc
from diode.layouts.kinds import KINDS, Kind
from diode.layouts.names import normal_form
from receiver.catalogue.card import Claim
from receiver.catalogue.names import Listed, lawful_holder, of_kinds
from receiver.ledger.bundles import Row, named
from receiver.ledger.catalogue import Entry, Holder, NameClaim
from receiver.messages.pipeline import MAX_CLAIMS, NamesRefused, NotDescribed
from receiver.messages.questions import Claims, DescribeBundle, DescribedBundle
from receiver.settings import ChannelSettings
from receiver.store.describers import lie
from receiver.store.records import Records
from receiver.store.reports import Reports

_NAMED: Final = 5  # names that a report spells out


class Recording:
    """Writes down what was found in a bundle, and whose the names are. ``listed``: the ``names`` of each channel."""

    def __init__(self, records: Records, reports: Reports, listed: Listed) -> None:
        self._ledger = records.ledger
        self._audit = records.audit
        self._reports = reports
        self._listed = listed

    def apply_names(self) -> None:
        """Let every name belong to whom the configuration of today gives it, and say what that takes away."""
        changed = {
            (holder.kind, holder.normal): after
            for holder in self._ledger.catalogue.holders()
            if (after := self._judge(holder)) != holder
        }
        if not changed:
            return
        lost: dict[str, list[NameClaim]] = {}
        for claim in self._ledger.catalogue.claims():
            now = changed.get((claim.kind, claim.normal))
            if now is not None and claim.is_lawful and now.channel != claim.channel:
                lost.setdefault(claim.bundle, []).append(claim._replace(holder=now.channel))
        for bundle, claims in lost.items():
            self._refuse(bundle, claims)
        with self._ledger.catalogue.together():
            self._ledger.catalogue.hold(changed.values())

    def record(self, asked: DescribeBundle, described: DescribedBundle, said: Sequence[Claims]) -> None:
        """Record a bundle's entry, its claims, and whose they are, at once; the audit log comes first.

        Raises StorageError.
        """
        claims = [claim for one in said for claim in _claims(one)]
        holders = [self._holder(claim, asked.channel) for claim in claims]
        refused = [
            NameClaim(*claim[:2], asked.bundle, claim.spelling, asked.channel, holder.channel)
            for claim, holder in zip(claims, holders, strict=True)
            if holder.channel != asked.channel
        ]
        if refused:
            self._refuse(asked.bundle, refused)
        with self._ledger.catalogue.together():
            self._ledger.catalogue.note(_entry(asked, described), claims)
            self._ledger.catalogue.hold(holders)
        if described.problem:
            self._reports.tell(NotDescribed(asked.bundle, described.problem))

    def _holder(self, claim: Claim, channel: str) -> Holder:
        known = self._ledger.catalogue.holder(claim.kind, claim.normal)
        return self._judge(known or Holder(claim.kind, claim.normal, "", "", channel))

    def _judge(self, holder: Holder) -> Holder:
        """Whose a name is by today's configuration."""
        channel = lawful_holder(_kind(holder.kind), holder.normal, self._listed, holder.first) or holder.first
        return holder if channel == holder.channel else holder._replace(channel=channel, since=now_utc())

    def _refuse(self, bundle: str, claims: Sequence[NameClaim]) -> None:
        """Say that names are not served of this bundle, since they belong to other channels."""
        detail = _spelt(claims)
        row = self._ledger.bundles.get(bundle)
        self._audit.append(What.NAME_REFUSED, **_names_of(row), detail=detail)
        self._reports.tell(NamesRefused(bundle, min(len(claims), MAX_CLAIMS), detail))


def kinds_of(channel: ChannelSettings) -> tuple[Kind, ...]:
    """The kinds that a channel serves, each once, in one order."""
    return tuple(kind for kind in KINDS if kind in channel.serve)


def listed_in(channels: Mapping[str, ChannelSettings]) -> Listed:
    """The names that each channel lists."""
    return {name: of_kinds(channel.names, kinds_of(channel)) for name, channel in channels.items() if channel.names}


def _kind(text: str) -> Kind:
    (kind,) = (kind for kind in KINDS if kind == text)
    return kind


def _claims(said: Claims) -> Iterator[Claim]:
    """Claims in their normal forms, of which nobody is believed: a worker may be taken over."""
    for normal, spelling in said.names:
        if not normal or normal_form(_kind(said.kind), normal) != normal:
            raise lie(said, "a name is not in its normal form")
        yield Claim(said.kind, normal, spelling)


def _entry(asked: DescribeBundle, described: DescribedBundle) -> Entry:
    dated = described.dated
    with suppress(ValueError):
        check_moment(dated)
        return Entry(asked.bundle, ",".join(asked.serve), dated, described.dated_by, described.facts, described.problem)
    return Entry(asked.bundle, ",".join(asked.serve), "", "", described.facts, described.problem)


def _names_of(row: Row | None) -> dict[str, str]:
    return named(row) if row is not None else {}


def _spelt(claims: Sequence[NameClaim]) -> str:
    """The first names, and whose they are."""
    told = ", ".join(f"{one.kind} {one.normal} (of {one.holder})" for one in claims[:_NAMED])
    return told + (f" and {len(claims) - _NAMED} more" if len(claims) > _NAMED else "")
