"""Health hooks: asked about what is in use now, once, and answered in the receiver's own name."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner

from diode.config.init import init_receiver
from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.errors import NotInitialisedError
from diode.trust.keys import new_link_key, read_signer
from receiver.events.happened import Event, HealthFound, HealthUnsaid, NowInUse
from receiver.ledger.ledgers import StoreLedger
from receiver.promotion.health import Health, Question
from receiver.promotion.orders import Given, Order, read_orders, write_order
from receiver.release.words import Speakers
from receiver.supervisor import health_hooks
from receiver.supervisor.health_hooks import HealthHooks
from receiver.supervisor.station import Station
from tests.patience import until
from tests.receiver.events.happenings import ROW

NOW = "2026-11-28T12:00:00Z"


class Hook:
    """In the place of a site's command: it answers when it may."""

    def __init__(self) -> None:
        self.asked: list[Question] = []
        self.may_answer = asyncio.Event()
        self.found = Health(is_healthy=False, detail="no tokens")

    async def check(self, command: Any, question: Question, *_: Any) -> Health:
        """What it is told to find."""
        self.asked.append(question)
        await self.may_answer.wait()
        return self.found


class Watching:
    """The reader of a receiver whose channel ``cve`` has a hook."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        init_receiver(folder, listen="127.0.0.1:9", auth="none", link_key=new_link_key(), public=None)
        with (folder / "receiver.toml").open("a") as file:
            file.write('[channels.cve]\nhealth = ["/bin/true"]\n[gateway]\nurl = "https://gate:1"\n')
        self.hook = Hook()
        monkeypatch.setattr(health_hooks, "check_health", self.hook.check)
        monkeypatch.setattr(health_hooks, "AGAIN_S", 0.01)
        self.said: list[Event] = []
        self.is_over = False
        self.config = load(ReceiverConfig, folder / "receiver.toml")
        self.config.state.mkdir(exist_ok=True)
        ledger = StoreLedger(folder / "ledger.db")
        self.hooks = HealthHooks(self.config, ledger, lambda: self.is_over, self.said.append)

    async def read(self, *events: Event) -> None:
        """Take these events, and let what they begin begin."""
        for event in events:
            self.hooks.read(event)
        await asyncio.sleep(0)

    def orders(self) -> list[Given]:
        """What was handed to ``store``, and who says so."""
        key = read_signer(self.config.service_key).public_key
        found = read_orders(self.config.state, Speakers(None, key), NOW)
        return [one for one in found if isinstance(one, Given)]


@pytest.fixture
def watching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watching:
    """A receiver."""
    return Watching(tmp_path, monkeypatch)


async def test_it_is_asked_once_and_answers_by_the_own_key(watching: Watching) -> None:
    """Though a new pipeline says once more what is in use. The order names the pointer's number."""
    await watching.read(NowInUse(ROW, 3, "trial"), NowInUse(ROW, 3, "trial"))
    watching.hook.may_answer.set()
    await until(lambda: bool(watching.orders()), "an order lies there")
    (given,) = watching.orders()
    assert ("the receiver", "unhealthy", 3, "no tokens", "cve/b/1") == (
        *(given.person, given.order.what, given.order.expects, given.order.reason),
        f"{given.order.channel}/{given.order.name}/{given.order.version}",
    )
    (question,) = watching.hook.asked
    assert ("1", "", "https://gate:1") == (question.version, question.previous, question.url)
    assert question.path.is_absolute()
    assert [HealthFound] == [type(event) for event in watching.said]


async def test_what_is_in_use_no_more_is_not_waited_for(watching: Watching) -> None:
    """The hook that runs is ended, and the next one asked."""
    await watching.read(NowInUse(ROW, 3, "trial"))
    await watching.read(NowInUse(ROW, 4, "drill"))
    watching.hook.found = Health(is_healthy=True, detail="")
    watching.hook.may_answer.set()
    await until(lambda: bool(watching.orders()), "an order lies there")
    assert [("healthy", 4)] == [(one.order.what, one.order.expects) for one in watching.orders()]


async def test_an_answer_that_cannot_be_written_is_written_later(watching: Watching) -> None:
    """And is told of meanwhile."""
    (watching.config.state / "orders").write_text("in the way")
    await watching.read(NowInUse(ROW, 3, "trial"))
    watching.hook.may_answer.set()
    await until(lambda: any(isinstance(one, HealthUnsaid) for one in watching.said), "it is told of")
    (watching.config.state / "orders").unlink()
    await until(lambda: bool(watching.orders()), "an order lies there")


async def test_none_is_begun_at_the_end_or_without_a_hook(watching: Watching) -> None:
    """And those that run are ended."""
    await watching.read(NowInUse(ROW._replace(channel="other"), 3, "trial"))
    await watching.read(NowInUse(ROW, 3, "trial"))
    await watching.hooks.close()
    watching.is_over = True
    await watching.read(NowInUse(ROW, 4, "trial"))
    assert (1, []) == (len(watching.hook.asked), watching.said)


def test_a_receiver_with_a_hook_needs_a_service_key(watching: Watching) -> None:
    """Otherwise nobody could tell the hook's word from a stranger's; it says so before anything is opened."""
    watching.config.service_key.unlink()
    (watching.config.signers / "a.pub").write_text("")
    with pytest.raises(NotInitialisedError, match=r"service\.key is missing"):
        Station(watching.config)


def test_the_word_of_a_stranger_is_not_the_receivers(watching: Watching, tmp_path: Path) -> None:
    """Whoever may write into the state folder is a Unix user there, and not the receiver."""
    stranger = CryptoSigner.generate_ed25519()
    write_order(watching.config.state, Order(id="0" * 16, what="healthy", at=NOW, channel="cve"), [stranger])
    assert ["the receiver"] != [one.person for one in watching.orders()]
