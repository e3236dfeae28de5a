"""From a folder that a person named to the files of a bundle, with the ``source.json`` that says where they come from.

The folder's own files stay where they are. A ``source.json`` that is made here lies in a folder of ours until the
bundle is packed.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from diode.errors import LayoutError, SourceError
from diode.layouts.source import MAX_SOURCE_BYTES, SOURCE_FILE, Source, date_of, read_source, write_source
from diode.storage.folder import Folder
from sender.outbox.folder import split_name
from sender.outbox.hashing import Content
from sender.outbox.links import Links
from sender.outbox.scan import Root, collect
from sender.outbox.scan import Source as FileSource
from sender.staging.found import Found
from sender.staging.hub import snapshot_in
from sender.staging.kinds import recognise
from sender.staging.recognised import Recognised, disagreements, source_of
from sender.staging.unfinished import check_finished
from sender.staging.words import From

MOST_SHOWN: Final = 5  # disagreements


@dataclass(frozen=True, slots=True)
class Staged:
    """The files of a bundle and their source. ``made``: the text of the ``source.json``; None: it lay there already.

    ``name`` and ``version`` are what a person gave, else what the layout tells, else what the folder is called.
    """

    name: str
    version: str | None
    sources: tuple[FileSource, ...]
    source: Source
    made: bytes | None
    read_as: Mapping[str, str]

    @property
    def ours(self) -> frozenset[str]:
        """The paths of files that were made here."""
        return frozenset() if self.made is None else frozenset({SOURCE_FILE})

    def check(self, content: Content) -> None:
        """Hold what hashing found against what was read, and against upstream's digests. Raises SourceError."""
        for entry, source in zip(content.entries, self.sources, strict=True):
            if self.read_as.get(entry.path, entry.sha256) != entry.sha256:
                raise SourceError(f"{source.origin!r} changed after it was read")
            said = self.source.files.get(entry.path)
            if said is not None and said.sha256 not in (None, entry.sha256):
                raise SourceError(f"{source.origin!r} is not what upstream has: that has the SHA-256 {said.sha256}")


def stage(
    kind: From, path: Path, name: str | None, version: str | None, *, links: Links, ours: Path, now: str
) -> Staged:
    """Recognise the folder ``path``. ``ours``: a folder of ours, where its ``source.json`` is written.

    ``now``: a moment; no upload is later. Raises LayoutError, SourceError, LimitError.
    """
    place = path.absolute()
    if not place.is_dir():
        raise LayoutError(f"{path} is no folder")
    try:
        place = snapshot_in(place) if kind is From.HF else place
        sources = collect([place], links)
        check_finished(sources)
        found = Found(place, sources)
        recognised = recognise(kind, found)
        if kind is From.IDENTITY and not name:
            raise LayoutError(f"{path} does not tell what it is called; give --name")
        return _staged(found, recognised, sources, (name, version), ours, now)
    except OSError as error:
        raise SourceError(f"{error.filename or path} cannot be read: {error.strerror}") from error


def _staged(
    found: Found,
    recognised: Recognised,
    sources: list[FileSource],
    given: tuple[str | None, str | None],
    ours: Path,
    now: str,
) -> Staged:
    of_folder = split_name(found.place.name) if not (given[0] or recognised.bundle) else ("", None)
    name = given[0] or recognised.bundle or of_folder[0]
    version = given[1] or recognised.version or of_folder[1]
    source = source_of(recognised, name)
    kept = [one for one in sources if not recognised.is_left_out(one.path)]
    made: bytes | None = None
    if found.get(SOURCE_FILE) is not None:
        source = _theirs(found, source)
    else:
        made = write_source(source)
        kept = sorted([*kept, _put(ours, made)], key=lambda one: one.sort_key)
    if (uploaded := date_of(source)) > now:
        raise LayoutError(f"{found.place}: upstream's date is {uploaded}, and that is not yet")
    _check_digests(found, source)
    return Staged(name, version, tuple(kept), source, made, found.read_as)


def _theirs(found: Found, ours: Source) -> Source:
    """The ``source.json`` that lay there, if it agrees with the layout. Raises LayoutError with both readings."""
    try:
        theirs = read_source(found.read(SOURCE_FILE, MAX_SOURCE_BYTES))
    except ValueError as error:
        raise LayoutError(f"{found.place}: {error}; mend or remove it") from None
    if differing := list(disagreements(theirs, ours)):
        shown = "; ".join(differing[:MOST_SHOWN])
        raise LayoutError(f"{found.place}/{SOURCE_FILE} disagrees with the folder: {shown}; mend or remove it")
    return theirs


def _check_digests(found: Found, source: Source) -> None:
    """Raise SourceError for a file that has another SHA-512 or SHA-1 than upstream says. SHA-256 is held later."""
    for path, said in source.files.items():
        if not (said.sha512 or said.sha1) or found.get(path) is None:
            continue
        digests = found.digests(path)
        if said.sha512 not in (None, digests.sha512) or said.sha1 not in (None, digests.sha1):
            raise SourceError(f"{found.origin(path)!r} is not what upstream has: it has another digest than is said")


def _put(ours: Path, made: bytes) -> FileSource:
    """The file of a ``source.json`` that was made here."""
    with Folder.open(ours, create=True) as folder:
        folder.put(SOURCE_FILE, made)
    (source,) = collect([Root.named(ours / SOURCE_FILE)], "refuse")
    return source


def discard(ours: Path) -> None:
    """Remove the ``source.json`` that :func:`stage` made, if there is one."""
    with suppress(FileNotFoundError), Folder.open(ours) as folder:
        folder.remove(SOURCE_FILE)
