"""The command and environment by which other programs are started: in ``/``, with code from listed folders only.

A program gets nothing of the caller's working directory, ``PATH``, ``PYTHON*`` and ``LD_*`` variables. Our own programs
import code only from folders that are named one by one and that nobody but their owner can write. Code that any other
Python would run at its start (``.pth`` files, ``sitecustomize``, ``usercustomize``) is not run.
"""

import json
import os
import site
import stat
import sys
from collections.abc import Sequence
from functools import cache
from typing import Final

from diode.errors import UsageError
from diode.log import log

ENVIRONMENT: Final = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
}
PACKAGES: Final = ("diode", "sender", "receiver")
_SITES: Final = ("site-packages", "dist-packages")
# -I: neither the working directory, nor PYTHON*, nor ~/.local; -S: no .pth file and no sitecustomize is run
_ISOLATED: Final = ("-I", "-S")
_BEGIN: Final = (
    "import importlib, json, os, sys; del sys.argv[0]; sys.path += json.loads(sys.argv.pop(0)); "
    "os.environ['PYDANTIC_DISABLE_PLUGINS'] = '__all__'; "  # else it asks every installed package for some
    "importlib.import_module(sys.argv[0]).main()"
)


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs ``main`` of one of our modules, from the same code as this process.

    Start it in ``/`` and with :func:`environment`. Raises UsageError when others can write a folder that code comes
    from.
    """
    return [sys.executable, *_ISOLATED, "-c", _BEGIN, json.dumps(code_path()), module, *arguments]


def module_of(command: Sequence[str]) -> str:
    """The module that a command line of :func:`python` runs; "" for any other command line."""
    return command[command.index(_BEGIN) + 2] if _BEGIN in command[:-2] else ""


def environment(*kept: str, **added: str) -> dict[str, str]:
    """The complete environment for our programs. ``kept`` names additional variables of ours that a program needs."""
    return ENVIRONMENT | {name: os.environ[name] for name in kept if name in os.environ} | added


@cache
def code_path() -> list[str]:
    """The folders that our programs import from, beside Python's own library: our packages, and ``site-packages``.

    Raises UsageError when others can write such a folder. A folder that this process imported nothing from is left out.
    """
    for folder in (os.path.dirname(os.path.abspath(os.__file__)), *our_folders()):
        _refuse_writable(folder)
    sites = []
    for folder in _sites():
        if not os.path.isdir(folder):
            continue
        if _is_used(folder):
            _refuse_writable(folder)
        elif other := written_by_others(folder):
            _say_left_out(folder, other)
            continue
        sites.append(folder)
    return list(dict.fromkeys([_root(), *sites]))


def readable_folders() -> list[str]:
    """The folders with code, for a process that may import and read nothing else.

    Folders that only lead to code are left out. If our packages lie in ``site-packages``, all of it is included. A
    folder of sources may hold keys as well, so only the packages in it are.
    """
    others = (path for path in sys.path if os.path.isabs(path) and path != _root())
    return [path for path in dict.fromkeys([*others, *our_folders()]) if os.path.isdir(path) and path != "/"]


def our_folders() -> list[str]:
    """The folders of our packages."""
    root = _root()
    if os.path.basename(root) in _SITES:
        return [root]
    return [path for path in (os.path.join(root, name) for name in PACKAGES) if os.path.isdir(path)]


def written_by_others(folder: str) -> str:
    """The first folder, this one or one above, into which others than its owner can put files; "" when there is none.

    A group counts as others, unless it is root's, ours, or the owner's own group, which has the owner's number. In a
    folder above, a sticky bit keeps others from moving what is not theirs.
    """
    path = os.path.realpath(folder)
    while True:
        status = os.stat(path)
        own_groups = (0, os.getegid(), status.st_uid)
        is_open = status.st_mode & stat.S_IWOTH or (status.st_mode & stat.S_IWGRP and status.st_gid not in own_groups)
        if is_open and not (status.st_mode & stat.S_ISVTX and path != os.path.realpath(folder)):
            return path
        if path == "/":
            return ""
        path = os.path.dirname(path)


def _refuse_writable(folder: str) -> None:
    if other := written_by_others(folder):
        raise UsageError(f"{other} can be written by others, and code is run from {folder}; type: chmod go-w {other}")


def _say_left_out(folder: str, other: str) -> None:
    do = f"chmod go-w {other}"
    log.warning("code_folder_left_out", folder=folder, written_by_others=other, do=do)


def _root() -> str:
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def _sites() -> list[str]:
    """Where libraries may lie, in this order: as Python itself has it, or as whoever started us with ``-S`` said."""
    given = sys.path if sys.flags.no_site else site.getsitepackages()
    return [path for path in dict.fromkeys(given) if os.path.isabs(path) and os.path.basename(path) in _SITES]


def _is_used(folder: str) -> bool:
    """Whether this process loaded a module from that folder."""
    files = (getattr(module, "__file__", None) or "" for module in list(sys.modules.values()))
    return any(file.startswith(folder + os.sep) for file in files)
