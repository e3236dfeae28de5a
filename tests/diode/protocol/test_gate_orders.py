"""Heartbeats: whose word counts, for how long, and what strangers may cost."""

import time
from collections import Counter
from typing import Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diode.errors import Drop
from diode.protocol.auth import DatagramViews, HeartbeatAuth, Session
from diode.protocol.gate import Gate
from diode.protocol.heartbeat import FEWEST_SESSIONS, Heartbeat, HeartbeatSealer, parse_heartbeat_mac
from diode.protocol.link_key import LinkKey, Mode
from diode.protocol.link_order import LinkOrder
from diode.protocol.sessions import MAX_AHEAD, MAX_SESSIONS, Admitted
from diode.protocol.sizes import HEADER_BYTES, MIN_SYMBOL_BYTES, TAG_BYTES, Kind
from diode.protocol.trials import MAC_CHECKS_PER_S, MAC_SAMPLE, TRIALS_PER_S
from diode.protocol.wire import headers_of, pack_lone_headers

NEW, OLD = LinkKey.of(bytes(range(32))), LinkKey.of(bytes(range(1, 33)))
FAR: Final = (1 << 63) - 1
S: Final = MIN_SYMBOL_BYTES


class Sender:
    """Seals heartbeats under one key, in one session, as one process does."""

    def __init__(self, key: LinkKey, session: int = 78, mode: Mode = "gmac") -> None:
        self.session = session
        self._sealer = HeartbeatSealer(key, Session(key, session, mode), S)

    def mac(self, epoch: int, number: int, **sessions: int) -> bytes:
        """Of kind 4."""
        return self._sealer.seal_mac(body(epoch, number, sessions or {f"{self.session:016x}": 0}))

    def old(self, epoch: int, number: int, **sessions: int) -> bytes:
        """Of kind 3."""
        return self._sealer.seal(body(epoch, number, sessions or {f"{self.session:016x}": 0}))


def body(epoch: int, number: int, sessions: dict[str, int], **more: object) -> Heartbeat:
    """What it says."""
    sent = {name[-16:]: count for name, count in sessions.items()}
    books: dict[str, object] = {"clock": 0, "sessions": sent, "channels": {}, "bundles": []}
    return Heartbeat.model_validate({"epoch": epoch, "number": number, **books, **more})


def session_name(number: int) -> str:
    """As an argument's name."""
    return f"s{number:016x}"


def gate(*keys: LinkKey, orders: dict[str, LinkOrder] | None = None, mode: Mode = "gmac") -> Gate:
    """One that takes these keys, the newer first."""
    return Gate(keys or (NEW,), mode, Counter[Drop](), orders)


def hear(one: Gate, *datagrams: bytes, now: float = 1.0) -> dict[Drop, int]:
    """Let them in together; why those were dropped that were."""
    before = one._drops.copy()
    matrix = np.frombuffer(bytearray(b"".join(datagrams)), np.uint8).reshape(len(datagrams), -1)
    views = DatagramViews(memoryview(matrix.reshape(-1)), matrix.shape[1], len(matrix))
    assert 0 == len(one.admit(matrix, views, now))
    return {reason: count - before[reason] for reason, count in one._drops.items() if count != before[reason]}


def order_of(one: Gate, key: LinkKey) -> LinkOrder:
    """How far it has come."""
    return one._admission._links[key.key_id].order


# order, for each key apart


def test_an_epoch_far_ahead_under_the_old_key_deafens_nobody() -> None:
    """Not at once, not after the new key spoke, not after a restart of the receiver, by either kind."""
    for lie in (Sender(OLD).mac(FAR, FAR), Sender(OLD).old(FAR, FAR)):
        one = gate(NEW, OLD)
        assert {} == hear(one, lie)
        assert {} == hear(one, Sender(NEW, 1).mac(1, 1))
        assert {Drop.HEARTBEAT_KEY: 1} == hear(one, Sender(OLD, 5).mac(FAR, FAR))
        orders = {key.fingerprint: order_of(one, key) for key in (NEW, OLD)}
        later = gate(NEW, orders=orders)
        assert {} == hear(later, Sender(NEW, 2).mac(1, 2))


def test_order_is_kept_by_the_whole_key_not_by_its_id() -> None:
    """Another key with the same sixteen bits begins anew, and one that was given up stays where it was."""
    orders = {OLD.fingerprint: LinkOrder(FAR, FAR, has_mac=True, has_spoken=True)}
    twin = LinkKey(NEW.secret, OLD.key_id)
    assert {} == hear(gate(twin, orders=orders), Sender(twin).mac(1, 1))
    assert {Drop.HEARTBEAT_ORDER: 1} == hear(gate(OLD, orders=orders), Sender(OLD).mac(FAR, FAR - 1))
    assert 64 == len(NEW.fingerprint)
    assert NEW.fingerprint == LinkKey.of(NEW.secret).fingerprint
    assert NEW.secret.hex()[:8] not in NEW.fingerprint


@pytest.mark.parametrize("mode", ["gmac", "aead", "none"])
def test_kind_3_counts_until_kind_4_is_heard(mode: Mode) -> None:
    """And never again under that key: a recorded one does not come back after a restart."""
    recorded = Sender(NEW, 9, mode).old(5, 9)
    sender, one = Sender(NEW, mode=mode), gate(mode=mode)
    assert {} == hear(one, sender.old(5, 1))
    assert {} == hear(one, sender.mac(5, 1))  # the same heartbeat, the first by kind 4
    assert {Drop.DUPLICATE: 1} == hear(one, Sender(NEW, mode=mode).mac(5, 1))
    assert {Drop.HEARTBEAT_KIND: 1} == hear(one, recorded)
    later = gate(mode=mode, orders={NEW.fingerprint: order_of(one, NEW)})
    assert {Drop.HEARTBEAT_KIND: 1} == hear(later, recorded)
    assert {} == hear(later, sender.mac(5, 2))


def test_a_sender_that_knows_no_kind_4_is_heard() -> None:
    """Under its own key; that another key has spoken by kind 4 says nothing of this one."""
    one = gate(NEW, OLD)
    assert {} == hear(one, Sender(OLD).mac(7, 1))
    sender = Sender(NEW, 1)
    for number in range(1, 4):
        assert {} == hear(one, sender.old(7, number))


def test_an_old_key_counts_until_the_new_one_speaks() -> None:
    """A rotation: the receiver has the new key first."""
    one, sender = gate(NEW, OLD), Sender(OLD)
    assert {} == hear(one, sender.mac(7, 1))
    assert {} == hear(one, sender.mac(7, 2))
    assert {} == hear(one, Sender(NEW, 1).mac(8, 1))
    assert {Drop.HEARTBEAT_KEY: 1} == hear(one, sender.mac(7, 3))
    assert {Drop.HEARTBEAT_KIND: 1} == hear(one, sender.old(7, 4))
    assert {Drop.HEARTBEAT_KEY: 1} == hear(
        gate(NEW, OLD, orders={NEW.fingerprint: order_of(one, NEW)}), sender.old(7, 5)
    )
    assert [(OLD.key_id, 78)] == list(one.old_key_sessions)


Word = tuple[str, int, int, int]
WORDS: Final = st.tuples(
    st.sampled_from(["old mac", "old kind 3", "replay", "noise"]),
    st.sampled_from([0, 1, 5, 6, FAR]),
    st.integers(0, 20) | st.just(FAR),
    st.integers(0, 200),
)


@settings(max_examples=150)
@given(st.lists(WORDS, max_size=40), st.sampled_from([True, False]))
def test_no_old_key_and_no_replay_deafens_the_receiver(words: list[Word], knows_kind_4: bool) -> None:
    """Whatever came before, restarts included, an honest newer heartbeat under the current key is accepted."""
    one, sender = gate(NEW, OLD), Sender(NEW, 1)
    sent: list[bytes] = []
    for number, (what, epoch, claimed, at) in enumerate(words):
        match what:
            case "old mac":
                hear(one, Sender(OLD, at).mac(epoch, claimed, **{session_name(1): FAR}), now=float(number))
            case "old kind 3":
                hear(one, Sender(OLD, at).old(epoch, claimed, **{session_name(1): FAR}), now=float(number))
            case "replay" if sent:
                hear(one, sent[at % len(sent)], now=float(number))
            case _:
                hear(one, bytes([at]) * (S + 64), now=float(number))
        if at % 7 == 0:
            orders = {link.fingerprint: link.order for link in one._admission._links.values()}
            one = Gate((NEW, OLD), "gmac", Counter[Drop](), orders, one.admitted)
        if number % 3 == 0:
            sent += [sender.mac(5, 1 + number)] if knows_kind_4 else []
            sent += [sender.old(5, 1 + number)]
            before = one.heartbeats
            hear(one, *sent[-2 if knows_kind_4 else -1 :], now=float(number))
            assert before + 1 == one.heartbeats
            assert (5, 1 + number) == order_of(one, NEW).reached
            assert NEW.key_id == one._sessions[1].key_id


# sessions, for each key apart


def test_an_old_keys_holder_crowds_no_session_out() -> None:
    """Each key has its own sixty-four, and what the new key announced is not taken by the old one."""
    one = gate(NEW, OLD)
    liar = Sender(OLD)
    mine = [Admitted(NEW.key_id, session, 5) for session in range(1000, 1064)]
    one = Gate((NEW, OLD), "gmac", Counter[Drop](), None, mine)
    for number in range(20):
        first = 16 * number
        assert {} == hear(one, liar.mac(1, number, **{session_name(first + i): 1 for i in range(16)}))
    assert {} == hear(one, liar.mac(1, 99, **{session_name(1000 + i): FAR for i in range(8)}))
    kept = [admitted for admitted in one.admitted if admitted.key_id == NEW.key_id]
    assert mine == kept
    assert MAX_SESSIONS == len([admitted for admitted in one.admitted if admitted.key_id == OLD.key_id])


def test_a_session_read_off_the_line_is_the_new_keys_in_the_end() -> None:
    """The old key's holder announces the new sender's session before that one is heard."""
    one = gate(NEW, OLD)
    hear(one, Sender(OLD).mac(1, 1, **{session_name(500): FAR, session_name(1): FAR}))
    assert OLD.key_id == one._sessions[500].key_id
    assert {} == hear(one, Sender(NEW, 1).old(1, 1, **{session_name(500): 10}))
    assert (NEW.key_id, 10) == (one._sessions[500].key_id, one._sessions[500].expected)


def test_a_lie_about_what_was_sent_is_corrected() -> None:
    """Losses are reckoned by the newest heartbeat, not by the largest number that was ever told."""
    one, sender = gate(), Sender(NEW)
    hear(one, sender.mac(1, 1, **{session_name(500): 0}))
    hear(one, sender.mac(1, 2, **{session_name(500): FAR}))
    assert FAR == one.expected
    hear(one, sender.mac(1, 3, **{session_name(500): 40}))
    assert 40 == one.expected
    hear(one, sender.mac(1, 4, **{session_name(500): 30}))
    assert 40 == one.expected  # data came after the heartbeat was made
    assert MAX_AHEAD > 40


def test_the_old_keys_books_count_for_nothing() -> None:
    """Neither what its heartbeats told of datagrams sent, nor what its data's counters claim afterwards."""
    one, liar = gate(NEW, OLD), Sender(OLD)
    hear(one, liar.mac(1, 1, **{session_name(500): 0}))
    hear(one, liar.mac(1, 2, **{session_name(500): FAR}))
    assert FAR == one.expected
    hear(one, Sender(NEW, 1).mac(1, 1))
    assert 0 == one.expected
    rows = np.zeros((1, S + HEADER_BYTES + TAG_BYTES), np.uint8)
    views = DatagramViews(memoryview(rows.reshape(-1)), rows.shape[1], 1)
    place = {"key_id": OLD.key_id, "session": 500, "counter": FAR - 1, "symbol_bytes": S}
    pack_lone_headers(headers_of(rows), kind=Kind.DATA, **place)
    Session(OLD, 500, "gmac").seal(rows, views, 0, 1)
    assert 1 == len(one.admit(rows, views, 1.0))
    assert 1 >= one.expected


# what strangers cost


def test_random_sessions_keep_no_sender_out() -> None:
    """Thousands of claimed heartbeats a second, of either kind, and the real one among them."""
    one, sender = gate(), Sender(NEW)
    for second in range(1, 4):
        flood = forged(3000, Kind.HEARTBEAT) + forged(3000, Kind.HEARTBEAT_MAC)
        drops = hear(one, *flood, sender.mac(1, second), *flood, now=float(second))
        assert 6000 == drops[Drop.TAG] - (TRIALS_PER_S if second == 1 else 0)
        assert (1, second) == order_of(one, NEW).reached


def test_more_claimed_heartbeats_than_can_be_checked_are_sampled() -> None:
    """The work of a second is bounded, and a sender is heard within a few of them."""
    one, sender = gate(), Sender(NEW)
    flood = forged(MAC_CHECKS_PER_S // 8, Kind.HEARTBEAT_MAC) * 8
    drops = hear(one, *flood, now=1.0)
    assert {Drop.TAG: MAC_CHECKS_PER_S} == drops
    for number in range(4 * MAC_SAMPLE):
        hear(one, *flood[: number % 7], sender.mac(1, 1 + number), now=1.0)
    assert 0 < one.heartbeats < 2 * MAC_SAMPLE
    assert one._drops[Drop.HEARTBEAT_RATE] > MAC_SAMPLE


def test_a_recorded_heartbeat_is_dropped_before_it_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """To parse one costs as much as tens of datagrams."""
    for kind in ("mac", "old"):
        one, sender = gate(), Sender(NEW)
        beats = [getattr(sender, kind)(1, number) for number in range(1, 4)]
        for beat in beats:
            assert {} == hear(one, beat)
        with monkeypatch.context() as patch:
            for parser in ("parse_heartbeat", "parse_heartbeat_mac"):
                patch.setattr(f"diode.protocol.admission.{parser}", lambda _: pytest.fail("it was parsed"))
            assert {Drop.HEARTBEAT_ORDER: 200, Drop.DUPLICATE: 100} == hear(one, *beats * 100)


@pytest.mark.parametrize("kind", ["mac", "old"])
def test_a_heartbeat_that_a_network_delivers_twice_is_no_replay(kind: str) -> None:
    """The newest one again is a duplicate, also after a restart; of another session it is a second sender."""
    one, sender, other = gate(), Sender(NEW), Sender(NEW, 79)
    beat = getattr(sender, kind)(1, 5)
    assert {} == hear(one, beat)
    assert {Drop.DUPLICATE: 2} == hear(one, beat, beat)
    assert {Drop.HEARTBEAT_ORDER: 1} == hear(one, getattr(other, kind)(1, 5))
    later = gate(orders={NEW.fingerprint: order_of(one, NEW)})
    assert {Drop.DUPLICATE: 1} == hear(later, beat)
    assert {} == hear(later, getattr(sender, kind)(1, 6))
    assert {Drop.HEARTBEAT_ORDER: 1} == hear(later, beat)


def test_an_order_that_a_person_typed_was_heard_from_nobody() -> None:
    """What equals it is not newer, and no duplicate."""
    typed = gate(orders={NEW.fingerprint: LinkOrder(7, 0, has_mac=True)})
    assert {Drop.HEARTBEAT_ORDER: 1} == hear(typed, Sender(NEW).mac(7, 0))


def test_eight_sessions_fit_into_the_smallest_symbol() -> None:
    """Whatever their numbers: they are never left out. Of more, the first of those that are told go."""
    sessions = {f"{(1 << 64) - 1 - n:016x}": FAR for n in range(FEWEST_SESSIONS)}
    books = {"channels": {"a" * 64: FAR}, "audit": (1 << 53, "f" * 64), "health": {"failed": FAR}}
    for more in ({}, {f"{1:016x}": 0}):
        whole = body(FAR, FAR, {**more, **sessions}, clock=FAR, **books)
        symbol = HeartbeatSealer(NEW, Session(NEW, 78, "gmac"), S).seal_mac(whole)[HEADER_BYTES:-TAG_BYTES]
        heard = parse_heartbeat_mac(symbol)
        assert heard is not None
        assert sessions == heard.sessions
    for size in range(S, 1409, 64):
        sixteen = body(FAR, FAR, {f"{n:016x}": FAR for n in range(16)})
        HeartbeatSealer(NEW, Session(NEW, 78, "gmac"), size).seal_mac(sixteen)


def test_the_old_keys_sessions_are_told_seldom() -> None:
    """Whoever has the old key may claim any number of them."""
    one = gate(NEW, OLD)
    hear(one, Sender(NEW, 1).mac(1, 1))
    for session in range(100, 200):
        hear(one, Sender(OLD, session).mac(1, 1))
    assert 4 == len(one.old_key_sessions)


@pytest.mark.parametrize("kind", ["mac", "old"])
def test_a_datagram_that_changes_in_the_ring_is_not_believed(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """``listen`` can still write it while it is judged: the copy that was checked is the one that is read."""
    one = gate()
    matrix = np.frombuffer(bytearray(getattr(Sender(NEW), kind)(1, 1)), np.uint8).reshape(1, -1)
    lie = np.frombuffer(getattr(Sender(NEW), kind)(FAR, FAR), np.uint8)
    name = "open" if kind == "mac" else "check"
    owner = HeartbeatAuth if kind == "mac" else Session
    real = getattr(owner, name)

    def change(*arguments: object) -> object:
        verdict = real(*arguments)
        matrix[0] = lie
        return verdict

    monkeypatch.setattr(owner, name, change)
    one.admit(matrix, DatagramViews(memoryview(matrix.reshape(-1)), matrix.shape[1], 1), 1.0)
    assert (1, 1) == order_of(one, NEW).reached


# the datagram


@pytest.mark.parametrize("mode", ["gmac", "aead", "none"])
def test_health_crosses_and_the_smallest_symbol_holds_it(mode: Mode) -> None:
    """Whole where there is room; what is left out first is what the page says."""
    counts = {f"counter_{n:02}": 10**6 for n in range(16)}
    sealer = HeartbeatSealer(NEW, Session(NEW, 5, mode), S)
    few = dict(list(counts.items())[:3])
    one = gate(mode=mode)
    assert {} == hear(one, sealer.seal_mac(body(1, 1, {}, health=few)))
    assert one.heard is not None
    assert few == one.heard.heartbeat.health
    channels = {f"channel-{n}": 10**6 for n in range(64)}
    flight = {"id": "a" * 16, "pass": 1, "passes": 2, "state": "sending"}
    full = body(1, 2, {}, health=counts, channels=channels, bundles=[flight] * 3)
    assert {} == hear(one, sealer.seal_mac(full))
    heard = one.heard.heartbeat
    assert (4, 3) == (len(heard.channels), len(heard.bundles))
    assert {} != heard.health != counts
    assert (heard.health or {}).items() <= counts.items()
    in_aead = b"counter_" not in HeartbeatSealer(NEW, Session(NEW, 6, mode), S).seal_mac(body(1, 1, {}, health=few))
    assert (mode == "aead") == in_aead


def test_a_sealer_uses_no_counter_twice() -> None:
    """The stream of a session's cipher begins with it."""
    sender = Sender(NEW, mode="aead")
    sender.mac(1, 5)
    for epoch, number in ((1, 5), (1, 4), (2, 5), (0, 6)):
        with pytest.raises(ValueError, match="twice"):
            sender.mac(epoch, number)


def forged(count: int, kind: Kind) -> list[bytes]:
    """Claimed heartbeats of as many sessions, under wrong tags."""
    rows = np.random.default_rng(1).integers(0, 256, (count, S + HEADER_BYTES + TAG_BYTES), dtype=np.uint8)
    headers = headers_of(rows)
    pack_lone_headers(headers, kind=kind, key_id=NEW.key_id, session=0, counter=0, symbol_bytes=S)
    headers["session"] = np.random.default_rng(2).integers(0, 1 << 63, count, dtype=np.uint64)
    return [row.tobytes() for row in rows]


@pytest.mark.slow
def test_what_a_claimed_heartbeat_costs() -> None:
    """A unit-sized measure of the work that a stranger's datagram of kind 4 makes: tens of microseconds at most."""
    one, flood = gate(), forged(5000, Kind.HEARTBEAT_MAC)
    began = time.process_time()
    hear(one, *flood)
    each_us = (time.process_time() - began) / len(flood) * 1e6
    print(f"{each_us:.1f} us a claimed heartbeat of kind 4")
    assert each_us < 100
