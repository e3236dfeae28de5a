"""Tells when the next train may leave at a constant rate. Time is an argument, in seconds of one monotonic clock."""


class Pacer:
    """A leaky bucket in bytes of UDP payload per second. ``rate`` 0 means as fast as the socket accepts them.

    A wait shorter than ``quantum_s`` is postponed until it has grown, because sleeping and waking cost more than a
    train.
    """

    def __init__(self, rate_bytes_per_s: float, *, burst_s: float = 0.002, quantum_s: float = 0.0005) -> None:
        self.rate_bytes_per_s = rate_bytes_per_s
        self._burst_s = burst_s
        self._quantum_s = quantum_s
        self._due = 0.0

    def delay(self, now: float, size_bytes: int) -> float:
        """The seconds to wait before ``size_bytes`` may be sent. They count as sent after that.

        A sender that was held up catches up for at most ``burst_s``, so a receiver's buffer never gets a longer burst.
        """
        if self.rate_bytes_per_s <= 0:
            return 0.0
        self._due = max(self._due, now - self._burst_s)
        wait = self._due - now
        self._due += size_bytes / self.rate_bytes_per_s
        return wait if wait >= self._quantum_s else 0.0
