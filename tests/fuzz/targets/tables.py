"""The files table, once its digest is known to be right: its signer may have erred, or mean harm."""

import os
import re
from contextlib import suppress
from functools import cache

from diode.bundle.files import MAX_LINE_BYTES, FileEntry, parse_files
from diode.bundle.manifest import Manifest
from diode.bundle.tables import read_files
from diode.errors import ContentError
from diode.formats.digest import digest
from diode.formats.names import MAX_SEQUENCE
from diode.protocol.sizes import Kind, ObjectType
from tests.fuzz.targets.manifest import _signer
from tests.link import make_bundle


@cache
def _manifest() -> Manifest:
    return make_bundle({"a": b"content"}, signer=_signer()).manifest


def one_input(data: bytes) -> None:
    """Whatever is accepted stays inside its folder, and two paths of it never meet in any file system."""
    _second(data)
    lines = [line for line in data.splitlines(keepends=True) if len(line) <= MAX_LINE_BYTES]
    manifest = _manifest().model_copy(
        update={
            "files": _manifest().files.model_copy(update={"entries": len(lines)}),
            "stream_bytes": MAX_SEQUENCE * max(1, len(lines)),
        }
    )
    entries: list[FileEntry] = []
    try:
        entries.extend(parse_files(lines, manifest))
    except ContentError:
        _check(entries)
        return
    total = sum(entry.size for entry in entries)
    _check(entries)
    again = list(parse_files(lines, manifest.model_copy(update={"stream_bytes": total})))
    assert again == entries


def _second(data: bytes) -> None:
    """The same of version 2. The first byte says how many times there are behind the lines."""
    times, table = 8 * (data[0] if data else 0), data[1:]
    end = max(0, len(table) - times)
    lines = [line for line in table[:end].splitlines(keepends=True) if len(line) <= MAX_LINE_BYTES]
    said = {"entries": len(lines), "size": len(table)}
    manifest = _manifest().model_copy(
        update={
            "format": "diode-bundle-2",
            "files": _manifest().files.model_copy(update=said),
            "links": table.count(b'{"link":'),
            "times": times // 8,
            "content": digest(table[:end]).hex(),
            "stream_bytes": sum(map(int, re.findall(rb'"size":(\d{1,15})\}\n', table[:end]))),
        }
    )
    with suppress(ContentError):
        found = read_files(lines, table, manifest)
        kinds = {entry.path.rstrip("/"): entry for entry in found.index}
        for link in found.index.links:
            place = os.path.normpath(os.path.join(os.path.dirname(link.path), link.link or ""))
            assert not place.startswith(("..", "/"))
            assert place not in kinds or kinds[place].link is None


def _check(entries: list[FileEntry]) -> None:
    folded = [entry.path.removesuffix("/").casefold() for entry in entries]
    assert len(set(folded)) == len(folded)
    for entry in entries:
        parts = entry.path.removesuffix("/").split("/")
        assert not {"", ".", ".."} & set(parts)
        assert "\0" not in entry.path
        assert entry.size >= 0


def seeds() -> dict[str, bytes]:
    """A real table, and one line for each rule that it may break."""
    table = make_bundle({"a/b": b"x", "a/c": b"", "\u00fc": b"yz"}, signer=_signer()).parts[
        Kind.OBJECT, ObjectType.FILES
    ]
    line = table.splitlines(keepends=True)[0]
    return {
        "table": table,
        "directories": b'{"path":"a/"}\n{"path":"b/c/"}\n',
        "twice": line + line,
        "case": line + line.replace(b"a/b", b"A/B"),
        "parent": line.replace(b"a/b", b"../b"),
        "absolute": line.replace(b"a/b", b"/b"),
        "file_and_folder": line.replace(b"a/b", b"a") + line,
        "surrogate": line.replace(b"a/b", rb"\ud800"),
        "number": line.replace(b'"size":1', b'"size":1e9'),
        "true": line.replace(b'"size":1', b'"size":true'),
        "link": b'\0{"link":"c/../b","path":"a"}\n' + line.replace(b"a/b", b"b") + line.replace(b"a/b", b"c/d"),
        "links": b'\0{"link":"..","path":"a/l"}\n{"link":"a/l","path":"m"}\n',
        "times": b"\2" + line.replace(b"a/b", b"a") + bytes(15) + b"\1",
        "deep": b'{"path":' + b"[" * 2000 + b"\n",
        "not_utf8": b"\xff\n",
        "no_newline": line[:-1],
    }
