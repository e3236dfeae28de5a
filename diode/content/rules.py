"""What a channel takes: a preset of kinds of content, narrowed by its other settings. Both sides judge by these rules.

``content`` in the configuration names the preset. ``weights`` takes a list of kinds, and nothing else. ``packages``,
``images`` and ``os`` take archives as they are: findings inside are noted, and not refused, because vendors' signatures
and scanners are responsible for them. docs/content.md has the table.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import BinaryIO, Final

from diode.content.allowance import Allowance
from diode.content.archives import streams
from diode.content.archives.members import shown
from diode.content.code_names import is_code
from diode.content.examine import Examined, examine
from diode.content.inside import LOOKED_INTO, UNOPENED
from diode.content.item import Item
from diode.content.kinds import KINDS
from diode.content.remote_code import Named, code_named
from diode.content.trouble import Trouble

MAX_TYPES: Final = 100
PICTURES: Final = frozenset({"png", "jpeg", "gif", "webp", "bmp", "ico", "tiff"})
ALSO: Final = frozenset({"npy", "onnx", "pdf", "sentencepiece", "svg"})  # ``weights`` takes them where it is asked to
PROGRAMS: Final = frozenset({"script", "elf", "pe", "macho", "wasm", "pyc"})
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
_TAKE_ARCHIVES: Final = " or ".join(f'"{name}"' for name, preset in PRESETS.items() if preset.takes_archives)
ENCRYPTED: Final = "encrypted"
OTHERWISE: Final = "unopened"  # members that are not looked into for any other reason, such as how they are compressed
WORDS: Final = KINDS | ALSO | PICTURES | UNOPENED | {ENCRYPTED, OTHERWISE}  # what ``types`` may name
_OF_MANY: Final = LOOKED_INTO - streams.FORMATS.keys()  # archives; the others are one file that is compressed
_MOST_NOTED: Final = 4
_INSTEAD: Final = "ask for safetensors, GGUF, or npy without objects instead"  # of what a loader would run
_FACTS: Final = {  # what is sound, and may surprise
    "long_names": "names of tensors are longer than 63 bytes, which loaders take only when they are built so",
    "byte_order_mark": "it begins with a byte order mark, which some readers refuse",
}


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


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision on one file: taken, with notes about it, or refused for ``trouble``.

    ``detail`` gives the reason in words for people, without the file's name.
    """

    kind: str
    trouble: Trouble | None = None
    detail: str = ""
    note: str = ""  # what was found and is taken nevertheless
    inside: Counter[str] = field(default_factory=Counter)
    unopened: Counter[str] = field(default_factory=Counter)
    auto_map: tuple[str, ...] = ()


def look(rules: Rules, file: BinaryIO, size: int, path: str, item: Item, allowance: Allowance) -> Decision:
    """Examine a seekable file of ``size`` bytes, which ``item`` holds as ``path``, and decide. An OSError is passed on.

    All files of the item share ``allowance``, and their archives use it up. A preset that takes no archives does not
    look into them.
    """
    found = examine(file, size, path, item, allowance if rules.lint and rules.kinds is None else None)
    is_refused = found.trouble is not None and not rules.preset.takes_archives
    named = code_named(file, size, path, found.kind) if rules.lint and not is_refused else Named()
    return decide(rules, found, path, named)


def decide(rules: Rules, found: Examined, path: str, named: Named) -> Decision:
    """Decide on a file, from what :mod:`examine` ``found`` and the code that it ``named``."""
    unopened = Counter(found.unopened)
    notes: list[str] = []
    if rules.lint and found.trouble is not None:
        if not (rules.preset.takes_archives and _is_noted(found)):
            return Decision(found.kind, found.trouble, _why(found, path))
        notes += _noted(found)
        if Trouble.BUDGET in (found.trouble, *found.within):
            unopened[found.kind] += 1
    for refuse in (_not_of_preset, _not_of_types, _code_of_others):
        if (refused := refuse(rules, found.kind, path, unopened, named)) is not None:
            return Decision(found.kind, *refused)
    notes += [words for fact, words in _FACTS.items() if found.facts.get(fact)]
    if named.unread:
        notes.append(named.unread)
    return Decision(found.kind, None, "", "; ".join(notes), Counter(found.inside), unopened, named.classes)


_Refused = tuple[Trouble, str]


def _is_noted(found: Examined) -> bool:
    """Whether who takes archives as they are takes this.

    What lies in an archive, one that is broken, or anything too long to look at. A compressed file is no archive: what
    comes out of it is the file, and loaders act on its beginning before they find it broken.
    """
    if found.member:
        return found.kind not in streams.FORMATS or bool(_OF_MANY & found.inside.keys())
    is_archive = found.kind in _OF_MANY or found.kind in UNOPENED
    return found.trouble is Trouble.BUDGET or (found.trouble is Trouble.UNSOUND and is_archive)


def _noted(found: Examined) -> Iterator[str]:
    if not found.member:
        yield f"{found.problem}; it is taken as it is"
    for within in [*found.within.values()][:_MOST_NOTED]:
        yield f"{within.member or 'in it'}: {within.detail}; it is taken as it is"


def _why(found: Examined, path: str) -> str:
    problem = found.problem or ""
    if found.member and found.member == path.rpartition("/")[2]:  # compressed, and its name does not say so
        problem = f"unpacked: {problem.removeprefix(f'{shown(found.member)}: ')}"
    if found.trouble is Trouble.BUDGET:
        return f"{problem}; content = {_TAKE_ARCHIVES} would take it as not looked into"
    if found.trouble is Trouble.PICKLE:
        return f"{problem}; {_INSTEAD}"
    return problem


def _not_of_preset(rules: Rules, kind: str, path: str, _: object, __: object) -> _Refused | None:
    kinds = rules.kinds
    if kinds is None:
        return None
    if not rules.code and (kind == "script" or is_code(path)):
        what = "a script" if kind == "script" else "code, by its name"
        return Trouble.CODE, f'it is {what}; content = "{rules.content}" takes it with code = true'
    if kind in kinds:
        return None
    trouble = Trouble.CODE if kind in PROGRAMS else Trouble.KIND
    hint = f'; also = ["{kind}"] would take it' if kind in ALSO else ""
    if kind in LOOKED_INTO or kind in UNOPENED:
        hint = "; drop its files unpacked, or on a channel that takes archives"
    return trouble, f'it is {kind}, which content = "{rules.content}" does not take{hint}'


def _not_of_types(rules: Rules, kind: str, _: str, unopened: Counter[str], __: object) -> _Refused | None:
    if not rules.types:
        return None
    if kind not in rules.types:
        return Trouble.KIND, f"it is {kind}; types names {_listed(rules.types)}"
    if left := sorted({word if word in WORDS else OTHERWISE for word in unopened} - set(rules.types)):
        return Trouble.KIND, f"not looked into in it: {_listed(left)}; types names {_listed(rules.types)}"
    return None


def _code_of_others(rules: Rules, _: str, __: str, ___: object, named: Named) -> _Refused | None:
    """A preset with a list takes no word for code that nobody looked at."""
    if rules.kinds is None:
        return None
    if named.unread:
        return Trouble.CODE, named.unread
    if not rules.code and named.elsewhere:
        return Trouble.CODE, f"it names code that lies elsewhere: {_listed(named.elsewhere)}; code = true would take it"
    return None


def _meant(unknown: Sequence[str]) -> str:
    close = [known for word in unknown for known in get_close_matches(word, sorted(WORDS), n=1)]
    return f" (meant: {_listed(close)}?)" if close else ""


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words)
