"""What a wheel or a source archive says of itself: by its file's name, and in its metadata."""

import re
from collections.abc import Iterator
from email.parser import BytesParser
from email.policy import compat32
from typing import BinaryIO, Final

from diode.content.allowance import Allowance
from diode.content.archives.picked import Picked, pick_from_tar_gz, pick_from_zip
from diode.layouts.files import File, Files
from diode.layouts.names import normal_form

MAX_METADATA_BYTES: Final = 4 << 20  # of one file
ENDINGS: Final = (".whl", ".tar.gz", ".zip")
_FILE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,254}")  # no character that a page or an address escapes
_METADATA: Final = re.compile(r"[^/]+\.dist-info/METADATA")
_DIST_INFO: Final = re.compile(r"[^/]+\.dist-info/.+")
_PKG_INFO: Final = re.compile(r"[^/]+/PKG-INFO")


def named_by(filename: str) -> tuple[str, str] | None:
    """(normal name, version) by a file's name; None: no package has such a name. Raises ValueError."""
    from packaging import utils

    try:
        if filename.endswith(".whl"):
            name, version, _, _ = utils.parse_wheel_filename(filename)
        else:
            name, version = utils.parse_sdist_filename(filename)
    except utils.InvalidSdistFilename:
        return None  # some other archive
    except utils.InvalidWheelFilename as error:
        raise ValueError(str(error)) from None
    if not _FILE_NAME.fullmatch(filename):
        raise ValueError("its name holds other characters than names of packages do")
    return normal_form("pypi", name), str(version)


def metadata_of(files: Files, file: File, allowance: Allowance) -> bytes:
    """The METADATA of a wheel, or PKG-INFO of a source archive. Raises ValueError, OSError."""
    with files.open(file.path) as content:
        if file.path.endswith(".whl"):
            found = _of_wheel(content, file.size, allowance)
        else:
            pick = pick_from_zip if file.path.endswith(".zip") else pick_from_tar_gz
            found = pick(content, file.size, _is_pkg_info, MAX_METADATA_BYTES, allowance)
    texts = set(found)
    if len(texts) != 1:
        raise ValueError("it has no metadata" if not texts else "it has two metadata")
    return texts.pop().data


def _of_wheel(content: BinaryIO, size: int, allowance: Allowance) -> list[Picked]:
    """METADATA of a wheel. If it has two folders of metadata, clients might read the other one."""
    folders: set[str] = set()

    def is_wanted(name: str) -> bool:
        if _DIST_INFO.fullmatch(name):
            folders.add(name.partition("/")[0])
        return _METADATA.fullmatch(name) is not None

    found = pick_from_zip(content, size, is_wanted, MAX_METADATA_BYTES, allowance)
    if len(folders) > 1:
        raise ValueError(f"it has {len(folders)} folders that end in .dist-info, not one")
    return found


def _is_pkg_info(name: str) -> bool:
    return _PKG_INFO.fullmatch(name) is not None


def headers_of(text: bytes) -> dict[str, str]:
    """Name, version and Requires-Python of core metadata. Raises ValueError where one is there twice, or missing."""
    parsed = BytesParser(policy=compat32).parsebytes(_head(text), headersonly=True)
    said = {}
    for name in ("name", "version", "requires-python"):
        values = list(map(str, parsed.get_all(name, [])))
        if len(values) > 1 or (not values and name != "requires-python"):
            raise ValueError(f"its metadata say {name} {len(values)} times")
        said[name] = " ".join("".join(values).split())
    if not all(value.isprintable() and len(value) <= 255 for value in said.values()):
        raise ValueError("its metadata hold what is no name and no version")
    return said


def _head(text: bytes) -> bytes:
    """Everything before the description."""
    return b"\n".join(_until_empty(text.splitlines()))


def _until_empty(lines: list[bytes]) -> Iterator[bytes]:
    for line in lines:
        if not line:
            return
        yield line
