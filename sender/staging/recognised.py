"""What a recogniser returns, and the ``source.json`` that is made of it (docs/source.md)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from diode.errors import LayoutError
from diode.layouts.source import SOURCE_FILE, Source, SourceFile, SourceKind, bundle_name, speaks_of, upstream_name


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a layout tells. A text is empty where it does not.

    ``name`` is upstream's, ``version`` that of the bundle. ``left_out``: paths that are not packed, and folders, whose
    names end with a slash.
    """

    kind: SourceKind
    name: str = ""
    version: str = ""
    revision: str = ""
    uploaded: str = ""
    tags: tuple[str, ...] = ()
    files: Mapping[str, SourceFile] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    def is_left_out(self, path: str) -> bool:
        """Whether a path is not packed."""
        return any(path == one or (one.endswith("/") and path.startswith(one)) for one in self.left_out)

    @property
    def bundle(self) -> str:
        """The name of its bundle."""
        return bundle_name(self.kind, self.name) if self.name else ""


def source_of(found: Recognised, name: str) -> Source:
    """The ``source.json`` of a bundle called ``name``. Raises LayoutError.

    It must speak of its own bundle. So where a person gave the bundle a name that is not upstream's, that name stands.
    """
    named = upstream_name(found.kind, name)
    said: dict[str, Any] = {
        "format": "diode-source-1",
        "kind": found.kind,
        "name": found.name or named,
        "revision": found.revision or None,
        "uploaded": found.uploaded or None,
        "tags": list(dict.fromkeys(found.tags))[:1000],
        "files": {path: one for path, one in found.files.items() if not found.is_left_out(path)},
    }
    try:
        source = Source.model_validate(said)
        return source if speaks_of(source, name) else source.model_copy(update={"name": named})
    except ValidationError as error:
        first = error.errors()[0]
        raise LayoutError(f"{'.'.join(map(str, first['loc']))} cannot stand in {SOURCE_FILE}: {first['msg']}") from None


def disagreements(theirs: Source, ours: Source) -> Iterator[str]:
    """What a ``source.json`` that was there says otherwise than the layout, each with both readings."""
    if theirs.kind != ours.kind:
        yield f"kind: {theirs.kind} there, {ours.kind} by the layout"
    if not speaks_of(theirs, bundle_name(ours.kind, ours.name)):
        yield f"name: {theirs.name} there, {ours.name} by the layout"
    for name in ("revision", "uploaded"):
        yield from _differ(name, getattr(theirs, name), getattr(ours, name))
    for path in theirs.files.keys() & ours.files.keys():
        for name in SourceFile.model_fields.keys() - {"url"}:
            yield from _differ(f"{path}: {name}", getattr(theirs.files[path], name), getattr(ours.files[path], name))


def _differ(what: str, theirs: str | None, ours: str | None) -> Iterator[str]:
    if theirs and ours and theirs != ours:
        yield f"{what}: {theirs} there, {ours} by the layout"
