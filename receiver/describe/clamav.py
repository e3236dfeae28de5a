"""ClamAV's databases among a bundle's files: ``.cvd`` and ``.cld``, by the header of 512 bytes that they begin with."""

import re
from collections.abc import Iterable
from typing import Final

from diode.formats.escape import escape
from receiver.catalogue.tree_facts import MOST, ClamDatabase
from receiver.describe.protocols import Described, Made

HEADER_BYTES: Final = 512
_DATABASE: Final = re.compile(r"((?:.*/)?)([^/]+)\.(?:cvd|cld)")
_HEADER: Final = re.compile(rb"ClamAV-VDB:[^:]{1,64}:([0-9]{1,9}):.*", re.DOTALL)


def databases(one: Described, paths: Iterable[str], made: Made) -> list[ClamDatabase]:
    """The databases among ``paths``. Without the signature file of ClamAV 1.5 it is a problem of ``made``."""
    found: list[ClamDatabase] = []
    for path in paths:
        if not (match := _DATABASE.fullmatch(path)):
            continue
        if len(found) == MOST:
            made.problems.append(f"more than {MOST} databases of ClamAV: the rest is served as plain files")
            break
        version = _version(one, path, made)
        if version is None:
            continue
        sign = f"{match[1]}{match[2]}-{version}.cvd.sign"
        has_sign = one.files.get(sign) is not None
        found.append(ClamDatabase(path=path, version=version, has_sign=has_sign))
        if not has_sign:
            made.problems.append(f"{escape(sign)} is not there: freshclam 1.5 and newer want it beside the database")
    return found


def _version(one: Described, path: str, made: Made) -> int | None:
    try:
        with one.files.open(path) as file:
            match = _HEADER.fullmatch(file.read(HEADER_BYTES))
    except OSError as error:
        made.problems.append(f"{escape(path)} cannot be read: {escape(str(error))}")
        return None
    if match is None:
        made.problems.append(f"{escape(path)} is no database of ClamAV: it does not begin as one")
        return None
    return int(match[1])
