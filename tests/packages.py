"""Python and npm packages for tests, written byte by byte; and requests to a protocol without a server."""

import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping

from diode.layouts.kinds import Kind
from receiver.catalogue.snapshot import Snapshot
from receiver.gateway.answers import Answer
from receiver.gateway.protocols import PREFIXES, PROTOCOLS
from receiver.gateway.request import Request, query_of, segments_of
from receiver.gateway.view import View
from tests.serving import Serving

BASE = "http://gateway.example:8080"


def wheel(
    name: str,
    version: str,
    needs: tuple[str, ...] = (),
    python: str = ">=3.8",
    says: tuple[str, str] | None = None,
    content: str = "",
    extra: Mapping[str, bytes] | None = None,
    tag: str = "py3-none-any",
) -> dict[str, bytes]:
    """A wheel, by its file name. ``says``: name and version in its metadata, where these differ."""
    module = name.replace("-", "_")
    said = says or (name, version)
    requires = "".join(f"Requires-Dist: {one}\n" for one in needs)
    metadata = (
        f"Metadata-Version: 2.1\nName: {said[0]}\nVersion: {said[1]}\nRequires-Python: {python}\n{requires}\nLong.\n"
    )
    info = f"{module}-{version}.dist-info"
    files = {
        f"{module}/__init__.py": (content or f"V = {version!r}\n").encode(),
        f"{info}/METADATA": metadata.encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
        **(extra or {}),
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"]).encode()
    return {f"{module}-{version}-{tag}.whl": zipped(files)}


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A zip archive; the same files always give the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            info = zipfile.ZipInfo(path, (2026, 1, 1, 0, 0, 0))
            info.external_attr = 0o100644 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return out.getvalue()


def tar_gz(files: Mapping[str, bytes], mode: int = 0o644) -> bytes:
    """A gzipped tar archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for path, content in files.items():
            info = tarfile.TarInfo(path)
            info.size, info.mode = len(content), mode
            archive.addfile(info, io.BytesIO(content))
    packed = bytearray(out.getvalue())
    packed[4:8] = bytes(4)  # no date
    return bytes(packed)


def sdist(name: str, version: str, says: tuple[str, str] | None = None) -> dict[str, bytes]:
    """A source archive, by its file name."""
    folder, said = f"{name.replace('-', '_')}-{version}", says or (name, version)
    text = f"Metadata-Version: 2.1\nName: {said[0]}\nVersion: {said[1]}\n"
    return {f"{folder}.tar.gz": tar_gz({f"{folder}/PKG-INFO": text.encode(), f"{folder}/setup.py": b"\n"})}


def tgz(name: str, version: str, content: str = "", **fields: object) -> dict[str, bytes]:
    """An npm package, by the file name that ``npm pack`` would give it."""
    package = {"name": name, "version": version, "main": "i.js", **fields}
    text = content or f"#!/usr/bin/env node\nconsole.log({f'{name} {version}'!r})\n"
    files = {"package/package.json": json.dumps(package).encode(), "package/i.js": text.encode()}
    return {f"{name.lstrip('@').replace('/', '-')}-{version}.tgz": tar_gz(files, 0o755)}


def source(kind: str, name: str, **fields: object) -> dict[str, bytes]:
    """A ``source.json``."""
    return {"source.json": json.dumps({"format": "diode-source-1", "kind": kind, "name": name, **fields}).encode()}


def sha256(content: bytes) -> str:
    """In hex."""
    return hashlib.sha256(content).hexdigest()


def ask(
    serving: Serving,
    kind: Kind,
    path: str,
    headers: Mapping[str, str] | None = None,
    method: str = "GET",
    base: str = "",
    host: str = "",
    hosts: frozenset[str] = frozenset(),
    query: str = "",
) -> Answer:
    """Ask one protocol, by the newest snapshot. ``path``: below the prefix, or below the root of ``host``."""
    prefix = "" if host else PREFIXES[kind]
    channels = frozenset(name for name, kinds in serving.serve.items() if kind in kinds)
    request = Request(
        method,
        segments_of(path),
        query_of(query),
        headers or {},
        prefix=prefix,
        base=base or (f"https://{host}" if host else BASE + prefix),
        host=host,
        hosts=hosts,
    )
    with Snapshot(serving.folder / "index") as snapshot:
        return PROTOCOLS[kind](request, View(snapshot, kind, channels))


def text_of(answer: Answer) -> str:
    """An answer's own text."""
    assert isinstance(answer.body, bytes)
    return answer.body.decode()
