"""Which worker may say what, on both sides: nobody may say what is another's."""

import json
from collections import Counter

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from diode.errors import MessageError
from diode.formats.names import MAX_SEQUENCE
from diode.layouts import kinds, names
from diode.process.vocabulary import Vocabulary
from diode.protocol import geometry, heartbeat, link_key, sessions, sizes
from diode.protocol.gate import Gate
from diode.protocol.link_key import LinkKey
from diode.protocol.sessions import Admitted
from diode.protocol.sizes import Kind, ObjectType
from receiver import settings
from receiver.messages import pipeline as messages
from receiver.messages import questions
from tests.vocabularies import SETTINGS, VOCABULARIES, any_message, beyond, simplest


def is_refused(words: Vocabulary, said: bytes, why: str) -> bool:
    """Whether somebody with these words may not say this, and for that reason."""
    try:
        words.decode(said)
    except MessageError as error:
        return why in str(error)
    return False


@pytest.mark.parametrize("who", VOCABULARIES)
def test_nobody_says_what_is_anothers(who: str) -> None:
    """It is refused by its name, whatever it says."""
    own, taken = VOCABULARIES[who], []
    for whose, other in VOCABULARIES.items():
        for kind in other.kinds - own.kinds:
            said = other.encode(simplest(other, kind))
            taken += [] if is_refused(own, said, "it may not say this") else [(whose, kind.__name__)]
    assert [] == taken


def test_only_store_speaks_of_bundles() -> None:
    """And only ``assemble`` of heartbeats and sessions; of itself alone, ``listen``."""
    names = {who: {kind.__name__ for kind in words.kinds} for who, words in VOCABULARIES.items()}
    assert {"SandboxLacks", "PeerRefused", "PathChosen"} == names["listen"]
    assert {"SandboxLacks", "PeerRefused", "EnginesChosen", "Heard", "OldKey"} == names["assemble"]
    assert {"SandboxLacks", "PeerRefused"} == names["examine"] == names["describe"]
    about = {kind for kind in messages.STORE_SAYS.kinds if issubclass(kind, messages._OfBundle)}
    assert len(about) >= 14
    assert not any(about & words.kinds for who, words in VOCABULARIES.items() if who != "store")
    assert {"store", "transmit"} == {who for who, said in names.items() if "Fatal" in said}


def test_no_message_to_a_supervisor_names_a_place() -> None:
    """Channel, label, path, size and signer are the supervisor's to look up."""
    for who in ("listen", "assemble", "examine", "describe", "store", "encode", "transmit"):
        fields = {f"{kind.__name__}.{f}" for kind, fs in VOCABULARIES[who]._fields.items() for f in fs}
        looked_up = {f for f in fields if f.split(".")[1] in ("channel", "label", "path", "name", "signer", "bytes")}
        assert looked_up <= {"PathChosen.path"}  # one of two words


def test_bounds_are_those_of_the_link() -> None:
    """``listen`` cannot import them."""
    assert (messages.MAX_SLABS, messages.MAX_SYMBOL_BYTES) == (sizes.MAX_SLABS, sizes.MAX_SYMBOL_BYTES)
    assert messages.MAX_SYMBOLS == sizes.MAX_ROWS * sizes.MAX_COLUMNS
    assert set(settings.AUTHS) == set(link_key.MODES)
    assert (questions.MAX_NAME, questions.KINDS) == (names.MAX_NAME, kinds.KINDS)
    assert {1, 2} == {int(Kind.DATA), int(Kind.OBJECT)}
    assert {0, 1, 2} == set(map(int, ObjectType))
    assert messages.MAX_BEAT > 6 * geometry.WIDE_SYMBOL_BYTES / 2 > heartbeat.MAX_CHANNELS * 160
    assert MAX_SEQUENCE < 1 << 63
    of_both_keys = 2 * sessions.MAX_SESSIONS  # a link key, and the one from before
    assert messages.MAX_SESSIONS == settings.MAX_SESSIONS == of_both_keys


def test_every_heartbeat_fits_into_its_message() -> None:
    """The longest one of a link fits, in ASCII."""
    names = {f"{n:02}" + "c" * 62: (1 << 53) for n in range(heartbeat.MAX_CHANNELS)}
    flights = [{"id": "f" * 16, "pass": 255, "passes": 255, "state": "withdrawn"}] * heartbeat.MAX_BUNDLES
    live = {f"{n:016x}": (1 << 63) - 1 for n in range(heartbeat.MAX_SESSIONS)}
    most = (1 << 63) - 1
    beat = heartbeat.Heartbeat.model_validate(
        {"epoch": most, "number": most, "clock": most, "sessions": live, "channels": names, "bundles": flights}
        | {"health": {f"h{n:02}" + "h" * 29: most for n in range(heartbeat.MAX_HEALTH)}}
    )
    words = VOCABULARIES["assemble"]
    admitted = (((1 << 16) - 1, (1 << 64) - 1, most),) * messages.MAX_SESSIONS
    said = words.decode(words.encode(messages.Heard(heartbeat.write_heartbeat(beat), admitted, "0" * 64, 1)))
    assert beat == heartbeat.read_heartbeat(said.beat)


def test_all_sessions_of_both_keys_fit_into_a_message() -> None:
    """During a rotation each key has its own: an old key's holder ends no worker by announcing many."""
    keys = [LinkKey.of(bytes([n]) * 32) for n in (1, 2)]
    known = [Admitted(key.key_id, 1000 * n + i, 5) for n, key in enumerate(keys) for i in range(sessions.MAX_SESSIONS)]
    admitted = tuple(Gate(keys, "gmac", Counter(), None, known).admitted)
    words = VOCABULARIES["assemble"]
    assert admitted == words.decode(words.encode(messages.Heard("{}", admitted, "0" * 64, 0))).admitted


# what a worker is told when it starts


@pytest.mark.parametrize("name", SETTINGS)
@settings_of_hypothesis(max_examples=30, suppress_health_check=[HealthCheck.too_slow])  # a machine may be busy
@given(data=st.data())
def test_settings_come_back_as_they_were_said(name: str, data: st.DataObject) -> None:
    """Whatever a configuration makes of them, within their bounds."""
    words = SETTINGS[name]
    told = data.draw(any_message(words))
    assert told == words.decode(words.encode(told))


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_beyond_their_bounds_are_refused(name: str) -> None:
    """The line of a worker's settings names its fields; one that is out of bounds ends the worker before it begins."""
    words, taken = SETTINGS[name], []
    (kind,) = words.kinds
    said = json.loads(words.encode(simplest(words, kind)))
    for field, bound in words._fields[kind].items():
        assert field in said
        for value in beyond(bound):
            line = json.dumps(said | {field: value}, separators=(",", ":")).encode()
            taken += [] if is_refused(words, line, name) else [(field, value)]
    assert [] == taken


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_are_never_a_dict(name: str) -> None:
    """Neither said as one, nor of a class that is one, nor with a field too many or too few."""
    words = SETTINGS[name]
    (kind,) = words.kinds
    told = simplest(words, kind)
    said = json.loads(words.encode(told))
    with pytest.raises(ValueError, match="dict is not said here"):
        words.encode(said)
    with pytest.raises(TypeError, match="dict is no frozen class"):
        Vocabulary(dict)
    missing = {field: value for field, value in said.items() if field in ("say", *list(said)[2:])}
    for wrong in (said | {"more": 1}, missing):
        with pytest.raises(MessageError):
            words.decode(json.dumps(wrong, separators=(",", ":")).encode())
