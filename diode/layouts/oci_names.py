"""By which names clients ask for an image: read from what tools write beside an entry of a layout's ``index.json``.

Two annotations are used: ``io.containerd.image.name`` holds a whole name, and ``org.opencontainers.image.ref.name``
either a whole name or a bare tag, as the tool has it. A bare tag belongs to the bundle's own name.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from diode.layouts.names import normal_form

WHOLE_NAME: Final = "io.containerd.image.name"
REF_NAME: Final = "org.opencontainers.image.ref.name"
MOST_CHARACTERS: Final = 400

_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_PART: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY: Final = re.compile(rf"(?:[a-z0-9.-]+:\d{{1,5}}/)?{_PART}(?:/{_PART})*")
_MOST_OF_REPOSITORY: Final = 255


class Reference(NamedTuple):
    """A repository as it is spelt, and a tag."""

    repository: str
    tag: str

    def __str__(self) -> str:
        return f"{self.repository}:{self.tag}"

    @property
    def normal(self) -> str:
        """The repository in its normal form."""
        return normal_form("oci", self.repository)


def is_tag(text: str) -> bool:
    """Whether clients can ask for such a tag."""
    return _TAG.fullmatch(text) is not None


def is_repository(text: str) -> bool:
    """Whether clients can ask for a repository of this name."""
    return len(text) <= _MOST_OF_REPOSITORY and _REPOSITORY.fullmatch(text) is not None


def name_of(annotations: Mapping[str, Any], bundle: str) -> Reference | None:
    """The name of one entry; None where it has none. ``bundle``: the repository of bare tags.

    Raises ValueError with both readings where there are two.
    """
    whole, ref = (_text(annotations, key) for key in (WHOLE_NAME, REF_NAME))
    first = _whole(whole, WHOLE_NAME) if whole else None
    second = _reading(ref, bundle) if ref else None
    if first and second:
        same_place = second.normal == first.normal or is_tag(ref)
        if second.tag != first.tag or not same_place:
            raise ValueError(f"it has two names: {WHOLE_NAME} says {first}, {REF_NAME} says {ref}; make them the same")
    return first or second


def _text(annotations: Mapping[str, Any], key: str) -> str:
    value = annotations.get(key, "")
    if not isinstance(value, str) or len(value) > MOST_CHARACTERS or not value.isprintable():
        raise ValueError(f"its annotation {key} is no name")
    return value


def _reading(ref: str, bundle: str) -> Reference:
    """What ``ref.name`` says: ``1``, ``p:1`` or ``docker.io/library/p:1``."""
    if not is_tag(ref):
        return _whole(ref, REF_NAME)
    if not is_repository(bundle.lower()):
        raise ValueError(f"it has only the tag {ref}, and the bundle's name is no repository; name it REPOSITORY:{ref}")
    return Reference(bundle.lower(), ref)


def _whole(text: str, key: str) -> Reference:
    """A repository with a tag. Raises ValueError where one of them is missing: tools differ in what they make of it."""
    repository, colon, tag = text.partition("@")[0].rpartition(":")
    if not colon or "/" in tag:
        raise ValueError(
            f"{key} says {text}: that is repository {text} without a tag, or a tag with a slash, as one reads it; "
            "name it REPOSITORY:TAG"
        )
    if not (is_tag(tag) and is_repository(repository)):
        raise ValueError(f"{key} says {text}: clients cannot ask for that; name it REPOSITORY:TAG in lower case")
    return Reference(repository, tag)
