"""What ``store`` asks of the workers that look into bundles, and what they answer: ``examine`` and ``describe``.

As in :mod:`receiver.messages.pipeline`, each message is one class, and each pipe has a vocabulary. These workers parse
what strangers wrote, so each answer is about one bundle, and bounded.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from diode.errors import MaterialError
from diode.process.messages import PeerRefused, SandboxLacks
from diode.process.vocabulary import Chars, Code, Many, Row, Text, Vocabulary, Whole, Word
from receiver.messages.pipeline import MAX_REASON, BundleId, Bytes

MAX_NAME: Final = 512  # characters of a name that clients know, as receiver.catalogue.names; a test compares
MAX_FACTS: Final = 60 << 10
CLAIMS_AT_ONCE: Final = 200  # in one message
KINDS: Final = ("hub", "pypi", "npm", "oci", "mcp", "trees")  # as diode.layouts.kinds
CONTENTS: Final = ("any", "weights", "packages", "images", "os")
TROUBLES: Final = (
    *("pickle", "polyglot", "ambiguous", "unsound", "budget", "kind", "code", "unanswered"),
    *MaterialError.reasons,  # of identity material
)


@dataclass(frozen=True, slots=True)
class Question:
    """Examine the content of this bundle: its complete tree lies in the spool.

    ``at_s``: of a channel of identity material, the moment to judge it at, in seconds since 1970; 0: of another one.
    ``before`` is the number of the copy of what was published last under ``name``; 0: there is none.
    """

    bundle: BundleId
    channel: Annotated[str, Text(100)]
    content: Annotated[str, Word(*CONTENTS)]
    types: Annotated[tuple[str, ...], Many(Text(300), 100)]  # empty: any
    lint: Annotated[int, Whole(0, 1)]
    code: Annotated[int, Whole(0, 1)]
    also: Annotated[tuple[str, ...], Many(Text(40), 100)]
    files: Bytes
    size_bytes: Bytes
    name: Annotated[str, Chars(255)] = ""
    before: Annotated[int, Whole()] = 0
    at_s: Annotated[int, Whole()] = 0


@dataclass(frozen=True, slots=True)
class Sound:
    """The channel takes every file of this bundle."""

    bundle: BundleId


@dataclass(frozen=True, slots=True)
class Unsound:
    """The channel does not take this bundle, for this trouble. ``unanswered``: it could not be examined.

    ``reason`` is a text for people.
    """

    bundle: BundleId
    trouble: Annotated[str, Word(*TROUBLES)]
    reason: Annotated[str, Text(MAX_REASON)]


# store and describe


@dataclass(frozen=True, slots=True)
class DescribeBundle:
    """Look into this published bundle, for the kinds that its channel serves. ``content``: BLAKE3 of its table."""

    bundle: BundleId
    channel: Annotated[str, Code("[a-z0-9][a-z0-9_.-]{0,63}")]
    name: Annotated[str, Chars(255)]
    version: Annotated[str, Chars(255)]
    content: Annotated[str, Code("[0-9a-f]{64}")]
    serve: Annotated[tuple[str, ...], Many(Word(*KINDS), len(KINDS))]
    files: Bytes
    size_bytes: Bytes


@dataclass(frozen=True, slots=True)
class Claims:
    """Names of one kind that the bundle holds something of: (normal form, as it is spelt there) of each."""

    bundle: BundleId
    kind: Annotated[str, Word(*KINDS)]
    names: Annotated[tuple[tuple[str, str], ...], Many(Row(Chars(MAX_NAME), Chars(MAX_NAME)), CLAIMS_AT_ONCE)]


@dataclass(frozen=True, slots=True)
class DescribedBundle:
    """The bundle was looked into, and all its claims were said. ``dated``: its own date, by what ``dated_by`` names.

    ``facts``: a JSON object, for people. ``problem``: what could not be done, for people; empty: nothing.
    """

    bundle: BundleId
    dated: Annotated[str, Text(20)]
    dated_by: Annotated[str, Text(20)]
    facts: Annotated[str, Chars(MAX_FACTS)]
    problem: Annotated[str, Text(MAX_REASON)]


EXAMINE_SAYS: Final = Vocabulary(once=(SandboxLacks, PeerRefused))
STORE_TO_EXAMINE: Final = Vocabulary(Question)
EXAMINE_TO_STORE: Final = Vocabulary(Sound, Unsound, line_bytes=8 << 10)
DESCRIBE_SAYS: Final = Vocabulary(once=(SandboxLacks, PeerRefused))
STORE_TO_DESCRIBE: Final = Vocabulary(DescribeBundle)
DESCRIBE_TO_STORE: Final = Vocabulary(Claims, DescribedBundle, line_bytes=1 << 20)
