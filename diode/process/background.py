"""One thread beside the event loop, for work that may wait for a disk: in order, one piece at a time, and bounded.

The loop hands over work and continues at once. When too much is waiting, new work is refused, and the caller reports
that. It is a daemon thread, so work that never ends does not keep the process from ending.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from diode.log import log

Work = Callable[[], None]


class Background:
    """Runs pieces of work in a thread of its own. At most ``most`` pieces wait beside the one that is running.

    When a piece of work raises, ``on_error(error)`` is called in that thread, and the next piece runs all the same.
    What the work touches, such as a connection to a ledger, belongs to this thread from :meth:`start` until
    :meth:`close` has returned true.
    """

    def __init__(self, most: int, on_error: Callable[[Exception], None]) -> None:
        self.left_out = 0  # pieces of work that found no room, since the start
        self._on_error = on_error
        self._waiting: queue.Queue[Work | None] = queue.Queue(most)
        self._thread = threading.Thread(target=self._run, name="background", daemon=True)

    def start(self) -> None:
        """Start the thread. Work that was handed over before runs first."""
        self._thread.start()

    def give(self, work: Work) -> bool:
        """Run ``work`` after all that was handed over before. Never waits.

        False when there is no room, and it will not run.
        """
        try:
            self._waiting.put_nowait(work)
        except queue.Full:
            self.left_out += 1
            return False
        return True

    async def close(self, within_s: float) -> bool:
        """Stop accepting work, and let what waits be done, for at most ``within_s``.

        Returns whether the thread has ended.

        Hand over no work after this call. False: the thread hangs, and still owns what its work touches.
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
                self._tell(error)
            finally:
                self._waiting.task_done()

    def _tell(self, error: Exception) -> None:
        """Call ``on_error``. If that raises too, the log says so, and the thread goes on all the same."""
        try:
            self._on_error(error)
        except Exception:
            log.exception("task_failed", task="background", consequence="all else goes on")
