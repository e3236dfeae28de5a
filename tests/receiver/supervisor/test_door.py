"""What workers say is taken at the door, one story a message, and nothing of it is an event by itself."""

from typing import Any, get_args

import pytest

from diode.errors import CoreError, DiodeError, MessageError, StorageError
from diode.process.messages import EnginesChosen, Fatal, PathChosen, PeerRefused, SandboxLacks
from receiver.events.happened import EnginesTaken, Event, IsalAbsent, SandboxIncomplete, UdpPathTaken
from receiver.messages.pipeline import ASSEMBLE_SAYS, LISTEN_SAYS, STORE_SAYS, Accepted, Heard, OldKey, Progress
from receiver.messages.questions import EXAMINE_SAYS
from receiver.spool.disk import DiskHealth
from receiver.supervisor.door import Door
from tests.receiver.events.happenings import ACCEPTED, BUNDLE
from tests.vocabularies import simplest


class Named:
    """A worker, as far as the door knows it."""

    def __init__(self, name: str) -> None:
        self.name = name


class Behind:
    """What lies behind the door: link, ledger, what is coming and the workers, in one."""

    def __init__(self) -> None:
        self.coming: dict[str, Any] = {}
        self.worker_group = self
        self.fatal: Fatal | None = None
        self.told: list[tuple[Any, ...]] = []
        self.looked_up: Event | Exception | None = None

    def heard(self, message: Heard, now: float, receiving: dict[str, Any]) -> None:
        """As the link."""
        self.told.append(("heard", now, receiving is self.coming))

    def old_key(self, message: OldKey) -> None:
        """As the link."""
        self.told.append(("old key", message.key))

    def alarm(self, name: str, kind: str, why: str) -> None:
        """As the worker group."""
        self.told.append(("alarm", name, kind))

    def event(self, message: object) -> Event | None:
        """As the lookup."""
        if isinstance(self.looked_up, Exception):
            raise self.looked_up
        return self.looked_up


class Taking:
    """A door, and what it said."""

    def __init__(self, *, has_choice: bool = True, needs_core: bool = False) -> None:
        behind: Any = Behind()
        self.behind = behind
        self.said: list[Event] = []
        self.failing: list[object] = []
        self.failures: list[DiodeError] = []
        disk = DiskHealth(self.failing.append)
        given = behind, behind, behind, behind, disk, self.said.append, self.failures.append
        self.door = Door(*given, has_choice=has_choice, needs_core=needs_core, clock=lambda: 5.0)

    def take(self, message: object, name: str = "receiver.store") -> None:
        """One message of a worker."""
        self.door.take(Named(name), message)  # type: ignore[arg-type]


def test_each_message_has_its_story() -> None:
    """Heartbeats and keys go to the link, the rest is said, or remembered."""
    taking = Taking()
    taking.take(simplest(ASSEMBLE_SAYS, Heard), "receiver.assemble")
    taking.take(OldKey("00ff", "0" * 16), "receiver.assemble")
    assert [("heard", 5.0, True), ("old key", "00ff")] == taking.behind.told
    taking.take(PathChosen("batched"), "receiver.listen")
    taking.take(SandboxLacks(("landlock",)))
    taking.take(SandboxLacks(()))
    taking.take(EnginesChosen("zfec", "library", "readable", "damaged"), "receiver.assemble")
    taking.take(EnginesChosen("isal", "core", "core", ""), "receiver.assemble")
    expected = [
        UdpPathTaken("batched"),
        SandboxIncomplete("receiver.store", ("landlock",)),
        IsalAbsent(),
        EnginesTaken("zfec", "library", "readable", "damaged"),
        EnginesTaken("isal", "core", "core", ""),
    ]
    assert expected == taking.said
    assert [] == taking.failures
    taking.take(Fatal("no memory", 1))
    assert Fatal("no memory", 1) == taking.behind.fatal


def test_who_chose_zfec_is_not_told_of_it() -> None:
    """The configuration named it."""
    taking = Taking(has_choice=False)
    taking.take(EnginesChosen("zfec", "library", "readable", ""))
    assert [EnginesTaken("zfec", "library", "readable", "")] == taking.said


def test_a_required_core_that_is_refused_ends_the_daemon() -> None:
    """With the reason, and the exit code of a configuration that cannot be used here."""
    taking = Taking(needs_core=True)
    taking.take(EnginesChosen("isal", "core", "core", ""))
    assert [] == taking.failures
    taking.take(EnginesChosen("isal", "library", "readable", "damaged"))
    (failure,) = taking.failures
    assert isinstance(failure, CoreError)
    assert "damaged" in str(failure)
    assert 2 == failure.exit_code


@pytest.mark.parametrize(
    ("name", "peer", "counted"),
    [
        ("receiver.store", "", "receiver.assemble"),
        ("receiver.store", "receiver.examine", "receiver.examine"),
        ("receiver.assemble", "", "receiver.listen"),
        ("receiver.listen", "receiver.assemble", "receiver.assemble"),
        ("receiver.examine", "", "receiver.store"),
        ("receiver.store", "receiver.describe", "receiver.describe"),
        ("receiver.describe", "", "receiver.store"),
    ],
)
def test_who_was_refused_by_another_worker_is_counted(name: str, peer: str, counted: str) -> None:
    """Under the name that people know."""
    taking = Taking()
    taking.take(PeerRefused("Held", "why", peer), name)
    assert [("alarm", counted, "Held")] == taking.behind.told


def test_a_worker_blames_none_that_it_does_not_hear() -> None:
    """Else one that was taken over could have others counted."""
    with pytest.raises(MessageError):
        Taking().take(PeerRefused("Held", "why", "receiver.listen"))


def test_what_store_names_is_looked_up() -> None:
    """What comes of it is said; what came too late is nothing; what cannot be true is passed on."""
    taking = Taking()
    taking.behind.looked_up = ACCEPTED
    taking.take(Accepted(BUNDLE))
    taking.behind.looked_up = None
    taking.take(Progress(BUNDLE, 1, 1))
    assert [ACCEPTED] == taking.said
    taking.behind.looked_up = MessageError("Accepted", "no")
    with pytest.raises(MessageError):
        taking.take(Accepted(BUNDLE))


def test_a_ledger_that_cannot_be_asked_ends_nobody() -> None:
    """The disk's failure is said."""
    taking = Taking()
    taking.behind.looked_up = StorageError("the disk fails")
    taking.take(Accepted(BUNDLE))
    assert ([], 1) == (taking.said, len(taking.failing))


def test_no_message_is_an_event() -> None:
    """Whatever a worker may say, what is said to the readers is another class."""
    messages = set().union(*(says.kinds for says in (STORE_SAYS, ASSEMBLE_SAYS, LISTEN_SAYS, EXAMINE_SAYS)))
    assert set() == messages & set(get_args(Event))
