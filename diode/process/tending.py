"""Keeps a background task going: what it raises is logged, and it is started again, later each time that it fails soon.

A task of asyncio that raises is otherwise silent until somebody awaits it, which nobody does for a background task.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from diode.errors import DiodeError
from diode.log import log

FIRST_S: Final = 1.0
MOST_S: Final = 60.0  # between two starts; work that lasted longer than this begins with FIRST_S again

_ENDS_ALL: Final[tuple[type[BaseException], ...]] = (asyncio.CancelledError, KeyboardInterrupt, SystemExit)


async def keep(
    name: str,
    work: Callable[[], Awaitable[None]],
    *,
    lets_through: tuple[type[BaseException], ...] = (),
    first_s: float = FIRST_S,
    most_s: float = MOST_S,
) -> None:
    """Do ``work`` until it returns. Whatever it raises is logged as ``task_failed``, and it is begun again.

    The pauses before it begins again grow from ``first_s`` to ``most_s`` seconds. Errors of ``lets_through`` are
    raised: the caller ends because of them.
    """
    loop, pause_s = asyncio.get_running_loop(), first_s
    while True:
        begun = loop.time()
        try:
            await work()
        except _ENDS_ALL + lets_through:
            raise
        except BaseException:
            if loop.time() - begun > most_s:
                pause_s = first_s
            log.exception("task_failed", task=name, again_in_s=pause_s, consequence="all else goes on")
        else:
            return
        await asyncio.sleep(pause_s)
        pause_s = min(most_s, 2 * pause_s)


def start(
    name: str, work: Callable[[], Awaitable[None]], *, lets_through: tuple[type[BaseException], ...] = ()
) -> asyncio.Task[None]:
    """Begin :func:`keep` as a task of the running loop. The caller holds and cancels it."""
    return asyncio.get_running_loop().create_task(keep(name, work, lets_through=lets_through), name=name)


ENDS_THE_DAEMON: Final = (DiodeError,)  # what work of a daemon lets through: its disk failed, or it was told to end
