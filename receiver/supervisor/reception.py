"""Knows the state of the link by cause: what is waited for, what came instead, and what a person types then.

Nothing here looks at a clock, a socket or a file: times and counts are arguments. Counts of drops cover what was
refused for good reason anyway (a slab that is complete already), so only those count that keep a sender from being
heard. The newest seconds decide about the state, and what came since the state began is shown with it.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from diode.errors import Drop
from diode.formats.timestamps import moment
from receiver.supervisor.host_causes import Cause, Host, HostCauses

SILENT_S: Final = 3.0  # a sender says something each second
FIRST_S: Final = 10.0  # so long nobody is called silent who was never heard
JUDGED_S: Final = 10.0  # of drops, the newest so many seconds decide
STEP_S: Final = 1.0
RECENT_S: Final = 2.0  # shorter than a silence: a sender that was ended said data so long ago
FEWEST: Final = 100  # datagrams, before anything is said about losses
LOSSY: Final = 0.1  # of what was sent: more than most profiles repair
CLOCKS_APART_S: Final = 300


class State(NamedTuple):
    """What is shown of a state. ``do`` is what mends it, on the sender where it says so."""

    says: str
    do: str


_ADDRESS: Final = "docs/nothing-arrives.md"
_KEY_DO: Final = (
    "carry the sender's keys/link.key here as new.key; then, here: diode keys rotate-link receiver.toml --new new.key, "
    "and restart (or there, with this side's key: diode keys rotate-link sender.toml --new new.key, and restart)"
)
_ORDER_DO: Final = (
    "stop a second sender with this link key; if there is none, the sender's clock went back: stop here, and type: "
    "diode-receiver rebaseline --epoch N, with N the time of its start in seconds since 1970"
)
STATES: Final[dict[str, State]] = {
    "starting": State("the workers are being started; nobody can be heard yet", "wait"),
    "alive": State("heartbeats are heard", ""),
    "clock": State(
        "heartbeats are heard, but the clocks of both sides are far apart",
        "compare on both sides: date --utc; set the one that is wrong",
    ),
    "never_heard": State(
        "no datagram has come to this port",
        f"on the sender: diode doctor -c sender.toml; here: diode doctor -c receiver.toml; then {_ADDRESS}",
    ),
    "silent": State(
        "the sender was heard, and nothing comes any more",
        f"on the sender: diode-sender -c sender.toml status, then diode doctor -c sender.toml; then {_ADDRESS}",
    ),
    "no_heartbeats": State(
        "data comes, but no heartbeat", "on the sender: diode-sender -c sender.toml status; restart it"
    ),
    "wrong_key": State("datagrams come, sealed under a link key that this side does not hold", _KEY_DO),
    "wrong_version": State(
        "datagrams come in another version of the wire format", "compare on both sides: diode-receiver --version"
    ),
    "not_ours": State(
        "what comes to this port is not from a sender of this project",
        "find who sends it: tcpdump -ni any udp port PORT, with the port of link.listen",
    ),
    "wrong_size": State(
        "datagrams come whose length does not fit",
        "something on the way cuts them, or another program sends here; compare link.mtu of both sides",
    ),
    "wrong_tag": State(
        "the link key's id is right, but no tag is",
        "compare link.auth of both sides; if it is the same, the keys are not: " + _KEY_DO,
    ),
    "unannounced": State(
        "data comes of a session that no heartbeat announced",
        "if a receiver was just started, wait for 3 s; else heartbeats are lost: on the sender: "
        "diode-sender -c sender.toml status",
    ),
    "order": State("heartbeats come that are older than those heard before", _ORDER_DO),
    "old_key": State(
        "the sender uses the link key from before the last change",
        "on the sender: diode keys rotate-link sender.toml --new new.key, and restart it",
    ),
    "old_kind": State(
        "the sender knows kind 3 of heartbeats alone, and kind 4 was heard before",
        "bring the sender up to date; or stop here, and type: diode-receiver rebaseline --epoch 0",
    ),
    "strange_heartbeat": State(
        "authentic heartbeats come that this version does not understand",
        "the sender is newer: bring this side up to date first",
    ),
    "flood": State(
        "more heartbeats come than can be checked", "find who sends them: somebody beside the sender reaches this port"
    ),
    "no_data": State(
        "heartbeats are heard, but nothing of the data that they count", f"lower link.rate of the sender; {_ADDRESS}"
    ),
    "overrun": State(
        "this host reads too late: the kernel drops at a full socket",
        "sysctl -w net.core.rmem_max=67108864, and restart; or lower link.rate of the sender (diode calibrate)",
    ),
    "lossy": State(
        "much is lost on the way to this host", "on both sides: diode calibrate; then lower link.rate of the sender"
    ),
}
HEARD: Final = frozenset({"alive", "clock", "no_data", "overrun", "lossy"})
_OF_KEY: Final = (  # of datagrams under a key that is held, the most telling first
    ("old_key", (Drop.HEARTBEAT_KEY,)),
    ("order", (Drop.HEARTBEAT_ORDER,)),
    ("old_kind", (Drop.HEARTBEAT_KIND,)),
    ("strange_heartbeat", (Drop.HEARTBEAT,)),
    ("wrong_tag", (Drop.TAG,)),
    ("flood", (Drop.HEARTBEAT_RATE,)),
    ("unannounced", (Drop.SESSION,)),
)
_OF_OTHERS: Final = (
    ("wrong_key", (Drop.KEY,)),
    ("wrong_version", (Drop.VERSION,)),
    ("wrong_size", (Drop.LENGTH,)),
    ("not_ours", (Drop.MAGIC, Drop.KIND, Drop.FLAGS, Drop.RESERVED, Drop.SYMBOL_SIZE, Drop.GEOMETRY)),
)
CAUSES: Final = tuple(str(drop) for _, drops in (*_OF_KEY, *_OF_OTHERS) for drop in drops)


class Reading(NamedTuple):
    """What was counted since the start, at one moment. ``drops`` has those of CAUSES."""

    at: float
    drops: Mapping[str, int]
    received: int  # authentic data datagrams
    expected: int  # as heartbeats tell
    socket_drops: int

    @property
    def lost(self) -> int:
        """Data datagrams that were sent and have not come."""
        return self.expected - self.received


_NOTHING: Final = Reading(0.0, {}, 0, 0, 0)


class Reception:
    """The state of the link. Times ``now`` are seconds of one monotonic clock, ``utc`` seconds since 1970."""

    def __init__(self) -> None:
        self.state = "starting"
        self.newest: Reading = _NOTHING
        self.begun: Reading = _NOTHING  # from when on what came is of this state
        self._since: float | None = None
        self._listening_at = 0.0  # nobody could be heard before
        self._heard_at: float | None = None
        self._sender_clock = 0
        self._readings: deque[Reading] = deque()
        self._offset_s = 0.0  # from the monotonic clock to UTC
        self._came_at = 0.0  # when anything came to the socket
        self._host = HostCauses()

    def heard(self, now: float, sender_clock: int) -> None:
        """A heartbeat was accepted; ``sender_clock`` is the sender's, in seconds since 1970."""
        self._heard_at, self._sender_clock = now, sender_clock

    def look_at_host(self, now: float, host: Host) -> None:
        """Take what this host counts."""
        self._host.add(now, host)

    def look(self, reading: Reading, utc: float, *, has_begun: bool) -> None:
        """Judge by what is counted until now. ``has_begun``: the workers can hear somebody."""
        self._offset_s = utc - reading.at
        if reading[1:] != self.newest[1:]:
            self._came_at = reading.at
        self.newest = reading
        if self._since is None or not has_begun:
            self._listening_at = reading.at
        if not self._readings or reading.at - self._readings[-1].at >= STEP_S:
            self._readings.append(reading)
        while len(self._readings) > 1 and reading.at - self._readings[1].at >= JUDGED_S:
            self._readings.popleft()
        state = self._judge(reading) if has_begun else "starting"
        if state != self.state or self._since is None:
            self.state, self._since = state, reading.at
            self.begun = reading if state == "alive" else self._readings[0]  # what led to it counts

    @property
    def is_heard(self) -> bool:
        """Whether heartbeats come."""
        return self.state in HEARD

    @property
    def silent_s(self) -> float:
        """For how long nobody was heard who could have been."""
        return max(0.0, self.newest.at - max(self._listening_at, self._heard_at or 0.0))

    @property
    def host_cause(self) -> Cause | None:
        """Why nothing comes to the port, as this host's own counts prove."""
        if self.state not in ("never_heard", "silent"):
            return None
        return self._host.why(max(self._came_at, self._listening_at))

    def came_since(self, before: Reading) -> dict[str, int]:
        """What was refused since then, and lost at a full socket, by cause.

        Heartbeats of kind 3 are refused each second beside those of kind 4: they count only where they are the cause.
        """
        got = difference(before, self.newest)
        return got if self.state == "old_kind" else {c: n for c, n in got.items() if c != Drop.HEARTBEAT_KIND}

    def picture(self) -> dict[str, Any]:
        """What ``status`` shows. ``since`` and ``heard`` are UTC by this host's clock as it is now, or null.

        ``got`` is what was refused, and lost at a full socket, since the state began. ``host`` is null, or what this
        host's own counts say of it.
        """
        said, cause = STATES[self.state], self.host_cause
        return {
            "state": self.state,
            "says": f"{said.says}: {cause.says}" if cause else said.says,
            "since": self._utc(self._since),
            "heard": self._utc(self._heard_at),
            "got": self.came_since(self.begun),
            "host": cause.name if cause else None,
            "do": cause.do if cause else said.do,
        }

    def _utc(self, at: float | None) -> str | None:
        return None if at is None else moment(at + self._offset_s)

    def _judge(self, now: Reading) -> str:
        before = self._readings[0]
        recent = next((reading for reading in self._readings if now.at - reading.at <= RECENT_S), now)
        if self._heard_at is not None and now.at - self._heard_at <= SILENT_S:
            return self._judge_heard(before, recent, now)
        if self.silent_s <= SILENT_S:
            return "starting"
        if now.received > recent.received:
            return "no_heartbeats"
        if state := _cause(difference(self._after_last_heard(now), now)):
            return state
        if self._heard_at is not None:
            return "silent"
        return "never_heard" if self.silent_s >= FIRST_S else "starting"

    def _after_last_heard(self, now: Reading) -> Reading:
        """From where on drops tell why nobody is heard: what came beside the last heartbeats tells nothing."""
        since = float("-inf") if self._heard_at is None else self._heard_at + STEP_S
        return next((reading for reading in self._readings if reading.at >= since), now)

    def _judge_heard(self, before: Reading, recent: Reading, now: Reading) -> str:
        """A heartbeat may overtake the data that it counts, by RECENT_S."""
        sent = recent.expected - before.expected
        if sent >= FEWEST and now.received == before.received:
            return "no_data"
        if sent >= FEWEST and min(recent.lost, now.lost) - before.lost > LOSSY * sent:
            return "overrun" if now.socket_drops > before.socket_drops else "lossy"
        return "clock" if abs(self._apart_s()) > CLOCKS_APART_S else "alive"

    def _apart_s(self) -> float:
        """How far the sender's clock is ahead of this host's."""
        return self._sender_clock - (self._heard_at or 0.0) - self._offset_s


def difference(before: Reading, now: Reading) -> dict[str, int]:
    """What was refused between two readings, by cause; ``socket`` is what was lost there. Without what did not rise."""
    rises = {cause: now.drops.get(cause, 0) - before.drops.get(cause, 0) for cause in CAUSES}
    rises["socket"] = now.socket_drops - before.socket_drops
    return {cause: rise for cause, rise in rises.items() if rise > 0}


def _cause(got: Mapping[str, int]) -> str:
    """The state that most of the refused datagrams tell; "" when none were refused."""
    ours = sum(_total(got, drops) for _, drops in _OF_KEY)
    other, most = max(((state, _total(got, drops)) for state, drops in _OF_OTHERS), key=lambda one: one[1])
    if not ours and not most:
        return ""
    return other if most > ours else next(state for state, drops in _OF_KEY if _total(got, drops))


def _total(got: Mapping[str, int], drops: Sequence[Drop]) -> int:
    return sum(got.get(drop, 0) for drop in drops)
