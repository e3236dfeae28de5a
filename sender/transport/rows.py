"""How far a slab has come that is sent row by row, and when its next row may leave. It does no I/O.

Places are counted in datagrams of the line, as they are issued: what is issued later leaves later. Rows leave evenly.
Where other bundles took more of the line, rows that are late leave together, as far as two rules allow: any so many
rows as there is repair are apart by the burst that the profile promises to survive, and half as many rows by half of
it. So a burst of half that length leaves half of the repair for single losses.
"""

from typing import Final

from diode.protocol.fitting import SPAN_S, Spread

UNSEEN_S: Final = 2.0  # until a row that has not left is reported; then it is asked again


class Rows:
    """The rows of one slab in one pass. ``left`` notes when the last source row has left the socket."""

    def __init__(self, spread: Spread) -> None:
        self.spread = spread
        self._places: list[int] = []  # of the first datagram of each row that was issued
        self._sources_left: float | None = None
        half = -(-spread.repair // 2)
        self._rules = tuple((rows, spread.distance(rows)) for rows in (half, spread.repair))

    @property
    def next(self) -> int:
        """The row that follows, counted over source and repair."""
        return len(self._places)

    @property
    def is_over(self) -> bool:
        """Whether all rows were issued."""
        return self.next >= self.spread.rows

    @property
    def is_among_sources(self) -> bool:
        """Whether some source rows were issued, and some not."""
        return 0 < self.next < self.spread.k

    def wait(self, line: int, now: float) -> tuple[float, int]:
        """Seconds and datagrams until the next row may leave, when ``line`` datagrams were issued so far."""
        row, places = self.next, self._places
        if not row:
            return 0.0, 0
        wanted = [places[row - apart] + distance for apart, distance in self._rules if row >= apart]
        wanted.append(places[0] + self.spread.distance(row))
        return self._seconds(row - self.spread.k, now), max(0, max(wanted) - line)

    def issued(self, line: int) -> int:
        """Note that the next row was issued at this place. Returns its number."""
        self._places.append(line)
        return self.next - 1

    def left(self, row: int, now: float) -> None:
        """Note that a row has left the socket."""
        if row == self.spread.k - 1:
            self._sources_left = now

    def _seconds(self, repair_row: int, now: float) -> float:
        """Until a repair row may leave: source rows wait for datagrams alone."""
        if repair_row < 0:
            return 0.0
        if self._sources_left is None:
            return UNSEEN_S
        return max(0.0, self._sources_left + SPAN_S * (repair_row + 1) / self.spread.repair - now)
