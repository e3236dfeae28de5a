"""Writes files of a bundle into a folder of ours, and compares folders with the signed table."""

import hashlib
import os
from collections.abc import Iterable

from diode.bundle.files import FileEntry
from diode.errors import FullError, IntegrityError
from diode.formats.escape import escape
from diode.storage.folder import Folder
from diode.storage.tree import walk
from receiver.ingest.item import CHUNK_BYTES, Item, sums_of


def check_room(store: Folder, item: Item, there: int) -> None:
    """Raise FullError when the store has less room than the item needs. ``there``: bytes of it that lie there."""
    status = os.fstatvfs(store.fd)
    free = status.f_bavail * status.f_frsize
    if item.size - there > free:
        raise FullError(
            f"{item.line.label} needs {item.size - there:,} bytes more, and {store.path} has {free:,}; "
            "nothing was published; make room, and type the same again"
        )


def write_file(folder: Folder, name: str, item: Item, entry: FileEntry) -> None:
    """Put a file of the bundle at ``name``, unless it is there already, whole. Not durable.

    It gets its name after its last byte was checked.
    """
    if folder.has(name) and hash_of(folder, name) == entry.sha256:
        return
    partial = f".{entry.sha256}.partial"
    folder.remove(partial)
    with os.fdopen(folder.create(partial, 0o755 if entry.executable else 0o644), "wb", buffering=0) as file:
        for chunk in item.chunks(entry):
            left = memoryview(chunk)
            while left:
                left = left[file.write(left) :]
    folder.remove(name)
    folder.move(partial, folder, name)


def hash_of(folder: Folder, name: str) -> str:
    """SHA-256 of a regular file; of anything else a word that is no digest."""
    try:
        file = folder.regular(name)
    except OSError:
        return "no file"
    hasher = hashlib.sha256()
    with file:
        while chunk := file.read(CHUNK_BYTES):
            hasher.update(chunk)
    return hasher.hexdigest()


def tree_of(folder: Folder) -> list[FileEntry]:
    """What lies below a folder, as a table has it, without BLAKE3: files by SHA-256, links, and empty folders.

    What is none of these has a word in the place of its digest. Raises IntegrityError for what changes.
    """
    problems: list[str] = []
    found = []
    for node in walk(folder, lambda path, text: problems.append(f"{path} {text}")):
        if node.is_folder:
            found += [FileEntry(f"{node.path}/")] if not node.names else []
            continue
        if node.is_link:
            found.append(FileEntry(node.path, link=node.parent.link(node.name)))
            continue
        digest = hash_of(node.parent, node.name)
        found.append(FileEntry(node.path, node.status.st_size, "", digest, bool(node.status.st_mode & 0o100)))
    if problems:
        raise IntegrityError(f"{folder.path}: {escape(problems[0])}")
    return sorted(found, key=lambda one: one.path.encode(errors="surrogateescape"))


def difference(item: Item, found: Iterable[FileEntry]) -> str:
    """The first difference between a folder and the signed table, in one line; empty: there is none."""
    wanted = {one.path: (one.size, one.sha256, one.executable, one.link) for one in item.entries}
    there = {one.path: (one.size, one.sha256, one.executable, one.link) for one in found}
    for path in sorted(wanted.keys() | there.keys()):
        if path not in there:
            return f"{escape(path)} is missing"
        if path not in wanted:
            return f"{escape(path)} was not signed"
        if there[path][3] != wanted[path][3]:
            return f"{escape(path)} is a link, or leads elsewhere than was signed"
        if there[path] != wanted[path]:
            return f"{escape(path)} has {there[path][1]}, signed was {wanted[path][1]}"
    return ""


def digest_of(found: Iterable[FileEntry]) -> str:
    """The digest of a folder, as :attr:`Item.sums` has it; where it holds links, one that tells these apart, too."""
    listed = list(found)
    files = {one.path: one.sha256 for one in listed if one.is_file}
    sums = sums_of({path.encode(errors="replace").decode(): digest for path, digest in files.items()})
    links = sorted((one.path, one.link) for one in listed if one.link is not None)
    return hashlib.sha256(repr((sums, links)).encode()).hexdigest() if links else sums
