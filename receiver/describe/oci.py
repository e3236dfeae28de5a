"""What a bundle holds for OCI: container images, in layouts as ``skopeo``, ``podman`` and ``docker save`` write them.

Facts: ``oci.tag`` (``REPOSITORY:TAG``, in normal form, to a digest), ``oci.manifest`` (a digest to its media type),
``oci.blob`` (the digests that may be had, manifests too), ``oci.referrers`` (a digest to what is about it). A file's
SHA-256 in the signed table is its digest in OCI, so nothing is hashed again.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from diode.formats.escape import escape
from diode.layouts.names import normal_form
from diode.layouts.oci_archives import archive_problem, folder_problem
from diode.layouts.oci_layout import Entry, Images, Layout
from diode.layouts.oci_names import Reference, is_repository, is_tag, name_of
from receiver.catalogue.card import Claim, Fact
from receiver.describe.protocols import Described, Made

MOST_NAMES: Final = 10_000  # of one bundle
MOST_PROBLEMS: Final = 200
ARCHIVES: Final = (".tar", ".oci")


@dataclass(slots=True)
class _Named:
    """The names that a bundle's images have. ``nameless``: digests of entries without one."""

    tags: dict[str, str] = field(default_factory=dict)  # `REPOSITORY:TAG` in normal form: digest
    spellings: dict[str, str] = field(default_factory=dict)  # normal form: repository as it is spelt
    nameless: list[str] = field(default_factory=list)
    clashing: dict[str, set[str]] = field(default_factory=dict)

    def add(self, name: Reference, digest: str) -> None:
        """Give a digest a name. One that two digests claim is nobody's. Raises ValueError beyond the bound."""
        if len(self.tags) >= MOST_NAMES:
            raise ValueError(f"the bundle has more than {MOST_NAMES} names")
        key = f"{name.normal}:{name.tag}"
        if self.tags.setdefault(key, digest) != digest:
            self.clashing.setdefault(key, {self.tags[key]}).add(digest)
        self.spellings.setdefault(name.normal, name.repository)


def describe(one: Described) -> Made:
    """Look at one bundle."""
    images, named = Images(), _Named()
    for folder in _layouts(one):
        _read(one, Layout(one.files, folder, images), named)
    _name_by_bundle(one, images, named)
    images.problems += _clashes(named)
    images.problems += _archives(one)
    facts = [*_facts(images, named)]
    claims = [Claim("oci", normal, spelling) for normal, spelling in sorted(named.spellings.items())]
    return Made(facts, claims if images.manifests else [], _bounded(images.problems))


def _layouts(one: Described) -> Iterator[str]:
    """The folders of the bundle's layouts."""
    for file in one.files.table():
        path = PurePosixPath(file.path)
        if path.name == "oci-layout":
            yield file.path.removesuffix("oci-layout")


def _read(one: Described, layout: Layout, named: _Named) -> None:
    """Take in one layout. What cannot be served is said, and the rest is."""
    problems = layout.images.problems
    try:
        for entry in layout.entries():
            try:
                _take(one, layout, entry, named)
            except (ValueError, OSError) as error:
                problems.append(f"{_label(layout)}: {entry.digest} is not served: {escape(str(error))}")
    except (ValueError, OSError) as error:
        problems.append(f"{_label(layout)} is not served: {escape(str(error))}")


def _take(one: Described, layout: Layout, entry: Entry, named: _Named) -> None:
    name = name_of(entry.annotations, one.name)  # first: what has two names is not served by its digest either
    layout.add(entry)
    if name is not None:
        named.add(name, entry.digest)
    elif entry.digest not in named.nameless:
        named.nameless.append(entry.digest)


def _name_by_bundle(one: Described, images: Images, named: _Named) -> None:
    """Name what has no name: one image by the bundle's name and version; several by the bundle's name and digests."""
    repository = one.name.lower()
    alone = [digest for digest in named.nameless if digest not in images.abouts]
    if not alone or not images.manifests:
        return
    if not is_repository(repository):
        images.problems.append(f"{len(alone)} images have no name, and clients cannot ask for the bundle's name either")
        return
    if not named.tags and len(alone) == 1 and is_tag(one.version):
        named.add(Reference(repository, one.version), alone[0])
        return
    named.spellings.setdefault(normal_form("oci", repository), repository)
    images.problems += [f"{digest} has no name: it is served as {repository}@{digest} alone" for digest in alone]


def _clashes(named: _Named) -> Iterator[str]:
    """Names that several images of the bundle have: they are taken from all of them."""
    for key, digests in named.clashing.items():
        del named.tags[key]
        yield f"{key} is the name of {len(digests)} images, {' and '.join(sorted(digests))}: it is not served"


def _archives(one: Described) -> Iterator[str]:
    """Images in a form that is not served."""
    for file in one.files.table():
        path = PurePosixPath(file.path)
        look = archive_problem if path.suffix in ARCHIVES else folder_problem if path.name == "manifest.json" else None
        try:
            problem = look(one.files, file) if look else None
        except OSError as error:
            problem = f"{escape(file.path)} cannot be read: {error}"
        if problem:
            yield problem


def _facts(images: Images, named: _Named) -> Iterator[Fact]:
    for key, digest in named.tags.items():
        yield Fact("oci.tag", key, digest.encode())
    for digest, media_type in images.manifests.items():
        yield Fact("oci.manifest", digest, media_type.encode())
    for digest in images.blobs:
        yield Fact("oci.blob", digest, b"")
    for subject, about in images.referrers.items():
        yield Fact("oci.referrers", subject, json.dumps([about[key] for key in sorted(about)]).encode())


def _label(layout: Layout) -> str:
    return f"layout {escape(layout.folder) or 'at the top'}"


def _bounded(problems: list[str]) -> list[str]:
    more = len(problems) - MOST_PROBLEMS
    return problems if more <= 0 else [*problems[:MOST_PROBLEMS], f"and {more} more problems"]
