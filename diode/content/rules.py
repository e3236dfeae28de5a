"""What a channel takes: a preset of kinds of content, narrowed by its other settings. Both sides judge by these rules.

``content`` in the configuration names the preset. ``weights`` takes a list of kinds, and nothing else. ``packages``,
``images`` and ``os`` take archives as they are: findings inside are noted, and not refused, because vendors' signatures
and scanners are responsible for them. docs/content.md has the table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from diode.content.words import KINDS, PICTURES

MAX_TYPES: Final = 100
ALSO: Final = frozenset({"npy", "onnx", "pdf", "sentencepiece", "svg"})  # ``weights`` takes them where it is asked to
_PLAIN: Final = frozenset({"safetensors", "gguf", "json", "text", "empty"}) | PICTURES


@dataclass(frozen=True, slots=True)
class Preset:
    """What one word of ``content`` stands for."""

    kinds: frozenset[str] | None = None  # all that is taken; None: any kind
    takes_archives: bool = False  # as they are: what lies in one, or was too much to look at, is noted


PRESETS: Final = {
    "any": Preset(),
    "weights": Preset(kinds=_PLAIN),
    "packages": Preset(takes_archives=True),
    "images": Preset(takes_archives=True),
    "os": Preset(takes_archives=True),
}
ENCRYPTED: Final = "encrypted"
OTHERWISE: Final = "unopened"  # members that are not looked into for any other reason, such as how they are compressed
WORDS: Final = KINDS | {ENCRYPTED, OTHERWISE}  # what ``types`` may name


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings of a channel about content. Raises ValueError for settings that contradict each other."""

    content: str = "any"
    types: tuple[str, ...] = ()  # kinds that are taken, of those that the preset takes; empty: all of them
    lint: bool = True  # look for pickles, polyglots and unsound files, and into archives
    code: bool = False  # ``weights`` takes the source of programs, too
    also: tuple[str, ...] = ()  # kinds that ``weights`` takes besides

    def __post_init__(self) -> None:
        """Raise ValueError for settings that contradict each other."""
        if self.content not in PRESETS:
            raise ValueError(f'content = "{self.content}": there is {", ".join(PRESETS)}')
        if len(self.types) > MAX_TYPES:
            raise ValueError(
                f"types: {len(self.types)} of them; a channel names {MAX_TYPES} at most; "
                f"without types it takes every kind that content names"
            )
        if unknown := sorted(set(self.types) - WORDS):
            raise ValueError(f"types: {', '.join(unknown)}: unknown{_meant(unknown)}; docs/content.md lists the kinds")
        if unknown := sorted(set(self.also) - ALSO):
            raise ValueError(f"also: {', '.join(unknown)}: there is {', '.join(sorted(ALSO))}")
        if len(set(self.also)) < len(self.also):
            raise ValueError("also: a kind is named twice")
        if self.kinds is None:
            self._refuse_of_weights()
        elif not self.lint:
            raise ValueError(f'content = "{self.content}" is of no use without lint: leave lint = false out')
        elif never := sorted(set(self.types) - self.kinds):
            hint = f"; name it in also as well, of {', '.join(sorted(ALSO))}" if ALSO & {*never} else ""
            raise ValueError(f'types: content = "{self.content}" never takes {", ".join(never)}{hint}')

    def _refuse_of_weights(self) -> None:
        for name, given in (("code", self.code), ("also", self.also)):
            if given:
                raise ValueError(
                    f'{name} is a setting of content = "weights"; this channel has "{self.content}": '
                    f'write content = "weights", or leave {name} out'
                )

    @property
    def said(self) -> tuple[str, tuple[str, ...], int, int, tuple[str, ...]]:
        """As messages say them, in this order."""
        return self.content, self.types, int(self.lint), int(self.code), self.also

    @classmethod
    def of(cls, said: tuple[str, tuple[str, ...], int, int, tuple[str, ...]]) -> "Rules":
        """From what :attr:`said` has said."""
        content, types, lint, code, also = said
        return cls(content, types, bool(lint), bool(code), also)

    @property
    def preset(self) -> Preset:
        """The preset that ``content`` names."""
        return PRESETS[self.content]

    @property
    def kinds(self) -> frozenset[str] | None:
        """All kinds that the preset takes, together with ``also`` and ``code``; None: any kind."""
        if self.preset.kinds is None:
            return None
        return self.preset.kinds | {*self.also, *(("script",) if self.code else ())}

    @property
    def are_none(self) -> bool:
        """Whether these rules ask nothing of content, so that it need not be examined."""
        return not (self.lint or self.types or self.preset.kinds)


def _meant(unknown: Sequence[str]) -> str:
    close = [known for word in unknown for known in get_close_matches(word, sorted(WORDS), n=1)]
    return f" (meant: {', '.join(close)}?)" if close else ""
