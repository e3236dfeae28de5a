"""What a repository is said to be: its files at one commit, its versions, its tags.

Each document is made of one snapshot and sent whole, so that a client may be given one under a name that moves.
"""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from receiver.catalogue.card import CardFile
from receiver.catalogue.snapshot import Listed
from receiver.gateway.answers import JSON, Answer, json_answer
from receiver.gateway.hub.refusals import not_servable
from receiver.gateway.hub.repository import MAIN, Asked, Repository
from receiver.gateway.request import Request

MOST_COMMITS: Final = 1000
MOST_WITH_BLOBS: Final = 10_000  # files that one document lists with their digests; trees list any number
POINTER_BYTES: Final = 130  # what git would hold in the place of a large file
_NO_TREE: Final = "0" * 40


def about(request: Request, repository: Repository, asked: Asked) -> Answer:
    """``/api/models/ORG/NAME/revision/REV``: the commit, and all files. Old libraries list by it alone."""
    fields = json.dumps(_fields(repository, asked), ensure_ascii=False).encode()
    with_blobs = request.query.get("blobs", "").lower() == "true"
    body = b'%b, "siblings": %b}' % (fields[:-1], _siblings(repository, asked.bundle, with_blobs=with_blobs))
    return Answer(200, body, JSON, headers={"X-Repo-Commit": asked.commit}, of=asked.bundle)


def commits(repository: Repository, asked: Asked) -> Answer:
    """The version that was asked for, and older ones that lists show; newest first."""
    older = [one for one in repository.offered if one.sequence < asked.bundle.sequence]
    rest = [_commit(repository, one, repository.commit_of(one)) for one in older[: MOST_COMMITS - 1]]
    return json_answer([_commit(repository, asked.bundle, asked.commit), *rest], of=asked.bundle)


def refs(repository: Repository) -> Answer:
    """Branch ``main``, and a tag for each version that lists show and for each of upstream's tags.

    Where the version in use is recalled there is no branch. Where nothing else is left either, that is said instead.
    """
    current, offered = repository.current, repository.offered
    if current is not None and not current.is_servable and not offered:
        raise not_servable(current)
    branches = [_ref("heads", MAIN, repository.commit_of(current))] if current and current.is_servable else []
    tags: dict[str, str] = {}
    for one in sorted(offered, key=lambda one: not one.is_current):
        for name in (one.version, *repository.facts(one).tags):
            tags.setdefault(name, repository.commit_of(one))
    listed = [_ref("tags", name, commit) for name, commit in tags.items() if name != MAIN]
    return json_answer({"branches": branches, "converts": [], "tags": listed, "pullRequests": []})


def shown_files(repository: Repository, bundle: Listed, below: str = "", start: str = "") -> Iterator[CardFile]:
    """The files that lists show: not what staging added. Sorted by path."""
    hidden = repository.facts(bundle).hidden
    return (file for file in repository.view.card(bundle).files(below, start) if file.path not in hidden)


def file_entry(file: CardFile) -> dict[str, Any]:
    """A file as a tree lists it. Each is given by SHA-256, as large ones are upstream: that one is signed."""
    lfs = {"oid": file.sha256, "size": file.size, "pointerSize": POINTER_BYTES}
    return {"type": "file", "path": file.path, "size": file.size, "oid": file.sha256[:40], "lfs": lfs}


def folder_entry(path: str) -> dict[str, Any]:
    """A folder as a tree lists it."""
    return {"type": "directory", "path": path, "size": 0, "oid": _NO_TREE}


def dated(bundle: Listed) -> str:
    """When it is from, as the library reads dates: with a fraction."""
    return bundle.dated if "." in bundle.dated else bundle.dated.removesuffix("Z") + ".000Z"


def _fields(repository: Repository, asked: Asked) -> dict[str, Any]:
    org, _, _ = repository.name.rpartition("/")
    named = {"id": repository.name, "author": org or None, "sha": asked.commit, "lastModified": dated(asked.bundle)}
    if repository.type == "models":
        named["modelId"] = repository.name
    open_to_all = {"private": False, "gated": False, "disabled": False}
    return {**named, "createdAt": dated(asked.bundle), **open_to_all, "downloads": 0, "likes": 0, "tags": []}


def _siblings(repository: Repository, bundle: Listed, *, with_blobs: bool) -> bytes:
    """All files, as the card has them written; with their digests, unless there are too many for one document."""
    if with_blobs:
        files = list(islice(shown_files(repository, bundle), MOST_WITH_BLOBS + 1))
        if len(files) <= MOST_WITH_BLOBS:
            return json.dumps([_sibling(file) for file in files], ensure_ascii=False).encode()
    return repository.view.card(bundle).fact("hub", "siblings") or b"[]"


def _sibling(file: CardFile) -> dict[str, Any]:
    lfs = {"sha256": file.sha256, "size": file.size, "pointerSize": POINTER_BYTES}
    return {"rfilename": file.path, "size": file.size, "blobId": file.sha256[:40], "lfs": lfs}


def _commit(repository: Repository, bundle: Listed, commit: str) -> dict[str, Any]:
    authors = [{"user": bundle.channel}]
    title = f"{repository.name} {bundle.version}"
    return {"id": commit, "title": title, "message": "", "authors": authors, "date": dated(bundle)}


def _ref(kind: str, name: str, commit: str) -> dict[str, str]:
    return {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": commit}
