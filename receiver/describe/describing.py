"""Looks into one published bundle: writes its card, and says what is known of it, and which names it claims.

    manifest -> signed table -> source.json -> makers, SBOMs -> digests -> card -> answer

Whatever is wrong with what the bundle holds is a problem in one line; the rest is told all the same. Nothing is told of
a bundle whose table is not the one that was signed.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from diode.bundle.manifest import Manifest
from diode.errors import IntegrityError
from diode.layouts.kinds import Kind
from diode.layouts.names import MAX_NAME, normal_form
from diode.layouts.source import (
    MAX_SOURCE_BYTES,
    SOURCE_FILE,
    Digests,
    Source,
    believed,
    date_of,
    read_source,
    speaks_of,
)
from diode.storage.folder import Folder
from receiver.catalogue.card import Card, CardFile, Claim, Fact, write_card
from receiver.catalogue.search import TERM
from receiver.describe.data import BundleFiles
from receiver.describe.dates import Dated, dates
from receiver.describe.facts import facts_for_people
from receiver.describe.makers import MAKERS
from receiver.describe.manifest import manifest_beside
from receiver.describe.protocols import Described, Made, Maker
from receiver.describe.sboms import Bills, read_bills
from receiver.describe.table import signed_table
from receiver.messages.pipeline import MAX_CLAIMS
from receiver.messages.questions import CLAIMS_AT_ONCE, Claims, DescribeBundle, DescribedBundle

CARD_FILE: Final = "card.db"

_TABLE_FILE: Final = "table.db"
_PRINTABLE: Final = re.compile(r"[^\x00-\x1f\x7f]+")

Answer = tuple[list[Claims], DescribedBundle]
Makers = Mapping[Kind, Maker]


@dataclass(slots=True)
class _Found:
    """What was found in a bundle, by all who looked."""

    source: Source | None = None
    made: dict[Kind, Made] = field(default_factory=dict)
    bills: Bills = field(default_factory=Bills)
    dates: list[Dated] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def describe(
    asked: DescribeBundle, version: Folder, out: Path, *, is_plain: bool = False, makers: Makers = MAKERS
) -> Answer:
    """Look into the bundle published in ``version``, and write its card as ``out/card.db``.

    ``is_plain``: nothing in its files is read, so nothing in them can do harm; the card has the table alone. Raises
    ManifestError, StorageError or OSError when it is not what was published, or the card cannot be written.
    """
    manifest = manifest_beside(version, asked.bundle, asked.content)
    write_card(out / _TABLE_FILE, signed_table(version, asked.content), (), ())
    with closing(Card(out / _TABLE_FILE)) as table, version.folder("data") as data:
        files, found = BundleFiles(data, table), _Found()
        if not is_plain:
            _look(asked, manifest, files, found, makers)
        claims = _claims(found)
        digests = _digests_for(files, found)
        write_card(out / CARD_FILE, (_with(one, digests) for one in files.table()), _facts(found), claims)
    (out / _TABLE_FILE).unlink()
    return _in_messages(asked.bundle, claims), _answer(asked, manifest, found, claims)


def _look(asked: DescribeBundle, manifest: Manifest, files: BundleFiles, found: _Found, makers: Makers) -> None:
    found.source = _source(asked.name, manifest.created, files, found.problems)
    place = (asked.bundle, asked.channel, asked.name, asked.version, asked.content)
    one = Described(*place, manifest.created, files, found.source)
    for kind, maker in makers.items():
        if kind in asked.serve:
            found.made[kind] = _made(kind, lambda: maker(one), found.problems)  # noqa: B023 - it is called at once
    found.dates = [*dates(one)]
    found.bills = read_bills(files)
    found.problems += found.bills.problems


def _made(kind: Kind, look: Callable[[], Made], problems: list[str]) -> Made:
    """What a maker found. One that fails has found nothing, and the others look all the same."""
    try:
        made = look()
    except Exception as error:  # noqa: BLE001 - whatever a stranger's file made it do
        problems.append(f"{kind}: {type(error).__name__}: {error}")
        return Made()
    problems += [f"{kind}: {problem}" for problem in made.problems]
    return made


def _source(name: str, built: str, files: BundleFiles, problems: list[str]) -> Source | None:
    """What its source.json says, as far as that may be believed."""
    if files.get(SOURCE_FILE) is None:
        return None
    try:
        source = read_source(files.read(SOURCE_FILE, MAX_SOURCE_BYTES))
    except (ValueError, OSError) as error:
        problems.append(str(error))
        return None
    if not speaks_of(source, name):
        problems.append(f"{SOURCE_FILE} speaks of {source.name!r}, which is not this bundle's name: not believed")
        return None

    def digests(path: str) -> Digests | None:
        file, said = files.get(path), source.files[path]
        if file is None or not (said.sha512 or said.sha1):
            return None if file is None else Digests(file.sha256, said.sha512 or "", said.sha1 or "")
        more = files.digests(path)
        return Digests(file.sha256, more.sha512, more.sha1)

    try:
        return believed(source, built, digests, problems)
    except (IntegrityError, OSError) as error:
        problems.append(f"{SOURCE_FILE}: {error}")
        return None


def _claims(found: _Found) -> list[Claim]:
    """The claims that count: of the maker's own kind, in their normal form, each once."""
    claims: dict[tuple[str, str], Claim] = {}
    for kind, made in found.made.items():
        for claim in made.claims:
            if claim.kind == kind and _is_name(kind, claim):
                claims.setdefault((kind, claim.normal), claim)
            else:
                found.problems.append(f"{kind}: {claim.spelling!r} is no name that can be claimed")
    if len(claims) > MAX_CLAIMS:
        found.problems.append(f"it claims {len(claims)} names; those after the first {MAX_CLAIMS} are left out")
    return list(claims.values())[:MAX_CLAIMS]


def _is_name(kind: Kind, claim: Claim) -> bool:
    texts = (claim.normal, claim.spelling)
    is_text = all(_PRINTABLE.fullmatch(text) and len(text) <= MAX_NAME for text in texts)
    return is_text and normal_form(kind, claim.normal) == claim.normal


def _digests_for(files: BundleFiles, found: _Found) -> dict[str, tuple[str, str]]:
    """(SHA-512, BLAKE2b) of the files for which makers ask for them; empty texts for what nobody asks for."""
    sha512 = {path for made in found.made.values() for path in made.sha512}
    blake2b = {path for made in found.made.values() for path in made.blake2b}
    digests = {}
    for path in sorted(sha512 | blake2b):
        try:
            more = files.digests(path)
        except (IntegrityError, OSError) as error:
            found.problems.append(str(error))
            continue
        digests[path] = (more.sha512 if path in sha512 else "", more.blake2b if path in blake2b else "")
    return digests


def _with(file: CardFile, digests: Mapping[str, tuple[str, str]]) -> CardFile:
    sha512, blake2b = digests.get(file.path, ("", ""))
    return file._replace(sha512=sha512, blake2b=blake2b)


def _facts(found: _Found) -> Iterable[Fact]:
    """Facts of all makers, each key once, and the terms by which the bundle is found."""
    facts = {(one.kind, one.key): one for made in found.made.values() for one in made.facts}
    for what, text in sorted(_terms(found)):
        facts.setdefault((TERM, f"{what} {text}"), Fact(TERM, f"{what} {text}", b""))
    return facts.values()


def _terms(found: _Found) -> Iterator[tuple[str, str]]:
    yield from found.bills.terms
    if (source := found.source) is not None:
        yield from (("upstream", text) for text in (source.name, source.revision or "", *source.tags) if text)


def _own_date(found: _Found, built: str) -> tuple[str, str]:
    """The bundle's own date and what says so: source.json, its newest content, or, where none says it, the build."""
    if found.source is not None and (uploaded := date_of(found.source)):
        return uploaded, SOURCE_FILE
    return max((one for one in found.dates if _is_believed(one, built, found.problems)), default=Dated(built, "built"))


def _is_believed(one: Dated, built: str, problems: list[str]) -> bool:
    if one.at > built:
        problems.append(f"{one.by}: its content is dated {one.at}, after the build: not believed")
    return one.at <= built


def _in_messages(bundle: str, claims: list[Claim]) -> list[Claims]:
    by_kind: dict[str, list[tuple[str, str]]] = {}
    for claim in claims:
        by_kind.setdefault(claim.kind, []).append((claim.normal, claim.spelling))
    return [
        Claims(bundle, kind, tuple(names[first : first + CLAIMS_AT_ONCE]))
        for kind, names in by_kind.items()
        for first in range(0, len(names), CLAIMS_AT_ONCE)
    ]


def _answer(asked: DescribeBundle, manifest: Manifest, found: _Found, claims: list[Claim]) -> DescribedBundle:
    dated, dated_by = _own_date(found, manifest.created)
    facts = facts_for_people(manifest, found.source, found.bills, claims, found.problems)
    return DescribedBundle(asked.bundle, dated, dated_by, facts, "; ".join(found.problems[:20]))
