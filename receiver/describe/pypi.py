"""What a bundle holds for PyPI: wheels and source archives of Python projects, wherever they lie in its data.

A file is served only if its own metadata names the project and the version that its file name names. Facts:

- ``pypi``, by a project's normal name: the list of its files, as ``gateway.pypi`` reads them
- ``pypi.metadata``, by SHA-256: the METADATA of a wheel, which clients ask for before the wheel itself
"""

import json
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from diode.content.allowance import Allowance
from diode.formats.escape import escape
from diode.layouts.names import normal_form
from diode.layouts.python_package import ENDINGS, headers_of, metadata_of, named_by
from receiver.catalogue.card import CardFile, Claim, Fact
from receiver.describe.protocols import Described, Made
from receiver.describe.upstream import allowance_for, uploaded

MAX_KEPT_BYTES: Final = 48 << 20  # of all METADATA of a bundle; what is beyond is read by clients from the wheels
_WITHOUT_PACKAGING: Final = "Python packages cannot be looked into: install diode[gateway] here, too"


@dataclass(slots=True)
class _Kept:
    """The METADATA that were kept so far, by SHA-256; many wheels share one."""

    texts: dict[str, bytes] = field(default_factory=dict)
    size: int = 0

    def maybe_keep(self, text: bytes) -> str:
        """Its SHA-256; empty: there is no room for it."""
        digest = sha256(text).hexdigest()
        if digest not in self.texts:
            if self.size + len(text) > MAX_KEPT_BYTES:
                return ""
            self.texts[digest] = text
            self.size += len(text)
        return digest


def describe(one: Described) -> Made:
    """Look at one bundle."""
    made, kept = Made(), _Kept()
    files = [file for file in one.files.table() if file.path.endswith(ENDINGS)]
    allowance = allowance_for(files)
    projects: dict[str, dict[str, dict[str, Any]]] = {}
    for file in files:
        try:
            described = _describe(one, file, kept, allowance)
        except ImportError:
            made.problems.append(_WITHOUT_PACKAGING)
            return made
        except (ValueError, OSError) as error:
            made.problems.append(f"{escape(file.path)} is not served to pip: {escape(str(error))[:300]}")
            continue
        if described is not None:
            _add(made, projects, *described)
    for normal, found in projects.items():
        made.facts.append(Fact("pypi", normal, json.dumps(list(found.values())).encode()))
    made.facts += [Fact("pypi.metadata", digest, text) for digest, text in kept.texts.items()]
    return made


def _add(made: Made, projects: dict[str, dict[str, dict[str, Any]]], spelling: str, fact: dict[str, Any]) -> None:
    """Note a file under its project. Of two of one name with different bytes, the first by path is served."""
    normal = normal_form("pypi", spelling)
    found = projects.setdefault(normal, {})
    if not found:
        made.claims.append(Claim("pypi", normal, spelling))
    first = found.setdefault(fact["filename"], fact)
    if first is fact:
        made.blake2b.add(fact["path"])
    elif first["sha256"] != fact["sha256"]:
        made.problems.append(
            f"{escape(fact['path'])} is not served to pip: {escape(first['path'])} has its name and other bytes"
        )


def _describe(one: Described, file: CardFile, kept: _Kept, allowance: Allowance) -> tuple[str, dict[str, Any]] | None:
    """(the project as its metadata spell it, what is noted of the file); None: it is no package.

    Raises ValueError, OSError, and ImportError where ``packaging`` is not installed.
    """
    filename = file.path.rpartition("/")[2]
    named = named_by(filename)
    if named is None:
        return None
    text = metadata_of(one.files, file, allowance)
    said = headers_of(text)
    spelling, version = said["name"], said["version"]
    if normal_form("pypi", spelling) != named[0]:
        raise ValueError(f"its metadata name {spelling}, not {named[0]}")
    if not _same_version(version, named[1]):
        raise ValueError(f"its metadata say version {version}, not {named[1]}")
    is_wheel = filename.endswith(".whl")
    return spelling, {
        "path": file.path,
        "filename": filename,
        "version": named[1],
        "requires_python": said["requires-python"],
        "sha256": file.sha256,
        "size": file.size,
        "uploaded": uploaded(one, file, is_named=one.source is not None and _is_of(one.source.name, named[0])),
        "metadata": kept.maybe_keep(text) if is_wheel else "",
    }


def _is_of(source_name: str, normal: str) -> bool:
    return normal_form("pypi", source_name) == normal


def _same_version(said: str, named: str) -> bool:
    from packaging.version import InvalidVersion, Version

    try:
        return Version(said) == Version(named)
    except InvalidVersion:
        return False
