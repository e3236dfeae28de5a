"""What one gate has admitted, the next one admits at once."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from diode.errors import Drop
from diode.protocol.auth import DatagramViews, Session
from diode.protocol.encoder import SlabEncoder, Slot
from diode.protocol.fec import choose_engine
from diode.protocol.gate import Gate
from diode.protocol.geometry import Geometry
from diode.protocol.heartbeat import Heartbeat, HeartbeatSealer
from diode.protocol.link_key import LinkKey
from diode.protocol.runs import Run, slice_runs
from diode.protocol.sessions import Admitted
from diode.protocol.wire import headers_of
from tests.diode.core.kernels import kernel_without

KEY, OTHER_KEY = LinkKey.of(bytes(range(32))), LinkKey.of(bytes(range(1, 33)))
GEOMETRY = Geometry(448, 1, 8, 0)
SESSION = Session(KEY, 77, "gmac")
SEALER = HeartbeatSealer(KEY, Session(KEY, 78, "gmac"), GEOMETRY.symbol_bytes)


def hear(gate: Gate, datagrams: np.ndarray) -> int:
    """How many datagrams of data pass."""
    mine = np.array(datagrams)
    views = DatagramViews(memoryview(mine.reshape(-1)), mine.shape[1], len(mine))
    return len(gate.admit(mine, views, 1.0))


def data() -> np.ndarray:
    """Eight authentic datagrams."""
    slot = Slot(memoryview(bytearray(8 * (GEOMETRY.symbol_bytes + 64))), GEOMETRY)
    SlabEncoder(choose_engine(), SESSION, KEY.key_id).padding(slot, 8)
    return slot.datagrams


def beat(number: int, sent: int) -> np.ndarray:
    """A heartbeat that says how many data datagrams were sent so far."""
    sessions = {f"{SESSION.session:016x}": sent}
    heartbeat = Heartbeat(epoch=1, number=number, clock=0, sessions=sessions, channels={}, bundles=[])
    return np.frombuffer(SEALER.seal(heartbeat), np.uint8).reshape(1, -1)


def gate(admitted: Iterable[Admitted] = (), *keys: LinkKey) -> Gate:
    """A gate as a new process makes it."""
    return Gate(keys or (KEY,), "gmac", Counter[Drop](), admitted=admitted)


def test_a_session_need_not_wait_for_the_next_heartbeat() -> None:
    """Only an earlier gate's word stands for it, and what that one reckoned with is not reckoned with again."""
    first = gate()
    assert 0 == hear(first, data())
    hear(first, beat(1, sent=0))
    hear(first, beat(2, sent=1000))
    assert (8, 1000) == (hear(first, data()), first.expected)
    second = gate(first.admitted)
    assert (8, 0) == (hear(second, data()), second.expected)
    hear(second, beat(3, sent=1500))
    assert 500 == second.expected


def test_a_kernel_lets_the_same_rows_pass() -> None:
    """Among damaged ones, ones of other sessions, and ones of a size that no link has."""
    announced = [Admitted(KEY.key_id, SESSION.session, 0)]
    with kernel_without(0) as kernel:
        drops = [Counter[Drop](), Counter[Drop]()]
        gates = [
            Gate((KEY,), "gmac", drops[0], admitted=announced),
            Gate((KEY,), "gmac", drops[1], admitted=announced, kernel=kernel),
        ]
        good, strange, damaged, odd = data(), data(), data(), np.ascontiguousarray(data()[:, :65])
        headers_of(strange)["session"][1::2] += 1
        damaged[np.arange(8), np.arange(40, 48) * 10] ^= 1
        headers_of(odd)["symbol_bytes"] = 1
        expected = {"good": 8, "strange": 4, "damaged": 0, "odd": 0}
        for one in gates:
            heard = {"good": good, "strange": strange, "damaged": damaged, "odd": odd}
            assert expected == {name: hear(one, run) for name, run in heard.items()}
        assert drops[0] == drops[1]
        assert 16 == drops[0][Drop.TAG]


def test_what_was_sent_before_we_came_was_not_lost() -> None:
    """A receiver that starts late counts losses from the first heartbeat on."""
    late = gate()
    hear(late, beat(1, sent=1000))
    hear(late, beat(2, sent=1010))
    assert 10 == late.expected


def test_a_session_of_a_key_that_is_gone_is_not_admitted() -> None:
    """The link key was replaced while the pipeline was down."""
    first = gate()
    hear(first, beat(1, sent=1000))
    assert 0 == hear(gate(first.admitted, OTHER_KEY), data())


def test_who_speaks_under_the_old_key_is_named_once() -> None:
    """Its heartbeats' session and its data's, whoever admitted them; not those who are silent, nor the new key's."""
    first = gate((), OTHER_KEY, KEY)
    hear(first, beat(1, sent=0))
    assert [(KEY.key_id, 78)] == list(first.old_key_sessions)
    for number in (2, 3):
        assert 8 == hear(first, data())
        hear(first, beat(number, sent=0))
    assert [(KEY.key_id, 78), (KEY.key_id, 77)] == list(first.old_key_sessions)
    later = gate(first.admitted, OTHER_KEY, KEY)
    assert not later.old_key_sessions
    hear(later, data())
    assert [(KEY.key_id, 77)] == list(later.old_key_sessions)
    new = gate((), KEY, OTHER_KEY)
    hear(new, beat(1, sent=0))
    assert (8, 0) == (hear(new, data()), len(new.old_key_sessions))


def test_strangers_sessions_are_not_looked_at_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A datagram of a session not admitted costs the same however many other sessions strangers claim beside it."""
    claimed = np.concatenate([data()] * 64)
    headers_of(claimed)["session"][1:] = np.arange(1000, 1000 + len(claimed) - 1)
    drops, looked_at = Counter[Drop](), list[int]()
    one = Gate([KEY], "gmac", drops, admitted=gate_that_heard().admitted)
    real = one._check

    def check(*args: Any) -> Any:
        looked_at.append(args[3].session)
        return real(*args)

    monkeypatch.setattr(one, "_check", check)
    assert 1 == hear(one, claimed)
    assert ([SESSION.session], len(claimed) - 1) == (looked_at, drops[Drop.SESSION])


def gate_that_heard() -> Gate:
    """One that has admitted ``SESSION``."""
    made = gate()
    hear(made, beat(1, sent=0))
    return made


@pytest.mark.parametrize(
    "claim", [512, 576, 0, 65535], ids=["one that divides", "one that does not", "none", "no size"]
)
def test_a_stranger_at_the_head_of_a_run_does_not_decide_how_it_is_cut(claim: int) -> None:
    """Network cards put datagrams of one flow into one run: one wrong header must not cost those behind it."""
    run = np.concatenate([data()[:1], data()])
    headers_of(run)["symbol_bytes"][0] = claim
    size, drops = run.shape[1], Counter[Drop]()
    assert [Run(0, size, 9)] == slice_runs(memoryview(run.reshape(-1)), [run.size], drops, usual_bytes=size)
    assert not drops


def test_a_sender_that_changed_its_size_is_followed() -> None:
    """The usual size is a hint: runs without a datagram of it are cut as they claim."""
    run, drops = data(), Counter[Drop]()
    assert [Run(0, run.shape[1], 8)] == slice_runs(memoryview(run.reshape(-1)), [run.size], drops, usual_bytes=1472)
    assert not drops
