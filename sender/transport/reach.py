"""Decides which files and folders the worker ``encode`` may read.

These are the packed bundles, the outbox, the folder ``sent``, and the files of bundles that were packed from elsewhere:
``diode-sender send`` and ``pack`` take files from anywhere. Both pack before the workers start, and no other process
can pack while a daemon runs. So all such files are known when ``encode`` starts.
"""

import json
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Final

from diode.config.sender import SenderConfig
from diode.log import log
from sender.pack.packed import FILES_FILE, SOURCES_FILE

MAX_PLACES: Final = 1024  # of one bundle; if it has more, the folders that hold them are taken instead


def encode_reads(config: SenderConfig) -> list[str]:
    """The files and folders that ``encode`` may read. A folder that holds one of our private keys is left out.

    The paths have no link in them. ``encode`` opens them without following any, so nobody can put a link in the way.
    """
    packed = config.state / "bundles"
    packed.mkdir(parents=True, exist_ok=True)
    outbox, sent = config.outbox.path, config.outbox.sent
    # where ``sent`` lies in the outbox, others may put a link at its name
    usual = [outbox.resolve()] if sent.is_relative_to(outbox) else [outbox.resolve(), sent.resolve()]
    known = tuple(f"{folder}/" for folder in usual)
    places = [str(packed.resolve()), *map(str, usual)]
    for folder in sorted(packed.glob("????????????????")):
        places += _places_of(folder, known)
    keys = [key.resolve() for key in (config.link.key, config.link.previous, config.send.key, config.service_key)]
    return [place for place in dict.fromkeys(places) if _may_be_read(Path(place), keys)]


def _places_of(folder: Path, known: tuple[str, ...]) -> list[str]:
    """The files of a packed bundle, if any lie outside of the ``known`` folders. A damaged bundle has none."""
    try:
        origins: list[str] = json.loads((folder / SOURCES_FILE).read_text())
        if all(origin.startswith(known) for origin in origins):
            return []
        with (folder / FILES_FILE).open("rb") as table:
            lines = (json.loads(line) for line in islice(table, len(origins)))
            listed = zip(lines, origins, strict=False)
            return places((str(line["path"]), origin) for line, origin in listed if "link" not in line)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        log.warning("packed_bundle_damaged", folder=str(folder), consequence="its files cannot be read")
        return []


def places(files: Iterable[tuple[str, str]]) -> list[str]:
    """Few files and folders that together hold all of ``files``: pairs of a path in the bundle and its origin on disk.

    The first part of a path in the bundle names what a person gave to be sent, or what lies directly in it. The file or
    folder of that name is a place. A file that was renamed, or that a link led to, is a place of its own.
    """
    found = dict.fromkeys(_place(*file) for file in files)
    if len(found) <= MAX_PLACES:
        return list(found)
    return list(dict.fromkeys(str(Path(place).parent) for place in found))


def _place(path: str, origin: str) -> str:
    path = path.rstrip("/")
    first = path.partition("/")[0]
    above = origin.removesuffix(f"/{path}")
    return origin if above == origin else f"{above}/{first}"


def _may_be_read(place: Path, keys: Iterable[Path]) -> bool:
    if not place.exists():
        return False
    real = place.resolve()
    if held := next((key for key in keys if key.is_relative_to(real)), None):
        consequence = "nothing of it is sent: a private key lies in it"
        log.error("place_not_readable", place=str(place), key=str(held), consequence=consequence)
        return False
    return True
