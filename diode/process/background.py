"""One thread beside the event loop, for work that may wait for a disk: done one after another, in order, and bounded.

The loop gives work and goes on at once. What finds too much waiting is left out and counted; whoever gives it says so.
The thread is a daemon thread: work that never ends holds up no process that ends.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress

Work = Callable[[], None]


class Background:
    """Does what it is given in a thread of its own. At most ``most`` pieces of work wait beside the one being done.

    ``on_error(error)`` is told, in that thread, what a piece of work raised; the next one is done all the same. What
    the work touches, such as a connection to a ledger, belongs to this thread from :meth:`start` until :meth:`close`
    has returned true.
    """

    def __init__(self, most: int, on_error: Callable[[Exception], None]) -> None:
        self.left_out = 0  # pieces of work that found no room, since the start
        self._on_error = on_error
        self._waiting: queue.Queue[Work | None] = queue.Queue(most)
        self._thread = threading.Thread(target=self._run, name="background", daemon=True)

    def start(self) -> None:
        """Begin; what was given before is done first."""
        self._thread.start()

    def give(self, work: Work) -> bool:
        """Have ``work`` done after all that was given before; never waits. False when there is no room: it is not."""
        try:
            self._waiting.put_nowait(work)
        except queue.Full:
            self.left_out += 1
            return False
        return True

    async def close(self, within_s: float) -> bool:
        """Take no more, and let what waits be done, for ``within_s`` at most. Whether the thread has ended.

        Nothing may be given any more. False: the thread hangs, and still owns what its work touches.
        """
        if not self._thread.is_alive():
            return True
        return await asyncio.get_running_loop().run_in_executor(None, self._end, within_s)

    def _end(self, within_s: float) -> bool:
        deadline = time.monotonic() + within_s
        with suppress(queue.Full):
            self._waiting.put(None, timeout=within_s)
        self._thread.join(max(0.0, deadline - time.monotonic()))
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (work := self._waiting.get()) is not None:
            try:
                work()
            except Exception as error:  # noqa: BLE001 - whatever it is, the thread goes on with what comes next
                self._on_error(error)
            finally:
                self._waiting.task_done()
