"""Knows which address ``link.to`` stands for, and finds out when that is another one.

A name may get another address. An adapter that was plugged in again has another number, which is the scope of an IPv6
address on it. So what can change is looked up again: each minute, and every few seconds while the kernel refuses to
send. One thread waits for the name server, with one question at a time. Until there is an answer, the address that is
known goes on to be used.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from diode.config.sender import SenderLink
from diode.errors import DiodeError, NetworkError
from diode.net.address import Address
from diode.process.background import Background
from diode.protocol.sizes import datagram_bytes
from sender.events.happened import DestinationChanged, DestinationUnknown, Event

USUALLY_S: Final = 60.0
REFUSED_S: Final = 5.0  # while the kernel refuses to send
CLOSE_S: Final = 0.5
_HEADERS_BYTES: Final = {False: 28, True: 48}  # of IP and UDP; true: version 6


class Destination:
    """``at``: the address in digits to which everything goes now.

    ``find(to)`` looks up all addresses, and may block. Times are seconds of one monotonic clock.
    """

    def __init__(
        self,
        link: SenderLink,
        say: Callable[[Event], None],
        *,
        find: Callable[[Address], list[Address]] = Address.all_numeric,
    ) -> None:
        self._link = link
        self._to = link.address
        self._move: Callable[[], None] = lambda: None
        self._say = say
        self._find = find
        self._background = Background(1, lambda _: None)
        self._is_asked = False
        self._asked_at = 0.0
        self._unknown = ""  # why it cannot be looked up; said already

    def follow(self, move: Callable[[], None]) -> None:
        """Call ``move()`` on the event loop after each change of ``at``."""
        self._move = move

    def begin(self) -> None:
        """Look it up for the first time, in this thread. Raises NetworkError, which may pass, and UsageError."""
        found = self._find(self._to)[0]
        self._check_size(found)
        self.at = found
        self._background.start()

    async def close(self) -> None:
        """Look up no more."""
        await self._background.close(CLOSE_S)

    def tick(self, now: float, *, is_refused: bool) -> None:
        """Have it looked up when it is time. What the answer changes happens later, on the running loop."""
        due = REFUSED_S if is_refused else USUALLY_S
        if self._is_asked or not self._to.is_name or now - self._asked_at < due:
            return
        self._is_asked, self._asked_at = True, now
        loop = asyncio.get_running_loop()
        self._background.give(lambda: self._ask(loop))

    def _ask(self, loop: asyncio.AbstractEventLoop) -> None:
        """In the thread: ask, and hand the answer to the loop."""
        answer: list[Address] | DiodeError
        try:
            answer = self._find(self._to)
            answer[0].refuse_broadcast()
        except DiodeError as error:
            answer = error
        except Exception as error:  # noqa: BLE001 - whatever a resolver raises, a later answer is another one
            answer = NetworkError(repr(error))
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(self._answered, answer)

    def _answered(self, answer: list[Address] | DiodeError) -> None:
        """Take an answer. Of several addresses, the one that is used stays."""
        self._is_asked = False
        try:
            if isinstance(answer, DiodeError):
                raise answer
            if self.at not in answer:
                self._check_size(answer[0])
        except DiodeError as error:
            if not self._unknown:
                self._say(DestinationUnknown(str(self._to), str(self.at), str(error)))
            self._unknown = str(error)
            return
        self._unknown = ""
        if self.at not in answer:
            before, self.at = self.at, answer[0]
            self._say(DestinationChanged(str(self._to), str(before), str(self.at)))
            self._move()

    def _check_size(self, found: Address) -> None:
        """Raise NetworkError when datagrams are too large for the family of the address: a name does not show it."""
        size = datagram_bytes(self._link.symbol_bytes) + _HEADERS_BYTES[":" in found.host]
        if size > self._link.mtu:
            raise NetworkError(
                f"{self._to} is {found.host}, and over IPv6 datagrams of {size} bytes do not fit link.mtu = "
                f"{self._link.mtu}: set link.mtu to {self._link.mtu - 64}, or write the address into link.to"
            )
