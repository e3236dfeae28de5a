"""The check that sends every file of an item to a virus scanner. It also names the files that were not really scanned.

A scanner can call a file clean without having looked into it. The finding says how many such files there were.
"""

import time
from collections.abc import Mapping
from typing import Final

from diode.config.intake import Clamd as ClamdSettings
from diode.log import log
from sender.intake.candidate import Candidate, CandidateFile
from sender.intake.clamd import MAX_STREAM_BYTES, Clamd, Version, trusted_users
from sender.intake.unopened import WITHIN, Unopened
from sender.intake.verdict import Finding, Reason, RefusedError

_DAY_S: Final = 86_400.0
_NAMED: Final = 8
_NAMED_UNOPENED: Final = 2  # files named, of each kind


def check_scanned(settings: ClamdSettings, candidate: Candidate) -> Finding:
    """Scan all files. Raises RefusedError unless each one is clean, or is too large and the channel allows that."""
    most = min(settings.max_bytes, MAX_STREAM_BYTES)
    large = [file for file in candidate.files.values() if file.size > most]
    if large and settings.too_large == "reject":
        raise RefusedError(
            Reason.UNSCANNED, f"not scanned: too large: {_names(large)} (the scanner is given {most} bytes at most)"
        )
    clamd = Clamd(settings.socket, trusted_users(settings.user), settings.timeout_s, candidate.progress.tick)
    with candidate.progress.going_on():
        version, details = _meet(settings, clamd)
    unopened: dict[str, list[CandidateFile]] = {}
    scanned = [file for file in candidate.files.values() if file.size <= most]
    for file in scanned:
        look = Unopened()
        candidate.progress.tick()
        with candidate.progress.going_on():  # clamd ends a conversation in which nothing is said
            clamd.scan(look.watched(candidate.chunks(file)), repr(file.path))
        if "encrypted" in look.kind and settings.encrypted == "reject":
            raise RefusedError(Reason.UNSCANNED, f"not scanned: {look.kind}: {file.path!r}")
        if look.kind:
            unopened.setdefault(look.kind, []).append(file)
    count = sum(map(len, unopened.values()))
    if unopened:
        details.append(f"passed unopened: {count}: {_kinds(unopened)}")
    if within := sorted(candidate.inside.keys() & WITHIN):
        details.append(f"within archives, passed unopened: {', '.join(f'{candidate.inside[k]} {k}' for k in within)}")
    if large:
        details.append(f"not scanned: too large: {_names(large)}")
    counts = {"scanned": len(scanned), "unscanned": len(large), "unopened": count}
    return Finding("; ".join(details), tool=version.name, database=version.database, counts=counts)


def _meet(settings: ClamdSettings, clamd: Clamd) -> tuple[Version, list[str]]:
    """Who the scanner is, and remarks about it. Raises RefusedError unless it can be relied on."""
    version = clamd.version()
    _check_age(settings, version)
    if not settings.canary:
        return version, ["clamd was not tried (canary)"]
    clamd.prove_sight()
    return version, [] if clamd.alerts_on_encrypted() else [_without_alert(settings)]


def _without_alert(settings: ClamdSettings) -> str:
    """The remark about a clamd that calls an encrypted archive clean. Raises RefusedError if the channel forbids it."""
    if settings.encrypted == "reject":
        raise RefusedError(
            Reason.SCANNER_BLIND, "clamd does not alert on encrypted archives: set AlertEncrypted yes in clamd.conf"
        )
    log.warning("scanner_passes_encrypted", remedy="set AlertEncrypted yes in clamd.conf")
    return "clamd passes encrypted archives unopened (AlertEncrypted is not set)"


def _check_age(settings: ClamdSettings, version: Version) -> None:
    if settings.max_db_age_days is None:
        return
    if version.database_at is None:
        raise RefusedError(Reason.SCANNER_DATABASE, "clamd does not say when its database was made")
    age = (time.time() - version.database_at) / _DAY_S
    if not -1.0 <= age <= settings.max_db_age_days:
        raise RefusedError(
            Reason.SCANNER_DATABASE,
            f"clamd's database is of {version.database}; at most {settings.max_db_age_days:g} days are allowed",
        )


def _kinds(unopened: Mapping[str, list[CandidateFile]]) -> str:
    return ", ".join(f"{kind} ({_names(files, _NAMED_UNOPENED)})" for kind, files in sorted(unopened.items()))


def _names(files: list[CandidateFile], most: int = _NAMED) -> str:
    more = f" and {len(files) - most} more" if len(files) > most else ""
    return ", ".join(repr(file.path) for file in files[:most]) + more
