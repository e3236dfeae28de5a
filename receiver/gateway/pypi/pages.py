"""Pages of the simple index: lists of projects, and of the files of one project, as HTML or JSON.

Models and serializers are those of ``simple-repository``. A recalled file stays listed as yanked, with the reason. Its
link leads to an address that names the reason, too: clients show the address of what they cannot get.
"""

import html
import re
from collections.abc import Coroutine
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeVar, cast

from simple_repository.components.core import SimpleRepository
from simple_repository.content_negotiation import Format, select_response_format
from simple_repository.errors import PackageNotFoundError
from simple_repository.model import File, Meta, ProjectDetail, ProjectList, ProjectListElement, RequestContext
from simple_repository.serializer import serialize

from receiver.catalogue.snapshot import Listed
from receiver.gateway.answers import Answer, text_answer, why_recalled
from receiver.gateway.packages import Fact, Holder, Package, card_file, gather
from receiver.gateway.request import Request
from receiver.gateway.view import View

FILES_HOST: Final = "files.pythonhosted.org"
INDEX_HOST: Final = "pypi.org"
_META: Final = Meta("1.1")
_VARY: Final = {"Vary": "Accept"}
_MOST_OF_REASON: Final = 80  # characters in an address

T = TypeVar("T")


def filename_of(fact: Fact) -> str | None:
    """What files of PyPI are found by."""
    return str(fact["filename"])


class Offered(SimpleRepository):
    """The index of what one client may see. Its methods never wait, although they are coroutines."""

    def __init__(self, request: Request, view: View) -> None:
        self._view = view
        self._addresses = Addresses(request, view)

    async def get_project_page(
        self, project_name: str, *, request_context: RequestContext | None = None
    ) -> ProjectDetail:
        """The files of a project, by its normal name. Raises PackageNotFoundError, TokenNeededError."""
        packages = gather(self._view, "pypi", project_name, filename_of).packages
        files = [file for name in sorted(packages) if (file := self._file(packages[name])) is not None]
        if not files:
            raise PackageNotFoundError(project_name)
        versions = sorted({str(packages[file.filename].fact["version"]) for file in files})
        return ProjectDetail(_META, project_name, tuple(files), cast("frozenset[str]", tuple(versions)))

    async def get_project_list(self, *, request_context: RequestContext | None = None) -> ProjectList:
        """All projects. They are sorted, so that the same list has the same entity tag."""
        projects = tuple(ProjectListElement(spelling) for _, spelling in self._view.names())
        return ProjectList(_META, cast("frozenset[ProjectListElement]", projects))

    def _file(self, package: Package) -> File | None:
        """What is said of one file; None: no list shows it."""
        recalled = package.recalled
        if not package.offering and not (recalled and package.was_in_use):
            return None
        fact = package.fact
        return File(
            filename=fact["filename"],
            url=self._addresses.of(package, recalled),
            hashes={"sha256": fact["sha256"]},
            requires_python=fact["requires_python"] or None,
            dist_info_metadata={"sha256": fact["metadata"]} if fact["metadata"] else None,
            yanked=why_recalled(recalled) if recalled else None,
            size=fact["size"],
            upload_time=datetime.fromisoformat(package.uploaded),
        )


class Addresses:
    """Makes the addresses of files, below what the configuration says of this gateway."""

    def __init__(self, request: Request, view: View) -> None:
        self._view = view
        self._base = request.base
        self._is_upstreams = request.host == INDEX_HOST and FILES_HOST in request.hosts

    def of(self, package: Package, recalled: Listed | None) -> str:
        """Where a file is had. ``recalled``: it cannot be had any more; the address says why."""
        why = [slug(recalled.reason)] if recalled else []
        holder = package.served or package.holders[0]
        if self._is_upstreams and (blake2b := self._blake2b(holder)):
            folders = (blake2b[:2], blake2b[2:4], blake2b[4:])
            return "/".join([f"https://{FILES_HOST}/packages", *why, *folders, package.fact["filename"]])
        return "/".join([f"{self._base}/files", *why, package.fact["sha256"], package.fact["filename"]])

    def _blake2b(self, holder: Holder) -> str:
        file = card_file(self._view, holder)
        return file.blake2b if file else ""


def slug(reason: str) -> str:
    """A reason as a part of an address: letters, digits, dots and hyphens."""
    words = re.sub(r"\.{2,}|[^A-Za-z0-9.]+", "-", reason)
    return f"RECALLED-{words[:_MOST_OF_REASON].strip('-.') or 'no-reason-given'}"


def list_page(request: Request, view: View) -> Answer:
    """The list of all projects. It is long, and the same for everybody who may see the same."""
    chosen = _chosen(request)
    if chosen is None:
        return _not_acceptable()
    page = partial(_list, request, view, chosen)
    return _answer(view.snapshot.rendered(("pypi", chosen, view.open), page), chosen)


def _list(request: Request, view: View, chosen: Format) -> bytes:
    return serialize(_result(Offered(request, view).get_project_list()), chosen).encode()


def project_page(request: Request, view: View, normal: str) -> Answer:
    """The files of one project, by its normal name."""
    if (chosen := _chosen(request)) is None:
        return _not_acceptable()
    try:
        page = _result(Offered(request, view).get_project_page(normal))
    except PackageNotFoundError:
        return text_answer("there is no such project here\n", 404, headers=_VARY)
    return _answer(serialize(page if chosen is Format.JSON_V1 else _escaped(page), chosen).encode(), chosen)


def _chosen(request: Request) -> Format | None:
    """The form that a client takes; None: none that is spoken here."""
    try:
        return select_response_format(request.headers.get("accept", ""))
    except ValueError:
        return None


def _not_acceptable() -> Answer:
    return text_answer("this index speaks HTML, and JSON of version 1\n", 406, headers=_VARY)


def _answer(page: bytes, chosen: Format) -> Answer:
    charset = "" if chosen is Format.JSON_V1 else "; charset=utf-8"
    return Answer(200, page, f"{chosen.value}{charset}", headers=_VARY)


def _result(made: Coroutine[Any, Any, T]) -> T:
    """What a coroutine that never waits returns."""
    try:
        next(iter(made.__await__()))
    except StopIteration as done:
        return cast("T", done.value)
    made.close()
    raise AssertionError("a page waits for nothing")


def _escaped(page: ProjectDetail) -> ProjectDetail:
    """For HTML: the serializer writes reasons as they are."""
    return replace(page, files=tuple(_escaped_file(file) for file in page.files))


def _escaped_file(file: File) -> File:
    return replace(file, yanked=html.escape(file.yanked)) if isinstance(file.yanked, str) else file
