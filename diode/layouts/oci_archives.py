"""Images that lie in a bundle as one archive, which is not served: says by which command they are unpacked.

Only the names of a tar's members are read, one block each: those that matter are short and stand in the block itself.
"""

from typing import BinaryIO, Final

from diode.formats.escape import escape
from diode.layouts.files import File, Files

BLOCK_BYTES: Final = 512
MOST_MEMBERS: Final = 10_000
MAX_DOCKER_MANIFEST_BYTES: Final = 1 << 20
_TELLING: Final = frozenset({"oci-layout", "index.json", "manifest.json"})


def archive_problem(files: Files, one: File) -> str | None:
    """What to do with a file that holds images; None where it holds none. Raises OSError."""
    with files.open(one.path) as stream:
        names = _telling_members(stream, one.size)
    path = escape(one.path)
    if {"oci-layout", "index.json"} <= names:
        return (
            f"{path} holds images in one archive, which is not served: "
            f"make a layout of it on the sending side: mkdir IMAGE && tar -xf {path} -C IMAGE"
        )
    if "manifest.json" in names and "index.json" not in names:
        return (
            f"{path} is a docker archive, which is not served: make a layout of it on the sending side: "
            f"skopeo copy docker-archive:{path} oci:IMAGE:REPOSITORY:TAG"
        )
    return None


def folder_problem(files: Files, one: File) -> str | None:
    """The same of a ``manifest.json`` without an ``index.json``: a docker archive that was unpacked. Raises OSError."""
    folder, _, _ = one.path.rpartition("/")
    if files.get(f"{folder}/index.json".lstrip("/")) is not None or one.size > MAX_DOCKER_MANIFEST_BYTES:
        return None
    with files.open(one.path) as stream:
        said = stream.read(MAX_DOCKER_MANIFEST_BYTES)
    if not (said.lstrip().startswith(b"[") and b'"Config"' in said and b'"Layers"' in said):
        return None
    where = escape(folder or ".")
    return (
        f"{where} holds a docker archive, which is not served: make a layout of it on the sending side: "
        f"tar -cf IMAGE.tar -C {where} . && skopeo copy docker-archive:IMAGE.tar oci:IMAGE:REPOSITORY:TAG"
    )


def _telling_members(stream: BinaryIO, size: int) -> set[str]:
    """Those names of a tar's members that tell what it is. Anything that is no tar has none."""
    found: set[str] = set()
    at = 0
    for _ in range(MOST_MEMBERS):
        if at + BLOCK_BYTES > size:
            break
        stream.seek(at)
        block = stream.read(BLOCK_BYTES)
        if block[257:262] != b"ustar":
            break
        name = block[:100].rstrip(b"\0").decode("latin-1").removeprefix("./")
        found |= {name} & _TELLING
        try:
            body = int(block[124:136].strip(b" \0") or b"0", 8)
        except ValueError:
            break
        if body < 0:
            break
        at += BLOCK_BYTES + -(-body // BLOCK_BYTES) * BLOCK_BYTES
    return found
