"""Examines identity material by the pins of this side, against a copy of what was published last under its name."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from diode.errors import MessageError, PathError
from diode.formats.names import check_component
from diode.identity.check import RefusedMaterialError, check, load
from diode.identity.kept import FolderFiles, Kept, read_before
from diode.identity.material import Fault
from diode.identity.rules import IdentityRules
from diode.storage.folder import Folder
from receiver.messages.questions import Question, Sound, Unsound

NO_RULES: Final = (
    "it is to be examined as identity material, and no pins of its channel were read; start the receiver anew"
)


@dataclass(frozen=True, slots=True)
class Material:
    """The rules of each channel of identity material. ``kept``: where the copies lie, which ``store`` writes."""

    kept: Path
    rules: Mapping[str, IdentityRules]

    @classmethod
    def of(cls, kept: str, said: Iterable[tuple[str, str]]) -> Self:
        """From the settings of the worker. The libraries are loaded now: a confined child could not."""
        rules = {channel: IdentityRules.of(text) for channel, text in said}
        for one in rules.values():
            load(one.kinds)
        return cls(Path(kept), rules)

    def copy(self, question: Question) -> Sequence[str]:
        """Where the copy lies that a bundle has to follow; nothing: there is none. Raises MessageError."""
        if not question.before:
            return ()
        try:
            for name in (question.channel, question.name):
                check_component(name)
        except PathError as error:
            raise MessageError("Question", str(error)) from error
        return (str(Kept(self.kept).path(question.channel, question.name, question.before)),)

    def judge(self, question: Question, data: str, copy: Sequence[str]) -> Sound | Unsound:
        """What the channel's rules say of the files at ``data``. Of another channel: nothing is against it."""
        if not question.at_s:
            return Sound(question.bundle)
        rules = self.rules.get(question.channel)
        if rules is None:
            return Unsound(question.bundle, "unanswered", NO_RULES)
        try:
            before = read_before(Folder.open(Path(copy[0]))) if copy else None
        except (OSError, ValueError, KeyError) as error:
            said = (
                f"the copy of what was published before cannot be read ({copy[0]}: {error}), so nothing can follow it"
            )
            return Unsound(question.bundle, Fault.BASE, said)
        try:
            check(rules, FolderFiles(Folder.open(Path(data))), before, datetime.fromtimestamp(question.at_s, UTC))
        except RefusedMaterialError as error:
            return Unsound(question.bundle, error.fault, error.said)
        return Sound(question.bundle)
