"""Decides on one file by its channel's rules: taken, with notes about it, or refused, with the reason for people."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from diode.content.allowance import Allowance
from diode.content.archives.members import shown
from diode.content.code_names import is_code
from diode.content.examine import Examined, examine
from diode.content.item import Item
from diode.content.remote_code import Named, code_named
from diode.content.rules import ALSO, OTHERWISE, PRESETS, WORDS, Rules
from diode.content.trouble import Trouble
from diode.content.words import COMPRESSED, LOOKED_INTO, PROGRAMS, UNOPENED

_TAKE_ARCHIVES: Final = " or ".join(f'"{name}"' for name, preset in PRESETS.items() if preset.takes_archives)
_OF_MANY: Final = LOOKED_INTO - COMPRESSED  # archives; the others are one file that is compressed
_MOST_NOTED: Final = 4
_INSTEAD: Final = "ask for safetensors, GGUF, or npy without objects instead"  # of what a loader would run
_FACTS: Final = {  # what is sound, and may surprise
    "long_names": "names of tensors are longer than 63 bytes, which loaders take only when they are built so",
    "byte_order_mark": "it begins with a byte order mark, which some readers refuse",
}


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
        return found.kind not in COMPRESSED or bool(_OF_MANY & found.inside.keys())
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


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words)
