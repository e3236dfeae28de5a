"""Which channel a name belongs to. Names are compared in their normal form (diode/layouts/names.py).

A name belongs to the channel whose configuration lists
it in ``names``; where no channel does, to the first channel that published it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final

from diode.errors import UsageError
from diode.layouts.kinds import KINDS, Kind
from diode.layouts.names import normal_form

_WILD: Final = frozenset("*?[")
_PORT: Final = re.compile(r"^([^/:]+):\d+/")

Listed = Mapping[str, Sequence[str]]  # the ``names`` of each channel


def _with_registry(name: str) -> str:
    """A repository's name with its registry, so that a pattern for one registry matches no other's names."""
    name = _PORT.sub(r"\1/", name)
    first, slash, _ = name.partition("/")
    if "*" in first or (slash and "." in first):
        return name
    return f"docker.io/{name}" if slash else f"docker.io/library/{name}"


def is_listed(patterns: Sequence[str], kind: Kind, normal: str) -> bool:
    """Whether a channel's ``names`` list a name. A pattern may name its kind: ``pypi:numpy``; ``*`` stands for any."""
    return _how_exactly(patterns, kind, normal) >= 0


def lawful_holder(kind: Kind, normal: str, listed: Listed, first: str | None) -> str | None:
    """The channel that a name belongs to. ``first``: the channel that published it first. None: nobody's yet.

    Where several channels list it, the one whose pattern says more of it (has more characters beside wild ones); of
    those that say as much, the first by the alphabet. A tree is called by its channel's name, and belongs to that.
    """
    if kind == "trees":
        return normal.partition("/")[0]
    most, holder = -1, first
    for channel in sorted(listed):
        said = _how_exactly(listed[channel], kind, normal)
        if said > most:
            most, holder = said, channel
    return holder


def of_kinds(patterns: Sequence[str], serve: Sequence[str]) -> tuple[str, ...]:
    """The ``names`` of a channel, each with its kind: where it names none, it is meant for each kind that is served.

    So ``acme/*`` of a channel of models takes no image from a channel of images. A channel that serves nothing lists a
    name for all kinds.
    """
    found: list[str] = []
    for pattern in patterns:
        of, colon, _ = pattern.partition(":")
        found += [pattern] if colon and of in KINDS else [f"{kind}:{pattern}" for kind in serve or KINDS]
    return tuple(found)


def refuse_twins(listed: Listed) -> None:
    """Raise UsageError when two channels list the same: nobody could say whose such a name is."""
    owner: dict[tuple[str, str], str] = {}
    for channel in sorted(listed):
        for kind, pattern in {one for said in listed[channel] for one in _meant(said)}:
            other = owner.setdefault((kind, pattern), channel)
            if other != channel:
                raise UsageError(
                    f"channels {other} and {channel} both list {pattern!r} in names; take it out of one of them"
                )


def _how_exactly(patterns: Sequence[str], kind: Kind, normal: str) -> int:
    """How many characters of a name the pattern gives that says most of it; -1: none lists it."""
    meant = (one for pattern in patterns for of, one in _meant(pattern) if of == kind)
    return max((sum(c not in _WILD for c in one) for one in meant if _matches(one, kind, normal)), default=-1)


def _meant(pattern: str) -> Iterator[tuple[Kind, str]]:
    """(kind, pattern in its normal form) of what a pattern stands for: one kind, or all of them."""
    of, colon, rest = pattern.partition(":")
    for kind in KINDS:
        if colon and of in KINDS:
            if of == kind:
                yield kind, _pattern_form(kind, rest)
        else:
            yield kind, _pattern_form(kind, pattern)


def _pattern_form(kind: Kind, pattern: str) -> str:
    """A pattern for names in their normal form. For images, one with ``*`` further on keeps its registry."""
    return pattern.lower() if _names_a_registry(kind, pattern) else normal_form(kind, pattern)


def _names_a_registry(kind: Kind, pattern: str) -> bool:
    return kind == "oci" and "*" in pattern and not pattern.startswith("*")


def _matches(pattern: str, kind: Kind, normal: str) -> bool:
    if _names_a_registry(kind, pattern):
        return fnmatchcase(_with_registry(normal), _with_registry(pattern))
    if fnmatchcase(normal, pattern):
        return True
    return kind == "hub" and fnmatchcase(normal.partition("/")[2], pattern)  # without models/ or datasets/
