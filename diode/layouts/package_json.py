"""Reads the ``package.json`` of an npm package: who it is, and what clients must know of it before they fetch it.

Its text is other people's. So numbers may have fractions and names may be in any order, but a key must not be there
twice, since readers would take one or the other.
"""

import json
import re
from typing import Any, Final

from diode.content.allowance import Allowance
from diode.content.archives.picked import pick_from_tar_gz
from diode.formats.strict_json import without_doubles
from diode.layouts.files import File, Files

MAX_BYTES: Final = 2 << 20
_PACKAGE_JSON: Final = re.compile(r"[^/]+/package\.json")
_AT_TOP: Final = re.compile(r"[^/]+/([^/]+)")
_NAME: Final = re.compile(r"(@[A-Za-z0-9~-][A-Za-z0-9._~-]*/)?[A-Za-z0-9~-][A-Za-z0-9._~-]*", re.ASCII)
_NUMBER: Final = r"(0|[1-9][0-9]{0,14})"
_WORD: Final = r"(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
VERSION: Final = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-(?P<pre>{_WORD}(\.{_WORD})*))?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?", re.ASCII
)
# texts by name
_OF_TEXTS: Final = ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies", "engines")
_LISTS: Final = ("os", "cpu", "libc")
_TEXTS: Final = ("description", "license", "main", "type", "homepage")
_INSTALLS: Final = ("preinstall", "install", "postinstall")


def package_of(files: Files, file: File, allowance: Allowance) -> dict[str, Any]:
    """What the package.json of a ``.tgz`` says, as :func:`read_package` has it. Raises ValueError, OSError."""
    others: set[str] = set()

    def is_wanted(name: str) -> bool:
        if at_top := _AT_TOP.fullmatch(name):
            others.add(at_top[1])
        return _PACKAGE_JSON.fullmatch(name) is not None

    with files.open(file.path) as content:
        picked = pick_from_tar_gz(content, file.size, is_wanted, MAX_BYTES, allowance)
    texts = {each.data for each in picked}
    if len(texts) != 1:
        raise ValueError("it has no package.json" if not texts else "it has two package.json")
    return read_package(texts.pop(), others)


def read_package(text: bytes, others: set[str]) -> dict[str, Any]:
    """What a version says of itself in a list of versions. ``others``: names of files beside ``package.json``.

    Raises ValueError.
    """
    read = _parsed(text)
    name, version = read.get("name"), read.get("version")
    if not isinstance(name, str) or len(name) > 214 or not _NAME.fullmatch(name):
        raise ValueError(f"package.json names no package: {str(name)[:100]}")
    if not isinstance(version, str) or len(version) > 256 or not VERSION.fullmatch(version):
        raise ValueError(f"package.json says a version that is none: {str(version)[:100]}")
    kept: dict[str, Any] = {"name": name, "version": version}
    kept |= {key: read[key] for key in _TEXTS if isinstance(read.get(key), str)}
    kept |= {key: _texts(read[key]) for key in _OF_TEXTS if isinstance(read.get(key), dict)}
    kept |= {key: found for key in _LISTS if (found := _list(read.get(key)))}
    kept |= _peers(read) | _bundled(read) | _bin(read, name)
    if _has_install_script(read, others):
        kept["hasInstallScript"] = True
    if "npm-shrinkwrap.json" in others:
        kept["_hasShrinkwrap"] = True
    return kept


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        read = json.loads(
            text.decode("utf-8-sig"), object_pairs_hook=without_doubles, parse_constant=_refused, parse_int=_integer
        )
        json.dumps(read, ensure_ascii=False).encode()  # half of a surrogate pair is no character
    except UnicodeError:
        raise ValueError("package.json is not UTF-8") from None
    except RecursionError:
        raise ValueError("package.json is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"package.json cannot be read: {str(error)[:100]}") from None
    if not isinstance(read, dict):
        raise ValueError("package.json holds no object")
    return read


def _integer(digits: str) -> float:
    return int(digits) if len(digits) < 20 else float(digits)


def _refused(word: str) -> Any:
    raise ValueError(f"{word} is no number")


def _texts(value: dict[str, Any]) -> dict[str, str]:
    return {key: text for key, text in value.items() if isinstance(text, str)}


def _list(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _peers(read: dict[str, Any]) -> dict[str, Any]:
    """Which peers may be missing."""
    meta = read.get("peerDependenciesMeta")
    if not isinstance(meta, dict):
        return {}
    optional = {key: {"optional": True} for key, one in meta.items() if isinstance(one, dict) and one.get("optional")}
    return {"peerDependenciesMeta": optional}


def _bundled(read: dict[str, Any]) -> dict[str, Any]:
    """What lies in the package itself, by either spelling of the key."""
    bundled = read.get("bundleDependencies", read.get("bundledDependencies"))
    if bundled is True:
        return {"bundleDependencies": list(_texts(read.get("dependencies") or {}))}
    return {"bundleDependencies": _list(bundled)} if isinstance(bundled, list) else {}


def _bin(read: dict[str, Any], name: str) -> dict[str, Any]:
    """Its commands, always by name: one that is written as a path alone is called as the package."""
    said = read.get("bin")
    if isinstance(said, str) and said:
        return {"bin": {name.rpartition("/")[2]: said}}
    return {"bin": _texts(said)} if isinstance(said, dict) and said else {}


def _has_install_script(read: dict[str, Any], others: set[str]) -> bool:
    """Whether installing it runs something. ``binding.gyp`` alone makes npm build the package."""
    scripts = read.get("scripts")
    return "binding.gyp" in others or (isinstance(scripts, dict) and any(scripts.get(key) for key in _INSTALLS))
