"""Everything that is known of one bundle, as ``catalogue show`` gives it: dates, signers, verdicts, SBOMs, names.

Each date comes with what says it. What nobody signs, or nothing here can know, is said to be not known.
"""

import json
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import islice
from typing import Any, Final

from diode.bundle.attestation import open_attestation
from diode.config.receiver import ReceiverConfig
from diode.errors import DiodeError, NotInitialisedError, PolicyError
from diode.storage.folder import Folder
from diode.trust.document import read_document
from diode.trust.keys import read_trusted
from receiver.describe.manifest import manifest_beside
from receiver.ledger.catalogue import CatalogueLine, Entry, NameClaim
from receiver.ledger.ledgers import LedgerView

_MOST_TOLD: Final = 20  # of one list, to people; --json has all that is kept
_NEVER: Final = "not looked into yet"


def shown(config: ReceiverConfig, ledger: LedgerView, line: CatalogueLine) -> dict[str, Any]:
    """What is known of a bundle, for JSON."""
    entry = ledger.catalogue.entry(line.id)
    facts = _facts(entry)
    return {
        **line._asdict(),
        "dates": _dates(line, facts),
        "signers": _signers(config, ledger, line.signer),
        "staging": {**(facts.get("checked") or {}), "signed_by": _who_attested(config, line)},
        "source": facts.get("source"),
        "labels": facts.get("labels"),
        "sboms": {name: facts.get(key) for name, key in _SBOMS.items()},
        "names": [_name(claim) for claim in ledger.catalogue.claims(line.id)],
        "problems": facts.get("problems") or ([line.problem] if line.problem else []),
        "moves": [
            {"at": move.at, "what": move.what, "who": move.who, "reason": move.reason}
            for move in ledger.pointers.moves(line.channel, line.name)
            if move.bundle == line.id
        ],
    }


_SBOMS: Final = {
    "documents": "sboms",
    "count": "sbom_count",
    "components": "components",
    "vulnerabilities": "flaws",
    "vulnerability_count": "flaw_count",
}


def told(facts: dict[str, Any]) -> Iterator[str]:
    """The same for people: a line each."""
    current = ", in use" if facts["current"] else ""
    yield f"{facts['channel']}/{facts['name']}@{facts['version']} ({facts['id']})"
    yield f"state: {facts['state']}{current}" + (f": {facts['reason']}" if facts["reason"] else "")
    yield f"number {facts['sequence']} of its channel; {facts['files']:,} files, {facts['bytes']:,} bytes"
    yield f"digest: {facts['digest']}"
    for name, date in facts["dates"].items():
        yield f"{name}: {date['at'] or 'not known'} ({date['by']})"
    for signer in facts["signers"]:
        yield f"signed by: {signer['person'] or 'a key that is not known here any more'} ({signer['key']})"
    yield from _told_of_staging(facts["staging"])
    if facts["source"]:
        yield f"source: {', '.join(f'{name} {value}' for name, value in facts['source'].items() if value)}"
    yield from _told_of_sboms(facts["sboms"])
    yield from _some(f"name: {one['kind']} {one['name']}{_whose(one)}" for one in facts["names"])
    yield from _some(f"problem: {problem}" for problem in facts["problems"])
    yield from _some(f"{move['at']} {move['what']} {move['who']} {move['reason']}".rstrip() for move in facts["moves"])


def _facts(entry: Entry | None) -> dict[str, Any]:
    if entry is not None:
        with suppress(ValueError):
            found = json.loads(entry.facts or "{}")
            return found if isinstance(found, dict) else {}
    return {}


def _dates(line: CatalogueLine, facts: dict[str, Any]) -> dict[str, dict[str, str]]:
    by = {"": line.problem or _NEVER, "built": "nothing says its own date: this is when it was built"}
    checked = (facts.get("checked") or {}).get("at", "")
    published = "this receiver's clock" if line.state != "held" else "held since; not published"
    return {
        "its own": {"at": line.dated, "by": by.get(line.dated_by, line.dated_by)},
        "built": {"at": facts.get("built") or "", "by": "its signed manifest"},
        "checked": {"at": checked, "by": "staging's attestation" if checked else "it has none"},
        "signed": {"at": "", "by": "signatures bear no time; not before it was built"},
        "sent": {"at": "", "by": "staging's audit log knows; nothing that is signed says it here"},
        "received": {"at": line.published, "by": published},
    }


def _signers(config: ReceiverConfig, ledger: LedgerView, keys: str) -> list[dict[str, str]]:
    known: dict[str, str] = {}
    with suppress(DiodeError, OSError):
        known |= {key: one.person for key, one in read_trusted(config.signers).keys.items()}
    with suppress(DiodeError):
        if sealed := ledger.trust.document():
            known |= {key: one.person for key, one in read_document(sealed).trust.keys.items()}
    return [{"key": key, "person": known.get(key, "")} for key in keys.split(",") if key]


def _who_attested(config: ReceiverConfig, line: CatalogueLine) -> str:
    """Whether a service key that is known here signed staging's verdicts, checked now, by the manifest in the inbox."""
    try:
        with closing(Folder.open(config.inbox.path)) as inbox:
            folder = inbox.folder(line.channel).folder(line.name).folder(line.version)
            manifest = manifest_beside(folder, line.id, line.digest)
        if manifest.attestation is None:
            return "it carries no verdicts"
        open_attestation(manifest, [one.key for one in read_trusted(config.services).keys.values()])
    except NotInitialisedError:
        return f"not checked: no key lies in {config.services}"
    except PolicyError as error:
        return f"nobody known here: {error}"
    except (DiodeError, OSError) as error:
        return f"not checked: {error.strerror if isinstance(error, OSError) else error}"
    return "a service key that is known here"


def _name(claim: NameClaim) -> dict[str, Any]:
    return {"kind": claim.kind, "name": claim.spelling, "holder": claim.holder, "served": claim.is_lawful}


def _whose(one: dict[str, Any]) -> str:
    return "" if one["served"] else f", which belongs to channel {one['holder']}: not served"


def _told_of_staging(staging: dict[str, Any]) -> Iterator[str]:
    yield f"staging: {staging.get('result', 'no verdicts')}; signed by {staging['signed_by']}"
    for check in staging.get("checks", []):
        rest = " ".join(filter(None, (check.get("tool"), check.get("database"), check.get("detail"))))
        yield f"  {check.get('name')}: {check.get('outcome')}{f' ({rest})' if rest else ''}"


def _told_of_sboms(sboms: dict[str, Any]) -> Iterator[str]:
    for one in (sboms["documents"] or [])[:_MOST_TOLD]:
        named = f" of {one['name']}" if one.get("name") else ""
        yield f"SBOM: {one['path']}: {one['format']} {one['spec_version']}{named}, {one['components']} components"
    if flaws := sboms["vulnerabilities"]:
        yield f"vulnerabilities named: {sboms['vulnerability_count']}: {', '.join(flaws[:_MOST_TOLD])}"


def _some(lines: Iterator[str]) -> Iterator[str]:
    yield from islice(lines, _MOST_TOLD)
    if rest := sum(1 for _ in lines):
        yield f"and {rest} more; --json has them"
