"""Wheels and source archives in one folder, as ``pip download`` writes them.

Their names say project and version. What an index says of them is read from JSON of its simple interface (PEP 691,
PEP 700), which somebody saved beside them: upload dates, digests, addresses. That JSON is not packed.
"""

from collections.abc import Iterator
from typing import Any, Final

from diode.layouts.python_package import ENDINGS, named_by
from diode.layouts.source import SourceFile
from sender.staging.documents import MAX_DOCUMENT_BYTES, date_of, hex_at, listed, object_of, part, text
from sender.staging.found import Found
from sender.staging.recognised import Recognised

MOST_DOCUMENTS: Final = 200


def is_here(found: Found) -> bool:
    """Whether a Python package lies at the top."""
    return any(True for _ in _packages(found))


def recognise(found: Found) -> Recognised:
    """A folder of packages. One project gives its name, one version of it the version. Raises ValueError, OSError."""
    packages = dict(_packages(found))
    names, versions = ({one[i] for one in packages.values()} for i in (0, 1))
    name = names.pop() if len(names) == 1 else ""
    version = versions.pop() if name and len(versions) == 1 else ""
    documents = dict(_documents(found))
    files = {
        path: _said(one)
        for document in documents.values()
        for one in listed(document, "files")
        if (path := text(one, "filename")) in packages
    }
    return Recognised("pypi", name, version, version, files=files, left_out=tuple(documents))


def _packages(found: Found) -> Iterator[tuple[str, tuple[str, str]]]:
    """(path, (project, version)) of each package."""
    for path in found.paths:
        if path.endswith(ENDINGS) and "/" not in path and (named := named_by(path)):
            yield path, named


def _documents(found: Found) -> Iterator[tuple[str, Any]]:
    """The simple interface's answers among the files."""
    paths = [path for path in found.paths if path.endswith(".json") and "/" not in path]
    for path in paths[:MOST_DOCUMENTS]:
        document = object_of(found.read(path, MAX_DOCUMENT_BYTES))
        if text(part(document, "meta"), "api-version"):
            yield path, document


def _said(one: Any) -> SourceFile:
    hashes = part(one, "hashes")
    return SourceFile(
        uploaded=date_of(text(one, "upload-time")),
        sha256=hex_at(hashes, "sha256", 64),
        sha512=hex_at(hashes, "sha512", 128),
        url=text(one, "url", 2048) or None,
    )
