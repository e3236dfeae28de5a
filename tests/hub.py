"""A hub on loopback, as far as ``huggingface_hub`` asks one: the library itself then lays out its cache.

Paths as the library asks for them: the revision, the tree of a commit, and each file by HEAD and GET.
"""

import hashlib
import json
import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

LARGE_BYTES: Final = 4096  # files of more are kept by their SHA-256, as the hub does with LFS
_REVISION: Final = re.compile(r"/api/(models|datasets|spaces)/([^/]+/[^/]+)/revision/(.+)")
_TREE: Final = re.compile(r"/api/(models|datasets|spaces)/([^/]+/[^/]+)/tree/([0-9a-f]{40})")
_FILE: Final = re.compile(r"/(?:(datasets|spaces)/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)")

Files = Mapping[str, bytes]
Commits = Mapping[str, Files]  # by commit, 40 hexadecimal digits


def etag_of(data: bytes) -> str:
    """The name of a file's blob: SHA-256 of a large file, git's SHA-1 of a small one."""
    if len(data) > LARGE_BYTES:
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


class _Hub(ThreadingHTTPServer):
    def __init__(self, repositories: Mapping[str, Commits]) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.repositories = repositories


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Hub

    def do_GET(self) -> None:
        """A file, or what a repository holds."""
        path = self.path.partition("?")[0].replace("%2F", "/")
        if match := _REVISION.fullmatch(path):
            commit, files = self._commit(f"{match[1]}/{match[2]}", match[3])
            self._say_json({"id": match[2], "sha": commit, "siblings": [{"rfilename": file} for file in files]})
        elif match := _TREE.fullmatch(path):
            _, files = self._commit(f"{match[1]}/{match[2]}", match[3])
            self._say_json([_listed(file, data) for file, data in files.items()])
        elif match := _FILE.fullmatch(path):
            commit, files = self._commit(f"{match[1] or 'models'}/{match[2]}", match[3])
            self._say_file(commit, files.get(match[4]))
        else:
            self._say(404, {}, b"")

    def do_HEAD(self) -> None:
        """The same without its body."""
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _commit(self, repository: str, revision: str) -> tuple[str, Files]:
        commits = self.server.repositories[repository]
        commit = revision if revision in commits else list(commits)[-1]
        return commit, commits[commit]

    def _say_json(self, value: Any) -> None:
        self._say(200, {"Content-Type": "application/json"}, json.dumps(value).encode())

    def _say_file(self, commit: str, data: bytes | None) -> None:
        headers = {"X-Repo-Commit": commit}
        if data is None:
            self._say(404, headers | {"X-Error-Code": "EntryNotFound"}, b"")
            return
        self._say(200, headers | {"ETag": f'"{etag_of(data)}"'}, data)

    def _say(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def hub(repositories: Mapping[str, Commits]) -> Iterator[str]:
    """Its address, for ``endpoint=``; ``repositories`` by ``models/org/name``, the newest commit last."""
    with _Hub(repositories) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            serving.join()


def _listed(path: str, data: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(data), "oid": etag_of(data)[:40]}
    if len(data) > LARGE_BYTES:
        entry["lfs"] = {"oid": etag_of(data), "size": len(data), "pointerSize": 130}
    return entry


def lay_out(cache: Path, repository: str, commits: Commits, *, has_links: bool = True) -> Path:
    """A repository's folder as the library lays it out, without the library; returns it.

    ``repository`` is as ``models--org--name``. ``tests/e2e/test_hub_cache.py`` holds it against the library itself.
    """
    folder = cache / repository
    for part in ("blobs", "refs", "snapshots"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for commit, files in commits.items():
        for name, data in files.items():
            file = folder / "snapshots" / commit / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if not has_links:
                file.write_bytes(data)
                continue
            blob = folder / "blobs" / etag_of(data)
            blob.write_bytes(data)
            file.symlink_to(os.path.relpath(blob, file.parent))
        (folder / "refs" / "main").write_text(commit)
    return folder


def share(cache: Path, blob: Path) -> Path:
    """Move a blob into the store that all repositories of a cache share, as the library does with Xet's files."""
    name = hashlib.sha256(b"xet" + blob.read_bytes()).hexdigest()
    store = cache / "blobs" / name[:2]
    store.mkdir(parents=True, exist_ok=True)
    (cache / "blobs" / ".huggingface-shared-blobs").write_text("1\n")
    blob.rename(store / name)
    blob.symlink_to(f"../../blobs/{name[:2]}/{name}")
    return store / name
