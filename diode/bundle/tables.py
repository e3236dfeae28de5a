"""Reads the object of the files table as a whole: its lines, the links among them, and the table of times."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from diode.bundle.files import parse_files
from diode.bundle.links import check_links
from diode.bundle.manifest import Manifest
from diode.bundle.stream import FileIndex
from diode.bundle.times import read_times


@dataclass(frozen=True, slots=True)
class Tables:
    """What the tables of a bundle say of its files. ``times``: those of :mod:`diode.bundle.times`; may be empty."""

    index: FileIndex
    times: Sequence[int]


def read_files(lines: Iterable[bytes], files: "memoryview | bytes", manifest: Manifest) -> Tables:
    """Read the object ``files``, whose BLAKE3 is the manifest's; ``lines`` are its lines, each of bounded length.

    ``files`` is kept by reference. Raises ManifestError or PathError for an object that breaks a rule of
    docs/bundle-format.md.
    """
    view, end = memoryview(files), manifest.lines_bytes
    has_links = manifest.links > 0
    index = FileIndex(view[:end], parse_files(lines, manifest), manifest.files.entries, finds_folders=has_links)
    check_links(index, index.links)
    index.forget_folders()
    times = read_times(bytes(view[end:]), manifest, index.folders) if manifest.times else ()
    return Tables(index, times)
