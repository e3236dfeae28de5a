"""Which worker may say what, on both sides: nobody may say what is another's."""

import itertools
from collections import Counter

import pytest

from diode.errors import MessageError
from diode.formats import names as bounds
from diode.protocol import auth, gate, geometry, heartbeat, wire
from diode.protocol.auth import LinkKey
from diode.protocol.wire import Kind, ObjectType
from receiver import messages, settings
from tests.vocabularies import VOCABULARIES, simplest

ANY = {"SandboxLacks", "PeerRefused", "PathChosen", "Fatal"}  # of itself, a worker may say as much


def others() -> list[tuple[str, str, type]]:
    """(who, whose, kind) of each message of somebody that somebody else may not say."""
    pairs = itertools.permutations(VOCABULARIES.items(), 2)
    return [
        (who, whose, kind)
        for (who, own), (whose, other) in pairs
        for kind in sorted(other.kinds - own.kinds, key=lambda kind: kind.__name__)
    ]


@pytest.mark.parametrize(("who", "whose", "kind"), others())
def test_nobody_says_what_is_anothers(who: str, whose: str, kind: type) -> None:
    """It is refused by its name, whatever it says."""
    said = VOCABULARIES[whose].encode(simplest(VOCABULARIES[whose], kind))
    with pytest.raises(MessageError, match="it may not say this"):
        VOCABULARIES[who].decode(said)


def test_only_store_speaks_of_bundles() -> None:
    """And only ``assemble`` of heartbeats and sessions; of itself alone, ``listen``."""
    names = {who: {kind.__name__ for kind in words.kinds} for who, words in VOCABULARIES.items()}
    assert {"SandboxLacks", "PeerRefused", "PathChosen"} == names["listen"]
    assert {"SandboxLacks", "PeerRefused", "EngineChosen", "Heard", "OldKey"} == names["assemble"]
    assert {"SandboxLacks", "PeerRefused"} == names["examine"]
    about = {kind for kind in messages.STORE_SAYS.kinds if issubclass(kind, messages._OfBundle)}
    assert len(about) >= 14
    assert not any(about & words.kinds for who, words in VOCABULARIES.items() if who != "store")
    assert {"store", "transmit"} == {who for who, said in names.items() if "Fatal" in said}


def test_no_message_to_a_supervisor_names_a_place() -> None:
    """Channel, label, path, size and signer are the supervisor's to look up."""
    for who in ("listen", "assemble", "examine", "store", "encode", "transmit"):
        fields = {f"{kind.__name__}.{f}" for kind, fs in VOCABULARIES[who]._fields.items() for f in fs}
        looked_up = {f for f in fields if f.split(".")[1] in ("channel", "label", "path", "name", "signer", "bytes")}
        assert looked_up <= {"PathChosen.path"}  # one of two words


def test_bounds_are_those_of_the_link() -> None:
    """``listen`` cannot import them."""
    assert (messages.MAX_SLABS, messages.MAX_SYMBOL_BYTES) == (wire.MAX_SLABS, wire.MAX_SYMBOL_BYTES)
    assert messages.MAX_SYMBOLS == wire.MAX_ROWS * wire.MAX_COLUMNS
    assert set(settings.AUTHS) == set(auth.MODES)
    assert {1, 2} == {int(Kind.DATA), int(Kind.OBJECT)}
    assert {0, 1, 2} == set(map(int, ObjectType))
    assert messages.MAX_BEAT > 6 * geometry.WIDE_SYMBOL_BYTES / 2 > heartbeat.MAX_CHANNELS * 160
    assert bounds.MAX_SEQUENCE < 1 << 63
    assert messages.MAX_SESSIONS == 2 * gate.MAX_SESSIONS  # a link key, and the one from before


def test_every_heartbeat_fits_into_its_message() -> None:
    """The longest one of a link fits, in ASCII."""
    names = {f"{n:02}" + "c" * 62: (1 << 53) for n in range(heartbeat.MAX_CHANNELS)}
    flights = [{"id": "f" * 16, "pass": 255, "passes": 255, "state": "withdrawn"}] * heartbeat.MAX_BUNDLES
    sessions = {f"{n:016x}": (1 << 63) - 1 for n in range(heartbeat.MAX_SESSIONS)}
    most = (1 << 63) - 1
    beat = heartbeat.Heartbeat.model_validate(
        {"epoch": most, "number": most, "clock": most, "sessions": sessions, "channels": names, "bundles": flights}
        | {"health": {f"h{n:02}" + "h" * 29: most for n in range(heartbeat.MAX_HEALTH)}}
    )
    words = VOCABULARIES["assemble"]
    admitted = (((1 << 16) - 1, (1 << 64) - 1, most),) * messages.MAX_SESSIONS
    said = words.decode(words.encode(messages.Heard(heartbeat.write_heartbeat(beat), admitted, "0" * 64, 1)))
    assert beat == heartbeat.read_heartbeat(said.beat)


def test_all_sessions_of_both_keys_fit_into_a_message() -> None:
    """During a rotation each key has its own: an old key's holder ends no worker by announcing many."""
    keys = [LinkKey.of(bytes([n]) * 32) for n in (1, 2)]
    known = [gate.Admitted(key.key_id, 1000 * n + i, 5) for n, key in enumerate(keys) for i in range(gate.MAX_SESSIONS)]
    admitted = tuple(gate.Gate(keys, "gmac", Counter(), None, known).admitted)
    words = VOCABULARIES["assemble"]
    assert admitted == words.decode(words.encode(messages.Heard("{}", admitted, "0" * 64, 0))).admitted
