"""Constant rate: when may the next train leave? Time is an argument, in seconds of one monotonic clock."""


class Pacer:
    """A leaky bucket in bytes of UDP payload per second. ``rate`` 0 means as fast as the socket takes them.

    A wait shorter than ``quantum_s`` is put off until it has grown: sleeping and waking cost more than a train.
    """

    def __init__(self, rate_bytes_per_s: float, *, burst_s: float = 0.002, quantum_s: float = 0.0005) -> None:
        self.rate_bytes_per_s = rate_bytes_per_s
        self._burst_s = burst_s
        self._quantum_s = quantum_s
        self._due = 0.0

    def delay(self, now: float, size_bytes: int) -> float:
        """Seconds to wait before ``size_bytes`` may be sent at ``now``; books them as sent.

        Time lost to a stalled sender is caught up for ``burst_s`` at most: a receiver's buffer never sees more.
        """
        if self.rate_bytes_per_s <= 0:
            return 0.0
        self._due = max(self._due, now - self._burst_s)
        wait = self._due - now
        self._due += size_bytes / self.rate_bytes_per_s
        return wait if wait >= self._quantum_s else 0.0
