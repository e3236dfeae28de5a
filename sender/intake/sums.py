"""The check of ``SHA256SUMS``: this file of the item must name every other file, with the digest that was computed.

Its lines are read as ``sha256sum -c`` of GNU coreutils reads them. There is one difference: sha256sum warns of a line
that it does not understand, and goes on; here such a line refuses the item. Two more things are allowed: a byte order
mark, and the frame of ``gpg --clear-sign``. Of such a frame only the lines within count; its signature is not checked.
Source: coreutils, src/digest.c (digest_check, split_3, bsd_split_3); RFC 9580, 7 (cleartext signatures).
"""

import codecs
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import BinaryIO, Final

from sender.intake.candidate import Candidate
from sender.intake.verdict import Finding, Reason, RefusedError

MAX_SUMS_BYTES: Final = 256 << 20
MAX_LINE_BYTES: Final = 16 << 10
MAX_NAME_BYTES: Final = 4095  # PATH_MAX of Linux, without its zero
_TAGGED: Final = re.compile(r"[ \t]*(\\?)SHA256 ?\((.*)\)[ \t]*=[ \t]*([0-9A-Fa-f]{64})", re.DOTALL)
_PLAIN: Final = re.compile(r"[ \t]*(\\?)([0-9A-Fa-f]{64})[ \t](.+)", re.DOTALL)
_ESCAPED: Final = re.compile(r"(?:[^\\]|\\[\\nr])+", re.DOTALL)
_ESCAPES: Final = {r"\\": "\\", r"\n": "\n", r"\r": "\r"}
_BEGIN: Final = b"-----BEGIN PGP SIGNED MESSAGE-----"
_SIGNATURE: Final = b"-----BEGIN PGP SIGNATURE-----"
_END: Final = b"-----END PGP SIGNATURE-----"

_Line = tuple[int, bytes]  # the number of the line, and its text


def check_sums(file_name: str, vouched_for: frozenset[str], candidate: Candidate) -> Finding:
    """Compare the list with the files. Files in ``vouched_for`` need not be named, since other checks vouch for them.

    Raises RefusedError.
    """
    sums = candidate.files.get(file_name)
    if sums is None:
        raise RefusedError(Reason.SUMS_MISSING, f"the item holds no {file_name}")
    if sums.size > MAX_SUMS_BYTES:
        raise RefusedError(Reason.SUMS_MALFORMED, f"{file_name} has {sums.size} bytes; {MAX_SUMS_BYTES} at most")
    try:
        with candidate.open(sums) as opened:
            lines = _numbered(opened)
            first = next(lines, (1, b""))
            is_framed = first[1].rstrip() == _BEGIN
            named = _compare(_read(_framed(lines) if is_framed else chain([first], lines)), file_name, candidate)
    except ValueError as error:
        raise RefusedError(Reason.SUMS_MALFORMED, f"{file_name}: {error}") from None
    if extra := candidate.files.keys() - named - vouched_for - candidate.ours - {file_name}:
        raise RefusedError(Reason.FILE_EXTRA, f"{min(extra)!r} is not named by {file_name}")
    if not named:
        raise RefusedError(Reason.SUMS_MALFORMED, f"{file_name} names no file")
    candidate.rely_on(sums)
    return Finding("clear-signed, signature not checked" if is_framed else "", counts={"files": len(named)})


def _compare(listed: Iterable[tuple[str, str]], file_name: str, candidate: Candidate) -> set[str]:
    """The paths that were named, each with its file's digest. Raises RefusedError, and what ``listed`` raises."""
    paths = sorted(candidate.files)
    named = set()
    for name, digest in listed:
        path = name if name in candidate.files else _resolved(name, paths)
        file = None if path is None else candidate.files.get(path)
        if file is None:
            raise RefusedError(Reason.FILE_MISSING, f"{file_name} names {name!r}, which is not there")
        if file.entry.sha256 != digest:
            raise RefusedError(Reason.DIGEST, f"{file.path!r} is not the file that {file_name} names: SHA-256 differs")
        named.add(file.path)
    return named


def _resolved(name: str, paths: list[str]) -> str | None:
    """The path within the item that a name leads to, through folders that are there; None: it leads elsewhere."""
    *above, last = name.split("/")
    too_long = len(name.encode(errors="surrogateescape")) > MAX_NAME_BYTES
    if (
        too_long or name == "-" or name.startswith("/") or last in ("", ".", "..")
    ):  # "-" means standard input to sha256sum
        return None
    at: list[str] = []
    for part in above:
        if part == "..":
            if not at:
                return None
            at.pop()
        elif part not in ("", "."):
            at.append(part)
            if not _is_folder("/".join(at), paths):
                return None
    return "/".join([*at, last])


def _is_folder(path: str, paths: list[str]) -> bool:
    """Whether one of the sorted ``paths`` lies in it. To keep all folders would take more memory than the item."""
    within = f"{path}/"
    place = bisect_left(paths, within)
    return place < len(paths) and paths[place].startswith(within)


def _numbered(opened: BinaryIO) -> Iterator[_Line]:
    """Every line without its end. Raises ValueError for one that is too long for a path."""
    number = 0
    while line := opened.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            raise ValueError(f"line {number} has more than {MAX_LINE_BYTES} bytes")
        yield number, (line.removeprefix(codecs.BOM_UTF8) if number == 1 else line).removesuffix(b"\n")


def _framed(lines: Iterator[_Line]) -> Iterator[_Line]:
    """What stands within a clear-signed text, after its first line. Raises ValueError for any other frame."""
    for number, line in lines:
        if not line.rstrip():
            break
        if not line.startswith(b"Hash: "):
            raise ValueError(f"line {number}: a clear-signed text has nothing but Hash before its first blank line")
    for number, line in lines:
        if line.rstrip() == _SIGNATURE:
            break
        if line.startswith(b"-") and not line.startswith(b"- "):
            raise ValueError(f"line {number} cannot stand in a clear-signed text")
        yield number, line.removeprefix(b"- ")
    ends = next((number for number, line in lines if line.rstrip() == _END), None)
    if ends is None:
        raise ValueError("its clear-signed text does not end with a signature")
    for number, line in lines:
        if line.strip():
            raise ValueError(f"line {number} stands behind the signature, which covers it not")


def _read(lines: Iterable[_Line]) -> Iterator[tuple[str, str]]:
    """(name, digest in lower case) of each line but comments and blank ones. Raises ValueError."""
    is_reversed: bool | None = None  # names behind one blank, as BSD has them, or behind two characters: never both
    for number, line in lines:
        text = line.removesuffix(b"\r").decode(errors="surrogateescape")
        if line.startswith(b"#") or not text.strip(" \t"):
            continue
        malformed = ValueError(f"line {number} is not a SHA-256 digest and a name")
        if "\0" in text:
            raise malformed
        if match := _TAGGED.fullmatch(text):
            escape, name, digest = match.groups()
        elif match := _PLAIN.fullmatch(text):
            escape, digest, name = match.groups()
            if len(name) == 1 or name[0] not in " *":
                if is_reversed is False:
                    raise malformed
                is_reversed = True
            elif not is_reversed:
                is_reversed = False
                name = name[1:]
        else:
            raise malformed
        yield (_unescaped(name, number) if escape else name), digest.lower()


def _unescaped(name: str, number: int) -> str:
    """The name on a line that begins with a backslash: in it, backslashes and ends of lines are escaped."""
    if _ESCAPED.fullmatch(name) is None:
        raise ValueError(f"line {number}: {name!r} is escaped in a way that is not known")
    return re.sub(r"\\.", lambda escape: _ESCAPES[escape[0]], name)
