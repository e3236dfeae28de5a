"""OCI layouts that skopeo, buildah and podman write: names and tags by annotations, dates by images' configurations."""

from collections.abc import Iterator
from typing import Any, Final

from diode.errors import SourceError
from diode.layouts.oci_layout import INDEXES, MANIFESTS, Entry, Images, Layout
from diode.layouts.oci_names import REF_NAME, Reference, is_tag, name_of
from sender.staging.documents import date_of, listed, object_of, part, text
from sender.staging.found import Found
from sender.staging.recognised import Recognised

MAX_MANIFEST_BYTES: Final = 4 << 20
MOST_MANIFESTS: Final = 1000
_UNKNOWN: Final = "unknown"  # the repository of a bare tag, which belongs to the name that the bundle will have


def is_here(found: Found) -> bool:
    """Whether a layout lies at the top."""
    return found.get("oci-layout") is not None


def recognise(found: Found) -> Recognised:
    """A layout. One repository gives its name, one tag of it the version. Raises ValueError, SourceError, OSError."""
    entries = list(Layout(found, "", Images()).entries())
    named = [(entry, one) for entry in entries if (one := _name(entry)) is not None]
    repositories = {one.repository for _, one in named}
    digests = {entry.digest for entry in entries if not _is_about(entry)}
    tags = tuple(dict.fromkeys(one.tag for _, one in named)) if len(digests) == 1 else ()
    name = repositories.pop() if len(repositories) == 1 else ""
    return Recognised(
        "oci",
        "" if name == _UNKNOWN else name,
        next((tag for tag in tags if tag != "latest"), tags[0] if tags else ""),
        digests.pop() if len(digests) == 1 else "",
        max(_dates(found, entries), default=""),
        tags,
    )


def _name(entry: Entry) -> Reference | None:
    reference = name_of(entry.annotations, _UNKNOWN)
    is_about = reference is not None and _is_about(entry)
    return None if is_about else reference


def _is_about(entry: Entry) -> bool:
    """Whether an entry is a signature or a bill of materials by its tag: ``sha256-HEX.sig``."""
    ref = entry.annotations.get(REF_NAME, "")
    return isinstance(ref, str) and is_tag(ref) and ref.startswith("sha256-")


def _dates(found: Found, entries: list[Entry]) -> Iterator[str]:
    """When the images were made, one moment for each that says so."""
    waiting = [(entry.digest, entry.media_type) for entry in entries if not _is_about(entry)]
    for _ in range(MOST_MANIFESTS):
        if not waiting:
            return
        digest, kind = waiting.pop()
        if kind not in INDEXES | MANIFESTS or (said := _maybe_blob(found, digest)) is None:
            continue
        if kind in INDEXES:
            waiting += [(text(one, "digest"), text(one, "mediaType")) for one in listed(said, "manifests")]
            continue
        config = _maybe_blob(found, text(part(said, "config"), "digest"))
        if (created := date_of(text(config, "created"))) is not None:
            yield created


def _maybe_blob(found: Found, digest: str) -> Any:
    """A blob that is JSON; None: it is not here. Raises SourceError when it is not what its name says."""
    path = f"blobs/{digest.replace(':', '/', 1)}"
    if found.get(path) is None:
        return None
    data = found.read(path, MAX_MANIFEST_BYTES)
    if f"sha256:{found.read_as[path]}" != digest:
        raise SourceError(f"{found.origin(path)!r} is not what its name says; fetch the image again")
    return object_of(data)
