"""Every file past a virus scanner, and an honest word about those that were too large for it."""

import time
from typing import Final

from diode.intake_settings import Clamd as ClamdSettings
from sender.intake.candidate import Candidate, CandidateFile
from sender.intake.clamd import MAX_STREAM_BYTES, Clamd, Version, trusted_users
from sender.intake.verdict import Finding, Reason, RefusedError

_DAY_S: Final = 86_400.0
_NAMED: Final = 8


def check_scanned(settings: ClamdSettings, candidate: Candidate) -> Finding:
    """Scan all files. Raises RefusedError unless each is clean, or was allowed to be too large."""
    most = min(settings.max_bytes, MAX_STREAM_BYTES)
    large = [file for file in candidate.files.values() if file.size > most]
    if large and settings.too_large == "reject":
        raise RefusedError(
            Reason.UNSCANNED, f"not scanned: too large: {_names(large)} (the scanner is given {most} bytes at most)"
        )
    clamd = Clamd(settings.socket, trusted_users(settings.user), settings.timeout_s, candidate.progress.tick)
    version = clamd.version()
    _check_age(settings, version)
    if settings.canary:
        clamd.prove_sight()
    scanned = 0
    for file in candidate.files.values():
        if file.size <= most:
            clamd.scan(candidate.chunks(file), repr(file.path))
            scanned += 1
    detail = f"not scanned: too large: {_names(large)}" if large else ""
    counts = {"scanned": scanned, "unscanned": len(large)}
    return Finding(detail, tool=version.name, database=version.database, counts=counts)


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


def _names(files: list[CandidateFile]) -> str:
    more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
    return ", ".join(repr(file.path) for file in files[:_NAMED]) + more
