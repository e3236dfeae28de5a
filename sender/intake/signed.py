"""The check that signatures lie beside the files that need one, and are good.

Where the channel asks for a list of digests (``SHA256SUMS``), that list alone needs a signature. Otherwise every file
needs one.
"""

from typing import Protocol

from sender.intake.candidate import Candidate, CandidateFile
from sender.intake.verdict import Finding, Reason, RefusedError


class SignatureKey(Protocol):
    """A key that must have signed. The signature of FILE is the file whose name is FILE and ``suffix``."""

    suffix: str

    def verify(self, candidate: Candidate, file: CandidateFile, signature: CandidateFile) -> None:
        """Raise RefusedError unless ``signature`` is a signature of this key over ``file``."""
        ...


def check_signed(key: SignatureKey, sums: str | None, suffixes: tuple[str, ...], candidate: Candidate) -> Finding:
    """Verify the signature beside the file ``sums``; if that is None, the one beside every file.

    A file that is itself a signature of another file needs none. ``suffixes`` are those of all kinds of signatures that
    the channel checks. Raises RefusedError.
    """
    needs_none = signatures_of(candidate, suffixes) | candidate.ours
    count = 0
    for file in candidate.files.values():
        if file.path != sums if sums is not None else file.path in needs_none:
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
    """The paths that are signatures: each belongs to another file of the item, which is no signature itself."""
    found: set[str] = set()
    for path in sorted(candidate.files, key=len):  # shorter paths first: a signed file comes before its signatures
        for suffix in suffixes:
            signed = path.removesuffix(suffix)
            if signed != path and signed in candidate.files and signed not in found:
                found.add(path)
    return found
