"""Has the health hooks of channels look at versions in use. Their answers are signed with the daemon's service key."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from diode.config.receiver import ReceiverConfig
from diode.errors import DiodeError, StorageError
from diode.formats.timestamps import now_utc
from diode.process import tending
from diode.trust.keys import maybe_read_service_key
from receiver.events.happened import Event, HealthFound, HealthUnsaid, NowInUse
from receiver.inbox.folder import Inbox
from receiver.ledger.ledgers import LedgerView
from receiver.promotion.health import Health, Question, check_health
from receiver.promotion.orders import Order, new_id, write_order
from receiver.release.scanning import surroundings

AGAIN_S: Final = 5.0  # until what could not be written is tried again


class HealthHooks:
    """Reader: asks the hook of a channel about each version that is in use on trial, or in a drill.

    A name has one hook at a time. When its pointer moves on, the hook that runs is ended: its answer counts no more.
    ``is_over()``: the daemon ends, and no hook is begun any more; a new run asks again.
    """

    def __init__(
        self, config: ReceiverConfig, ledger: LedgerView, is_over: Callable[[], bool], say: Callable[[Event], None]
    ) -> None:
        self._config = config
        self._ledger = ledger
        self._is_over = is_over
        self._say = say
        self._running: dict[tuple[str, str], tuple[int, asyncio.Task[None]]] = {}

    def read(self, event: Event) -> None:
        """Ask about what is in use now."""
        match event:
            case NowInUse(row, number):
                place = row.channel, row.name
                channel = self._config.channels.get(row.channel)
                if channel is not None and channel.health and not self._is_over():
                    self._begin(place, number, event)

    async def close(self) -> None:
        """End the hooks that run."""
        tasks = [task for _, task in self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, place: tuple[str, str], number: int, event: NowInUse) -> None:
        before = self._running.get(place)
        if before is not None and before[0] == number and not before[1].done():
            return  # a new pipeline says it once more
        if before is not None:
            before[1].cancel()
        task = tending.start("health hook", partial(self._ask, event))
        self._running[place] = number, task
        task.add_done_callback(lambda done: self._forget(place, done))

    def _forget(self, place: tuple[str, str], task: asyncio.Task[None]) -> None:
        if place in self._running and self._running[place][1] is task:
            del self._running[place]

    async def _ask(self, event: NowInUse) -> None:
        channel = self._config.channels[event.row.channel]
        try:
            found = await check_health(
                channel.health,
                self._question(event),
                channel.health_timeout_s,
                surroundings(self._config),
                channel.health_user,
            )
        except (DiodeError, OSError) as error:
            found = Health(is_healthy=False, detail=f"the health hook could not be asked: {error}")
        self._say(HealthFound(event.row, found.is_healthy, found.detail))
        while not self._maybe_order(event, found):  # noqa: ASYNC110 - nobody tells when a disk works again
            await asyncio.sleep(AGAIN_S)

    def _question(self, event: NowInUse) -> Question:
        """What the hook is told. Raises StorageError."""
        row, config = event.row, self._config
        pointer = self._ledger.pointers.get(row.channel, row.name)
        before = pointer and (pointer.drill or pointer.previous)
        path = Inbox(config.inbox.path).path / row.channel / row.name / row.version
        url = config.gateway.url or (f"http://{config.gateway.listen}" if config.gateway.listen else "")
        return Question(row.channel, row.name, row.version, before.version if before else "", path.absolute(), url)

    def _maybe_order(self, event: NowInUse, found: Health) -> bool:
        """Hand the answer to ``store``; whether that worked."""
        row = event.row
        order = Order(
            id=new_id(),
            what="healthy" if found.is_healthy else "unhealthy",
            channel=row.channel,
            name=row.name,
            version=row.version,
            bundles=[row.id],
            expects=event.number,
            reason=found.detail[:500],
            at=now_utc(),
        )
        try:
            signer = maybe_read_service_key(self._config.service_key)
            if signer is None:
                raise StorageError(f"{self._config.service_key} is gone, and nobody else speaks for the receiver")
            write_order(self._config.state, order, [signer])
        except (DiodeError, OSError) as error:
            self._say(HealthUnsaid(row, str(error)))
            return False
        return True
