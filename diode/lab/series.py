"""Series of transfers: several ways to transfer one bundle, by turns, each at the highest rate that loses nothing.

Such a rate is found by trying lower and lower ones. Then each round transfers the bundle once each way, in one order
and back, so that what else happens on the machine meets all ways alike. When one of them loses a bundle, its rate is
lowered, and the rounds begin anew. A figure is a median over rounds; a ratio is the median of the ratios within rounds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Final, Protocol

from diode.lab.progress import Progress
from diode.lab.report import Row
from diode.lab.transfer import Case, Ends, Transfer

START_OF_RAW: Final = 0.3  # of the kernel limit: more than any transfer reaches
_SLOWER: Final = 0.85
_ATTEMPTS: Final = 20  # that lost a bundle, until a series is given up

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Way:
    """What differs within a series. ``lost_per_mille``: None for trains, a number for single packets."""

    core: str
    lost_per_mille: int | None = None

    @property
    def name(self) -> str:
        """As it stands in names of rows."""
        lost = "" if self.lost_per_mille is None else f", {self.lost_per_mille / 10:g} % lost"
        return f", core {'off' if self.core == 'off' else 'on'}{lost}"


@dataclass(frozen=True, slots=True)
class Load:
    """What is transferred: a file or folder of ``size_bytes``, and where the daemons work."""

    source: Path
    size_bytes: int
    folder: Path


class Transfers(Protocol):
    """How one bundle is transferred: figures, or None when it was not delivered."""

    def __call__(self, case: Case, way: Way, load: Load, rate: int) -> Figures | None:
        """One transfer at ``rate`` bytes a second."""
        ...


class RealTransfers:
    """By both daemons, as :class:`diode.lab.transfer.Transfer`."""

    def __init__(self, ends: Ends) -> None:
        self._ends = ends
        self._lost: int | None = None

    def __call__(self, case: Case, way: Way, load: Load, rate: int) -> Figures | None:
        """One transfer."""
        if way.lost_per_mille != self._lost:
            self._ends.drop(way.lost_per_mille)
            self._lost = way.lost_per_mille
        return Transfer(replace(case, core=way.core), self._ends, load.source, load.size_bytes, load.folder, rate).run()


class Series:
    """Makes rows. ``raw``: the kernel limit in bytes a second, by MTU."""

    def __init__(self, transfers: Transfers, raw: dict[int, float], progress: Progress) -> None:
        self._transfers = transfers
        self._raw = raw
        self._progress = progress
        self._reached: dict[tuple[int, str, Way], float] = {}  # rates that lost nothing, by MTU and auth

    def rows(self, name: str, case: Case, ways: Sequence[Way], load: Load, runs: int, *, part: str) -> Iterator[Row]:
        """A row of GB/s for each way. ``ratios`` are to the ways before it."""
        limit = self._raw[case.mtu]
        rates = {way: self._start(case, way) for way in ways}
        found = self.rounds(name, case, rates, load, runs)
        self._reached |= {(case.mtu, case.auth, way): rates[way] for way in ways if found}
        for number, way in enumerate(ways):
            figures = [each[way] for each in found]
            names = {f"{name}{before.name}": before for before in ways[:number]}
            ratios = {other: _ratio(found, way, before) for other, before in names.items()}
            yield _row(f"{name}{way.name}", part, figures, limit) | {
                "mtu": case.mtu,
                "profile": case.profile,
                "auth": case.auth,
                "core": way.core,
                "lost_per_mille": way.lost_per_mille,
                "bundle_bytes": load.size_bytes,
                "ratios": ratios if found else {},
            }

    def _start(self, case: Case, way: Way) -> float:
        """The rate to try first: a little more than what a similar series reached."""
        highest = START_OF_RAW * self._raw[case.mtu]
        reached = self._reached.get((case.mtu, case.auth, way), highest)
        return min(highest, reached / _SLOWER**2)

    def rounds(self, name: str, case: Case, rates: dict[Way, float], load: Load, runs: int) -> list[dict[Way, Figures]]:
        """The figures of ``runs`` rounds; none when too many bundles were lost.

        ``rates`` are bytes a second for each way; they are lowered here to what loses nothing.
        """
        ways = list(rates)
        found: list[dict[Way, Figures]] = []
        lost = 0
        while len(found) < runs and lost < _ATTEMPTS * len(ways):
            figures: dict[Way, Figures] = {}
            for way in ways if len(found) % 2 == 0 else ways[::-1]:
                done = f"{name}{way.name}: {len(found)} of {runs} rounds, {lost} rates were too high"
                self._progress.say(f"{done}, now {rates[way] / 1e9:.2f} GB/s")
                each = self._until_whole(case, way, load, rates) if not found else self._one(case, way, load, rates)
                if each is None:
                    break
                figures[way] = each
            if len(figures) == len(ways):
                found.append(figures)
            elif not found:
                return []
            else:
                lost, found = lost + 1, []
        return found if len(found) == runs else []

    def _until_whole(self, case: Case, way: Way, load: Load, rates: dict[Way, float]) -> Figures | None:
        """Lower the rate until a transfer loses nothing; None: none did."""
        for _ in range(_ATTEMPTS):
            if (figures := self._one(case, way, load, rates)) is not None:
                return figures
        return None

    def _one(self, case: Case, way: Way, load: Load, rates: dict[Way, float]) -> Figures | None:
        figures = self._transfers(case, way, load, int(rates[way]))
        if figures is None:
            rates[way] *= _SLOWER
        return figures


def _ratio(rounds: Sequence[dict[Way, Figures]], way: Way, to: Way) -> float:
    return median(each[way]["gb_per_s"] / each[to]["gb_per_s"] for each in rounds) if rounds else 0.0


def _row(name: str, part: str, figures: Sequence[Figures], limit: float) -> Row:
    """The row of the median; its other figures are of the transfer that was the median."""
    head: Row = {"row": name, "part": part, "unit": "GB/s", "value": None}
    if not figures:
        return head
    ordered = sorted(figures, key=lambda each: float(each["gb_per_s"]))
    middle = ordered[len(ordered) // 2]
    value = middle["gb_per_s"]
    runs = [each["gb_per_s"] for each in figures]
    return {**head, **middle, "value": value, "of_raw": value * 1e9 / limit, "runs_gb_per_s": runs}
