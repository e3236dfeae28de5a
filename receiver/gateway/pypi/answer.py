"""Answers clients of PyPI: Python packages for pip, uv and others that read the simple index.

- ``/simple/``, ``/simple/NAME/``: pages
- ``/files/SHA256/FILE``: files; ``FILE.metadata``: the metadata of a wheel
- ``/packages/aa/bb/REST/FILE``: the same by BLAKE2b, as upstream's host for files has it, so that its locks fit

Files are found by their name in the cards, and the address must have their digest. Before the digest there may be one
folder more, which names the reason of a recall.
"""

import re
from typing import Final

from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename

from diode.layouts.names import normal_form
from receiver.gateway.answers import BYTES, Answer, file_answer, redirect, text_answer, why_recalled
from receiver.gateway.packages import Holder, Package, card_file, gather
from receiver.gateway.pypi.pages import filename_of, list_page, project_page
from receiver.gateway.request import Request
from receiver.gateway.view import View

_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,253}[A-Za-z0-9])?")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_BLAKE2B: Final = re.compile(r"[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{60}")
_WHY: Final = "RECALLED-"
_METADATA: Final = ".metadata"
_SECOND: Final = "Another file of this name was published first"


def answer(request: Request, view: View) -> Answer:
    """One request. Raises TokenNeededError."""
    if request.method not in ("GET", "HEAD"):
        return text_answer("this index is read-only\n", 405, headers={"Allow": "GET, HEAD"})
    match request.segments:
        case ("simple",):
            return list_page(request, view)
        case ("simple", name) if _NAME.fullmatch(name):
            normal = normal_form("pypi", name)
            if normal != name:
                return redirect(f"{request.prefix}/simple/{normal}/")
            return project_page(request, view, normal)
        case ("files", *folders, digest, filename) if _SHA256.fullmatch(digest) and _is_why(folders):
            return _file(view, filename, sha256=digest)
        case ("packages", *folders, a, b, rest, filename) if _BLAKE2B.fullmatch(f"{a}/{b}/{rest}") and _is_why(folders):
            return _file(view, filename, blake2b=a + b + rest)
    return _not_found()


def _is_why(folders: list[str]) -> bool:
    return not folders or (len(folders) == 1 and folders[0].startswith(_WHY))


def _not_found(reason: str = "") -> Answer:
    return text_answer(f"{reason or 'not found'}\n", 404, reason=reason)


def _file(view: View, asked: str, sha256: str = "", blake2b: str = "") -> Answer:
    """A file, or its metadata, whose name and digest must agree."""
    filename = asked.removesuffix(_METADATA)
    normal = _project_of(filename)
    if normal is None:
        return _not_found()
    gathered = gather(view, "pypi", normal, filename_of)
    package = gathered.packages.get(filename)
    if package is None or not _is_meant(view, package, sha256, blake2b):
        return _not_found(_SECOND if (filename, sha256) in gathered.second else "")
    holder, recalled = package.served, package.recalled
    if recalled is not None:
        why = why_recalled(recalled)
        return text_answer(f"{why}\n", 410, reason=why, of=recalled)
    if holder is None:
        return _not_found()
    return _metadata(view, holder) if asked.endswith(_METADATA) else _content(view, holder)


def _project_of(filename: str) -> str | None:
    """The normal name of the project that a file's name names."""
    try:
        if filename.endswith(".whl"):
            return normal_form("pypi", parse_wheel_filename(filename)[0])
        return normal_form("pypi", parse_sdist_filename(filename)[0])
    except (InvalidWheelFilename, InvalidSdistFilename):
        return None


def _is_meant(view: View, package: Package, sha256: str, blake2b: str) -> bool:
    """Whether the address has the file's digest."""
    if sha256:
        return bool(package.fact["sha256"] == sha256)
    file = card_file(view, package.served or package.holders[0])
    return file is not None and file.blake2b == blake2b


def _content(view: View, holder: Holder) -> Answer:
    file = card_file(view, holder)
    return _not_found() if file is None else file_answer(holder.bundle, file)


def _metadata(view: View, holder: Holder) -> Answer:
    digest = str(holder.fact["metadata"])
    text = view.card(holder.bundle).fact("pypi.metadata", digest) if digest else None
    return _not_found() if text is None else Answer(200, text, BYTES, etag=digest)
