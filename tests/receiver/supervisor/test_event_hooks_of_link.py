"""Which events of the link event hooks are told."""

from pathlib import Path

import pytest

from diode.config.init import init_pair
from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.process.event_hooks import Happening
from receiver.events.happened import Event
from receiver.events.of_link import LinkAlive, LinkImpaired, LinkSilent
from receiver.supervisor.event_hooks import Told

WRONG_KEY, SILENT = (LinkSilent(4.0, state, "says", {}, "do") for state in ("wrong_key", "silent"))
CLOCK, ALIVE = LinkImpaired(4.0, "clock", "says", {}, "do"), LinkAlive(9.0)


@pytest.mark.parametrize(
    ("events", "told"),
    [
        ((SILENT, SILENT, SILENT, ALIVE), ["silent", "alive"]),
        ((SILENT, WRONG_KEY, SILENT, WRONG_KEY, ALIVE), ["silent", "wrong_key", "alive"]),
        ((CLOCK, CLOCK, SILENT, CLOCK), ["silent", "alive"]),
        ((SILENT, CLOCK, ALIVE, SILENT), ["silent", "alive", "silent"]),
        ((CLOCK, ALIVE), []),
    ],
)
def test_a_silence_and_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, events: tuple[Event, ...], told: list[str]
) -> None:
    """Each cause once, also where something else was wrong before, or is when heartbeats are heard again."""
    init_pair(tmp_path, to="127.0.0.1:9", listen="127.0.0.1:9", mtu=1500, rate=0, profile="standard", auth="gmac")
    hooks, happened = Told(load(ReceiverConfig, tmp_path / "receiver" / "receiver.toml")), []

    def tell(happening: Happening) -> None:
        happened.append(happening.facts.get("state", happening.event))

    monkeypatch.setattr(hooks.hooks, "tell", tell)
    for event in events:
        hooks.read(event)
    assert told == happened
