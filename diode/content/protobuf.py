"""Walks over protocol buffer messages: which fields are there, and where. Only short windows are copied."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from diode.content.reader import Reader
from diode.content.trouble import UnsoundError

VARINT: Final = 0
BYTES: Final = 2  # of a text, of a message, or plain bytes
GROUP: Final = 3  # an old way of messages within messages, which parsers go over where they expect none
_END_OF_GROUP: Final = 4
MAX_GROUPS: Final = 100  # within each other; parsers stop there
_FIXED: Final = {1: 8, 5: 4}
_LEAST_WINDOW_BYTES: Final = 512
_MOST_WINDOW_BYTES: Final = 64 << 10
_LONGEST_BYTES: Final = 10  # of a number


class Field(NamedTuple):
    """One field of a message.

    Its value lies from ``begin`` to ``end`` in the file; ``value`` is that of a varint, else 0.
    """

    number: int
    wire: int
    begin: int
    end: int
    value: int


class Walker:
    """Walks over messages in a file. Raises UnsoundError for bytes that are no message."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._window = b""
        self._offset = 0
        self._last = -1  # place in the window at which a number is surely whole

    def fields(self, begin: int, end: int) -> Iterator[Field]:
        """The fields of the message that lies from ``begin`` to ``end``, in their order.

        A group counts as one field, and its content is skipped.
        """
        while begin < end:
            field = self._field(begin, end)
            if field.wire == _END_OF_GROUP:
                raise UnsoundError(f"a group ends at byte {begin} that does not begin")
            if field.wire == GROUP:
                field = field._replace(end=self._end_of_group(field, end))
            yield field
            begin = field.end

    def _field(self, begin: int, end: int) -> Field:
        """The field at ``begin``, of a group its beginning alone."""
        self._reader.count_value()
        key, at = self._number(begin, end)
        number, wire, value = key >> 3, key & 7, 0
        if wire == BYTES:
            length, at = self._number(at, end)
            stop = at + length
        elif wire == VARINT:
            value, stop = self._number(at, end)
        elif wire in (GROUP, _END_OF_GROUP):
            stop = at
        elif wire in _FIXED:
            stop = at + _FIXED[wire]
        else:
            raise UnsoundError(f"a field of wire type {wire} at byte {begin}")
        if not 1 <= number < 1 << 29 or stop > end:
            raise UnsoundError(f"field {number} at byte {begin} goes on behind its message")
        return Field(number, wire, at, stop, value)

    def _end_of_group(self, group: Field, end: int) -> int:
        within, at = [group.number], group.end
        while within:
            field = self._field(at, end)
            at = field.end
            if field.wire == GROUP:
                within.append(field.number)
            elif field.wire == _END_OF_GROUP and within.pop() != field.number:
                raise UnsoundError(f"a group ends at byte {at} that does not begin")
            if len(within) > MAX_GROUPS:
                raise UnsoundError(f"more than {MAX_GROUPS} groups within each other")
        return at

    def bytes_of(self, field: Field, most: int) -> bytes:
        """The value of a field of bytes. Raises UnsoundError when it has more than ``most`` bytes."""
        if field.end - field.begin > most:
            raise UnsoundError(f"a text of {field.end - field.begin} bytes, more than {most}")
        return self._reader.at(field.begin, field.end - field.begin)

    def _number(self, at: int, end: int) -> tuple[int, int]:
        """A number of at most ten bytes, and where it ends."""
        place = at - self._offset
        if not 0 <= place <= self._last:
            self._move(at)
            place = 0
        if at < end and (first := self._window[place]) < 0x80:
            return first, at + 1  # as nearly all are
        value = shift = 0
        for byte in self._window[place : place + min(10, end - at)]:
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value & 0xFFFF_FFFF_FFFF_FFFF, at + shift // 7
        raise UnsoundError(f"a number at byte {at} does not end")

    def _move(self, at: int) -> None:
        """Read from ``at`` on: much where reading goes on, little behind a leap."""
        goes_on = 0 <= at - self._offset <= len(self._window)
        count = min(2 * len(self._window), _MOST_WINDOW_BYTES) if goes_on else 0
        self._offset, self._window = at, self._reader.at(at, max(count, _LEAST_WINDOW_BYTES))
        self._last = len(self._window) - _LONGEST_BYTES
