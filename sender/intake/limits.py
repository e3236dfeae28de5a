"""The check of limits: how many files an item of the channel may have, and how many bytes."""

from diode.config.intake import Intake
from sender.intake.candidate import Candidate
from sender.intake.verdict import Finding, Reason, RefusedError


def check_limits(settings: Intake, candidate: Candidate) -> Finding:
    """Raise RefusedError when the item has too many files, or too many bytes in one file or in all of them."""
    files, size = len(candidate.files), candidate.size
    if settings.max_files and files > settings.max_files:
        raise RefusedError(Reason.TOO_MANY_FILES, f"{files} files; the channel takes {settings.max_files}")
    if settings.max_bytes and size > settings.max_bytes:
        raise RefusedError(Reason.ITEM_TOO_LARGE, f"{size} bytes; the channel takes {settings.max_bytes}")
    for file in candidate.files.values():
        if settings.max_file_bytes and file.size > settings.max_file_bytes:
            raise RefusedError(
                Reason.FILE_TOO_LARGE,
                f"{file.path!r} has {file.size} bytes; the channel takes {settings.max_file_bytes}",
            )
    return Finding(counts={"files": files, "bytes": size})
