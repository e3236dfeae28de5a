"""Which files need which signature beside them: the list of digests alone, where there is one, or else every file."""

from typing import Protocol

from sender.intake.candidate import Candidate, CandidateFile
from sender.intake.verdict import Finding, Reason, RefusedError


class SignatureKey(Protocol):
    """Who must have signed, and how the signature of FILE is called: FILE and ``suffix``."""

    suffix: str

    def verify(self, candidate: Candidate, file: CandidateFile, signature: CandidateFile) -> None:
        """Raise RefusedError unless ``signature`` is theirs, over ``file``."""
        ...


def check_signed(key: SignatureKey, sums: str | None, suffixes: tuple[str, ...], candidate: Candidate) -> Finding:
    """Verify a signature beside the file ``sums``, or beside every file that is not itself a signature of one there.

    ``suffixes``: of all signatures that the channel checks. Raises RefusedError.
    """
    signatures = signatures_of(candidate, suffixes)
    count = 0
    for file in candidate.files.values():
        if file.path != sums if sums is not None else file.path in signatures:
            continue
        signature = candidate.files.get(file.path + key.suffix)
        if signature is None:
            raise RefusedError(Reason.SIGNATURE_MISSING, f"{file.path!r} has no {key.suffix} beside it")
        key.verify(candidate, file, signature)
        candidate.rely_on(signature)
        count += 1
    if not count:
        raise RefusedError(Reason.SIGNATURE_MISSING, f"nothing here is signed: there is no {sums or 'file'}")
    return Finding(counts={"signatures": count})


def signatures_of(candidate: Candidate, suffixes: tuple[str, ...]) -> set[str]:
    """The files that are one of the channel's signatures, each of another file that is there and is none itself."""
    found: set[str] = set()
    for path in sorted(candidate.files, key=len):  # what is signed before its signatures
        for suffix in suffixes:
            signed = path.removesuffix(suffix)
            if signed != path and signed in candidate.files and signed not in found:
                found.add(path)
    return found
