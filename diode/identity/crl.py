"""The certificate revocation lists of one file: one in DER or several in PEM, and never an older one again.

A list is known by its issuer, its scope (issuingDistributionPoint) and by whether it is a delta. It is compared with
the one that is known by the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Self

from diode.identity.material import Fault, IdentityError, Read
from diode.identity.pem import blocks_of, is_pem
from diode.identity.revocation import MAX_REVOKED, ListKey, RevocationList, read_list
from diode.identity.rules import IdentityRules
from diode.identity.showing import bounded, shown, shown_date

MAX_CRL_BYTES: Final = 64 << 20  # of a file
MAX_CRLS: Final = 256  # in a file
_MOST_SERIALS: Final = 5  # that a line names


@dataclass(frozen=True, slots=True)
class Crl(Read):
    """The lists of one file."""

    lists: Mapping[ListKey, RevocationList] = field(default_factory=dict)

    @classmethod
    def read(cls, content: bytes, rules: IdentityRules, at: datetime) -> Self:
        """Parse and judge each list of a file. ``at`` has a time zone. Raises IdentityError."""
        if len(content) > MAX_CRL_BYTES:
            raise IdentityError(Fault.MALFORMED, f"it is larger than {MAX_CRL_BYTES >> 20} MiB")
        lists: dict[ListKey, RevocationList] = {}
        for der in _ders_in(content):
            each = read_list(der, rules, at)
            if each.key in lists:
                raise IdentityError(Fault.MALFORMED, f"{each.key} is there twice")
            lists[each.key] = each
            if sum(len(one.revoked) for one in lists.values()) > MAX_REVOKED:
                raise IdentityError(Fault.MALFORMED, f"it revokes more than {MAX_REVOKED} certificates")
        return cls(dated=min(each.this_update for each in lists.values()), lists=lists)

    def follow(self, before: Self | None, rules: IdentityRules) -> Sequence[str]:
        """A line for each list that changed. Raises IdentityError for what would un-revoke.

        A delta may go when the file holds a complete list that is as new.
        """
        old = before.lists if before else {}
        for key, one in old.items():
            if key not in self.lists and not _is_merged(one, self.lists):
                raise IdentityError(Fault.SWEEPING, f"{key} was there before and is gone, which un-revokes")
        changed = [each for key, each in self.lists.items() if key not in old or each.der != old[key].der]
        lines = [_line(each, old.get(each.key)) for each in changed]
        gone = [f"- {key}: a complete one as new is there" for key in old if key not in self.lists]
        return bounded(lines + gone)


def check_deltas(crls: Mapping[str, Crl]) -> None:
    """Refuse a delta whose complete list is nowhere in the item. ``crls``: the item's files, by their path.

    Raises IdentityError of ``Fault.BASE``. Its detail names the path, as the caller cannot know which one it is.
    """
    complete: dict[ListKey, list[RevocationList]] = {}
    for crl in crls.values():
        for key, each in crl.lists.items():
            complete.setdefault(key, []).append(each)
    for path, crl in crls.items():
        for key, each in crl.lists.items():
            if key.is_delta and not any(_carries(each, base) for base in complete.get(_complete(key), ())):
                numbers = f"number {each.base} to {each.number}"
                detail = f"{key} needs a complete one of {numbers} by the same key, which is not here"
                raise IdentityError(Fault.BASE, f"{shown(path)}: {detail}")


def _complete(key: ListKey) -> ListKey:
    return key._replace(is_delta=False)


def _carries(delta: RevocationList, base: RevocationList) -> bool:
    """RFC 5280, section 5.2.4. A complete list that is newer is none: the delta could take entries out of it."""
    return delta.base is not None and delta.base <= base.number <= delta.number and delta.signer == base.signer


def _is_merged(delta: RevocationList, lists: Mapping[ListKey, RevocationList]) -> bool:
    complete = lists.get(_complete(delta.key)) if delta.key.is_delta else None
    return complete is not None and complete.number >= delta.number and complete.this_update >= delta.this_update


def _ders_in(content: bytes) -> list[bytes]:
    if not is_pem(content):
        return [content]
    blocks = blocks_of(content)
    if len(blocks) > MAX_CRLS:
        raise IdentityError(Fault.MALFORMED, f"it holds more than {MAX_CRLS} revocation lists")
    for block in blocks:
        if block.label != "X509 CRL":
            raise IdentityError(Fault.FORBIDDEN, f"it holds a PEM block that is no X509 CRL: {shown(block.label)}")
    return [block.content for block in blocks]


def _line(each: RevocationList, old: RevocationList | None) -> str:
    said = f"{each.key}: number {each.number} of {shown_date(each.this_update)}, {len(each.revoked)} revoked"
    if old is None:
        return f"+ {said}"
    _check_newer(each, old)
    by = "" if each.signer == old.signer else ", signed by another key than before"
    return f"{said}, {len(each.revoked - old.revoked)} new{_lost(old.revoked - each.revoked)}{by}"


def _lost(serials: frozenset[int]) -> str:
    if not serials:
        return ""
    named = [f"{serial:x}" for serial in sorted(serials)[:_MOST_SERIALS]]
    return f", {len(serials)} no longer revoked: {', '.join(named)}{'' if len(serials) == len(named) else ', ...'}"


def _check_newer(each: RevocationList, old: RevocationList) -> None:
    """Both rise. What is equal in one of them must be equal in all (RFC 5280, section 5.2.3)."""
    if each.number == old.number:
        raise IdentityError(Fault.OLDER, f"{each.key} has number {each.number}, as another one that was taken before")
    if each.number < old.number:
        raise IdentityError(Fault.OLDER, f"{each.key} has number {each.number}, and {old.number} was taken before")
    if each.this_update <= old.this_update:
        dates = f"{shown_date(each.this_update)}, and one of {shown_date(old.this_update)} was taken before"
        raise IdentityError(Fault.OLDER, f"{each.key} is of {dates}")
