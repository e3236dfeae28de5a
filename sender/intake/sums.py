"""``SHA256SUMS``: a file of the item that must name every other one, with the digest that was computed of it."""

import re
from collections.abc import Iterator
from typing import Final

from sender.intake.candidate import Candidate
from sender.intake.verdict import Finding, Reason, RefusedError

MAX_SUMS_BYTES: Final = 256 << 20
_LINE: Final = re.compile(r"(\\?)([0-9A-Fa-f]{64}) [ *](?:\./)?(.+)")
_ESCAPED: Final = re.compile(r"(?:[^\\]|\\[\\nr])+")
_ESCAPES: Final = {r"\\": "\\", r"\n": "\n", r"\r": "\r"}


def check_sums(file_name: str, papers: frozenset[str], candidate: Candidate) -> Finding:
    """Compare. ``papers``: what other checks vouch for, and which need not be named. Raises RefusedError."""
    sums = candidate.files.get(file_name)
    if sums is None:
        raise RefusedError(Reason.SUMS_MISSING, f"the item holds no {file_name}")
    try:
        named = dict(_read(candidate.read(sums, MAX_SUMS_BYTES)))
    except ValueError as error:
        raise RefusedError(Reason.SUMS_MALFORMED, f"{file_name}: {error}") from None
    candidate.rely_on(sums)
    for path, digest in named.items():
        file = candidate.files.get(path)
        if file is None:
            raise RefusedError(Reason.FILE_MISSING, f"{file_name} names {path!r}, which is not there")
        if file.entry.sha256 != digest:
            raise RefusedError(Reason.DIGEST, f"{path!r} is not the file that {file_name} names: SHA-256 differs")
    if extra := candidate.files.keys() - named.keys() - papers - {file_name}:
        raise RefusedError(Reason.FILE_EXTRA, f"{min(extra)!r} is not named by {file_name}")
    return Finding(counts={"files": len(named)})


def _read(data: bytes) -> Iterator[tuple[str, str]]:
    """(path, digest) of each line as coreutils write them, text or binary. Raises ValueError."""
    seen = set()
    lines = data.decode().split("\n")
    if lines.pop():
        raise ValueError("its last line has no end")
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"line {number} is not a SHA-256 digest and a name")
        path = _unescaped(match[3]) if match[1] else match[3]
        if path in seen:
            raise ValueError(f"{path!r} is named twice")
        seen.add(path)
        yield path, match[2].lower()


def _unescaped(name: str) -> str:
    """The name on a line that begins with a backslash: in it, backslashes and ends of lines are escaped."""
    if _ESCAPED.fullmatch(name) is None:
        raise ValueError(f"{name!r} is escaped in a way that is not known")
    return re.sub(r"\\.", lambda escape: _ESCAPES[escape[0]], name)
