"""After publication: names belong to one channel, in whatever spelling, and only the configuration moves them."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner

from diode.audit.chain import What
from diode.audit.verify import entries_of
from diode.errors import MessageError, StorageError
from diode.layouts.names import normal_form
from receiver.catalogue.card import Claim
from receiver.catalogue.snapshot import CARDS, Snapshot
from receiver.describe.makers import MAKERS
from receiver.describe.protocols import Described, Made
from receiver.messages.pipeline import NamesRefused, NotDescribed
from receiver.messages.questions import Claims, DescribeBundle, DescribedBundle
from tests.enclave import Enclave
from tests.link import Bundle, make_bundle

CONFIG = '[channels.base]\nserve = ["pypi"]\n[channels.late]\nserve = ["pypi"]\n'
SIGNER = CryptoSigner.generate_ed25519()


def wheels(one: Described) -> Made:
    """A maker that takes each file's name for that of a project."""
    names = [file.path.removesuffix(".whl") for file in one.files.table()]
    return Made(claims=[Claim("pypi", normal_form("pypi", name), name) for name in names])


@pytest.fixture(autouse=True)
def maker(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the place of the real one."""
    monkeypatch.setitem(MAKERS, "pypi", wheels)


@pytest.fixture
def enclave(tmp_path: Path) -> Iterator[Enclave]:
    """Two channels that serve Python packages."""
    made = Enclave(tmp_path / "receiver", {"alice.pub": SIGNER}, CONFIG)
    yield made
    made.stop()


def bundle(channel: str, *names: str, sequence: int = 1, **fields: Any) -> Bundle:
    """One that holds something of these projects."""
    files = {f"{name}.whl": name.encode() for name in names}
    return make_bundle(files, signer=SIGNER, channel=channel, sequence=sequence, **fields)


def holders(enclave: Enclave) -> dict[str, str]:
    """Whose each name is."""
    return {one.normal: one.channel for one in enclave.store.records.ledger.catalogue.holders()}


def served(enclave: Enclave, name: str) -> list[str]:
    """The channels of which clients are given something of a name."""
    with Snapshot(enclave.config.gateway.index) as snapshot:
        return [one.channel for one in snapshot.holding("pypi", name)]


def refusals(enclave: Enclave) -> list[str | None]:
    """What the audit log says of names that are not served."""
    return [one.detail for one in entries_of(enclave.config.audit_folder) if one.what is What.NAME_REFUSED]


def configure(enclave: Enclave, old: str, new: str) -> None:
    """Another configuration, and a restart."""
    path = enclave.folder / "receiver.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    enclave.restart()
    enclave.tick()


@pytest.mark.parametrize("spelling", ["num-py", "Num.Py", "NUM__py"])
def test_a_name_of_another_channel_is_not_served(enclave: Enclave, spelling: str) -> None:
    """In any spelling; what else is in the bundle is served, and it is alarmed and written down."""
    enclave.take(bundle("base", "num-py"))
    later = bundle("late", spelling, "torch")
    enclave.take(later)
    assert {"num-py": "base", "torch": "late"} == holders(enclave)
    assert (["base"], ["late"]) == (served(enclave, "num-py"), served(enclave, "torch"))
    (told,) = enclave.said(NamesRefused)
    assert (f"{later.number:016x}", 1, "pypi num-py (of base)") == (told.bundle, told.count, told.detail)
    assert ["pypi num-py (of base)"] == refusals(enclave)
    enclave.take(bundle("base", "num-py", sequence=2))
    assert ["base", "base"] == served(enclave, "num-py")


def test_a_name_stays_with_who_published_it_first(enclave: Enclave) -> None:
    """However many versions another channel sends, and over restarts."""
    enclave.take(bundle("late", "num-py"))
    for sequence in (1, 2, 3):
        enclave.take(bundle("base", "num-py", sequence=sequence))
        enclave.restart()
    assert {"num-py": "late"} == holders(enclave)
    assert ["late"] == served(enclave, "num-py")
    assert 3 == len(refusals(enclave))


def test_the_configuration_says_whose_a_name_is(enclave: Enclave) -> None:
    """From the next start on, and what that takes away is written down; without it the first one has it again."""
    enclave.take(bundle("late", "num-py"))
    enclave.take(bundle("base", "num-py"))
    configure(enclave, "[channels.base]\n", '[channels.base]\nnames = ["pypi:Num.*"]\n')
    assert {"num-py": "base"} == holders(enclave)
    assert ["base"] == served(enclave, "num-py")
    assert "pypi num-py (of base)" == refusals(enclave)[-1]
    configure(enclave, 'names = ["pypi:Num.*"]\n', "")
    assert ["late"] == served(enclave, "num-py")
    assert "pypi num-py (of late)" == refusals(enclave)[-1]


def test_what_was_published_before_is_looked_into_at_the_start(enclave: Enclave) -> None:
    """After an upgrade, when the channel serves something else, and when the cards are gone."""
    one = bundle("base", "num-py")
    enclave.take(one)
    card = enclave.config.gateway.index / CARDS / f"{one.number:016x}.db"
    assert card.exists()
    shutil.rmtree(enclave.config.gateway.index)
    enclave.restart()
    enclave.tick()
    assert (card.exists(), ["base"]) == (True, served(enclave, "num-py"))
    configure(enclave, '[channels.base]\nserve = ["pypi"]', "[channels.base]\nserve = []")
    assert [] == served(enclave, "num-py")
    configure(enclave, "[channels.base]\nserve = []", '[channels.base]\nserve = ["pypi"]')
    assert ["base"] == served(enclave, "num-py")


def test_a_name_moves_when_it_was_looked_into(enclave: Enclave) -> None:
    """Not before: nothing of it could be served."""
    one = bundle("base", "num-py", name="n", version="v1")
    enclave.take(one)
    pointer = enclave.store.records.ledger.pointers.get("base", "n")
    assert pointer is not None
    assert pointer.current is not None
    assert (f"{one.number:016x}", "v1") == (pointer.current.bundle, pointer.current.version)


def test_what_cannot_be_looked_into_is_in_use_all_the_same(enclave: Enclave, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, and its files are there; its names are nobody's."""

    def fails(_: Described) -> Made:
        raise ValueError("broken")

    monkeypatch.setitem(MAKERS, "pypi", fails)
    enclave.take(bundle("base", "num-py", name="n"))
    (told,) = enclave.said(NotDescribed)
    assert "pypi: ValueError: broken" == told.detail
    assert ({}, []) == (holders(enclave), served(enclave, "num-py"))
    assert enclave.store.records.ledger.pointers.get("base", "n") is not None


def test_a_disk_that_does_not_take_it_is_tried_again(enclave: Enclave, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is lost, and nothing is done twice."""
    writer = type(enclave.store.records.ledger.catalogue)
    real: Any = writer.note
    failures: list[int] = []

    def note(*arguments: Any) -> None:
        if len(failures) < 2:
            failures.append(1)
            raise StorageError("full")
        real(*arguments)

    monkeypatch.setattr(writer, "note", note)
    enclave.take(bundle("base", "num-py"))
    enclave.take(bundle("late", "torch"))
    enclave.tick()
    assert {"num-py": "base", "torch": "late"} == holders(enclave)
    assert (["base"], []) == (served(enclave, "num-py"), refusals(enclave))


class Liar:
    """Says something else than what it was asked for."""

    fd = -1

    def __init__(self, *lies: Any) -> None:
        self.lies = list(lies)

    def ask(self, question: DescribeBundle) -> None:
        """It listens."""

    def answers(self) -> Iterator[Any]:
        """Its lies."""
        while self.lies:
            yield self.lies.pop(0)


LIES: dict[str, Callable[[str], list[Any]]] = {
    "another bundle": lambda _: [DescribedBundle("f" * 16, "", "", "{}", "")],
    "another kind": lambda asked: [Claims(asked, "npm", (("x", "x"),))],
    "another form": lambda asked: [Claims(asked, "pypi", (("X", "X"),)), DescribedBundle(asked, "", "", "{}", "")],
    "too late": lambda asked: [DescribedBundle(asked, "", "", "{}", ""), Claims(asked, "pypi", (("x", "x"),))],
}


@pytest.mark.parametrize("how", LIES)
def test_a_worker_that_lies_is_not_believed(enclave: Enclave, how: str) -> None:
    """It is known as its own, and nothing of it is recorded."""
    one = bundle("base", "num-py")
    following = enclave.store.following.describing
    following._describer = Liar(*LIES[how](f"{one.number:016x}"))
    with pytest.raises(MessageError) as caught:
        enclave.take(one)
    assert "receiver.describe" == caught.value.peer
    assert {} == holders(enclave)


def test_what_gc_removed_is_not_looked_for(enclave: Enclave) -> None:
    """Its claims stay: the name is not free for others."""
    one = bundle("base", "num-py")
    enclave.take(one)
    catalogue = enclave.store.records.ledger.catalogue
    with catalogue.together():
        catalogue.note_removed(f"{one.number:016x}", "2026-11-28T00:00:00Z")
    shutil.rmtree(enclave.config.gateway.index / CARDS)
    enclave.restart()
    enclave.tick()
    assert [] == list((enclave.config.gateway.index / CARDS).iterdir())
    enclave.take(bundle("late", "num-py"))
    assert {"num-py": "base"} == holders(enclave)
