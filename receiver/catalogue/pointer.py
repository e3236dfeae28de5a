"""Which version of a name is in use, which were before, and what follows a decision. Pure: a pointer gives a pointer.

A pointer keeps the versions that were deployed, the one in use last. ``promote`` adds one, ``rollback`` takes the last
one off. While nobody has decided, the newest published version is in use; ``promote = "by-hand"`` turns that off.
"""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Annotated, Final, Literal, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from diode.errors import PathError, UsageError
from diode.formats.canonical import canonical
from diode.formats.names import MAX_SEQUENCE, BundleHex, ChannelName, Count, Moment, check_component
from diode.formats.strict_json import read_json

MOST_DEPLOYED: Final = 1000  # kept of one name; older ones are in the audit log alone

Mode = Literal["newest", "by-hand"]  # who moves it: whatever is published and newer, or people alone


class Version(NamedTuple):
    """One published version of a name."""

    version: str
    bundle: str  # its id, 16 hexadecimal digits
    sequence: int


@dataclass(frozen=True, slots=True)
class Pointer:
    """Of one name. ``number`` rises with each change. ``deployed``: oldest first; the last one is in use.

    ``drill``: a drill moved the pointer back, and it returns to this version, also after a crash. ``on_trial``: a
    health hook has not answered yet about the version in use.
    """

    channel: str
    name: str
    number: int = 0
    mode: Mode = "newest"
    deployed: tuple[Version, ...] = ()
    pinned: tuple[str, ...] = ()
    drill: Version | None = None
    on_trial: bool = False
    changed: str = ""

    @property
    def current(self) -> Version | None:
        """The version in use."""
        return self.deployed[-1] if self.deployed else None

    @property
    def previous(self) -> Version | None:
        """The version that was in use before: where a rollback leads."""
        return self.deployed[-2] if len(self.deployed) > 1 else None

    @property
    def label(self) -> str:
        """Channel and name, as people write them."""
        return f"{self.channel}/{self.name}"

    def offered(self) -> tuple[Version, ...]:
        """What lists of versions show: the one in use, and older ones that were in use before. Newest first.

        Older means of a lower sequence number: after a rollback, what was left is not offered as the newest one again.
        """
        if self.current is None:
            return ()
        older = {one for one in self.deployed if one.sequence <= self.current.sequence}
        return tuple(sorted(older, key=lambda one: -one.sequence))

    def moved(self, at: str, deployed: tuple[Version, ...], mode: Mode) -> Self:
        """The pointer after one more change."""
        kept = deployed[-MOST_DEPLOYED:]
        return replace(self, number=self.number + 1, deployed=kept, mode=mode, drill=None, on_trial=False, changed=at)


def published(pointer: Pointer, new: Version, at: str) -> Pointer | None:
    """What follows when a version is published and nobody has decided: None, when that moves nothing.

    A version with a lower sequence number than the one in use arrived late: it never moves the pointer back. During a
    drill nothing moves it; what was published meanwhile follows when the drill is over.
    """
    current = pointer.current
    if (
        pointer.mode != "newest"
        or pointer.drill is not None
        or (current is not None and new.sequence <= current.sequence)
    ):
        return None
    return pointer.moved(at, (*pointer.deployed, new), "newest")


def promoted(pointer: Pointer, wanted: Version, at: str) -> Pointer:
    """A person put a version to use. From then on people alone move the pointer."""
    deployed = pointer.deployed if pointer.current == wanted else (*pointer.deployed, wanted)
    return pointer.moved(at, deployed, "by-hand")


def followed(pointer: Pointer, newest: Version, at: str) -> Pointer:
    """A person put the newest version to use, and from then on whatever is published and newer follows by itself."""
    deployed = pointer.deployed if pointer.current == newest else (*pointer.deployed, newest)
    return pointer.moved(at, deployed, "newest")


def rolled_back(pointer: Pointer, at: str, refused: Collection[str] = ()) -> Pointer:
    """Back to the version that was deployed before. ``refused``: ids of bundles that must not be used, as recalled.

    Raises UsageError when there is nothing to go back to.
    """
    before = pointer.deployed[:-1]
    while before and (before[-1].bundle in refused or before[-1] == pointer.current):
        before = before[:-1]
    if not before:
        raise UsageError(f"{pointer.label} has nothing to go back to: no other version was in use that may be used")
    return pointer.moved(at, before, "by-hand")


def pinned(pointer: Pointer, version: str, at: str, *, is_pinned: bool) -> Pointer:
    """Keep a version from gc, or no longer."""
    others = tuple(one for one in pointer.pinned if one != version)
    kept = (*others, version) if is_pinned else others
    return replace(pointer, number=pointer.number + 1, pinned=kept, changed=at)


def drill_begun(pointer: Pointer, at: str, refused: Collection[str] = ()) -> Pointer:
    """A drill: for a while the version is in use where a rollback would lead. ``refused`` as in :func:`rolled_back`.

    Raises UsageError when there is none, or when a drill is under way.
    """
    if pointer.drill is not None:
        raise UsageError(f"a drill of {pointer.label} is under way; it is to return to {pointer.drill.version}")
    target = rolled_back(pointer, at, refused).current
    assert target is not None
    return replace(pointer.moved(at, (*pointer.deployed, target), pointer.mode), drill=pointer.current)


def drill_ended(pointer: Pointer, at: str, refused: Collection[str] = ()) -> Pointer:
    """Back to the version from before the drill; if that one is among ``refused`` by now, the pointer stays."""
    assert pointer.drill is not None
    deployed = pointer.deployed if pointer.drill.bundle in refused else pointer.deployed[:-1]
    return pointer.moved(at, deployed, pointer.mode)


def proven(pointer: Pointer, at: str) -> Pointer:
    """The health hook found the version in use healthy."""
    return replace(pointer, number=pointer.number + 1, on_trial=False, changed=at)


def never_removed(pointer: Pointer, refused: Collection[str] = (), *, only_forward: bool = False) -> frozenset[str]:
    """Ids of the bundles that must not be removed: in use, used before, where a rollback leads, of a drill, pinned.

    Of pinned versions the ids are known only as far as they were in use; a caller looks at ``pinned`` as well.
    ``only_forward``: nothing goes back, so nothing is kept for that.
    """
    kept = {one.bundle for one in (pointer.current, pointer.drill) if one is not None}
    kept |= {one.bundle for one in pointer.deployed if one.version in pointer.pinned}
    if only_forward:
        return frozenset(kept)
    kept |= {pointer.previous.bundle} if pointer.previous is not None else set()
    with suppress(UsageError):
        target = rolled_back(pointer, pointer.changed, refused).current
        kept |= {target.bundle} if target else set()
    return frozenset(kept)


def _named(text: str) -> str:
    """A name of one folder: the link ``current`` leads to what is called so, and never elsewhere."""
    try:
        check_component(text)
    except PathError as error:
        raise ValueError(str(error)) from None
    return text


_Name = Annotated[str, AfterValidator(_named)]


class _Version(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    version: _Name
    bundle: BundleHex
    sequence: Annotated[int, Field(ge=1, le=MAX_SEQUENCE)]

    @property
    def plain(self) -> Version:
        return Version(self.version, self.bundle, self.sequence)


class _Pointer(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    format: Literal["diode-pointer-1"]
    channel: ChannelName
    name: _Name
    number: Count
    mode: Mode
    deployed: list[_Version]
    pinned: list[_Name]
    drill: _Version | None
    on_trial: bool
    changed: Moment | Literal[""]


def write_pointer(pointer: Pointer) -> bytes:
    """A pointer as its file has it: canonical JSON."""
    fields = {
        "format": "diode-pointer-1",
        "channel": pointer.channel,
        "name": pointer.name,
        "number": pointer.number,
        "mode": pointer.mode,
        "deployed": [one._asdict() for one in pointer.deployed],
        "pinned": list(pointer.pinned),
        "drill": pointer.drill._asdict() if pointer.drill else None,
        "on_trial": pointer.on_trial,
        "changed": pointer.changed,
    }
    return canonical(fields)


def read_pointer(data: bytes) -> Pointer:
    """The pointer in a file. Raises ValueError when that is none."""
    try:
        read = _Pointer.model_validate(read_json(data))
    except (ValidationError, RecursionError) as error:
        raise ValueError(f"no pointer: {str(error)[:200]}") from None
    return Pointer(
        read.channel,
        read.name,
        read.number,
        read.mode,
        tuple(one.plain for one in read.deployed),
        tuple(read.pinned),
        read.drill.plain if read.drill else None,
        read.on_trial,
        read.changed,
    )
