"""What bounds each stage: the speed of memory, of the hash and of the kernel, measured apart from any stage.

A stage that reaches half of a limit is bounded by it: it cannot become twice as fast. Any other one is bounded by its
own computation.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median
from typing import Final

import numpy as np

from diode.formats.digest import digest
from diode.lab.kernel_limit import Limit
from diode.lab.report import Row
from diode.protocol.sizes import datagram_bytes, symbol_bytes_for

_MEMORY_BYTES: Final = 128 << 20  # more than any cache has
_CACHE_BYTES: Final = 256 << 10  # less than the cache of one core
_ROUNDS: Final = 5
_BOUND: Final = 0.5
_KERNEL: Final = {"transmit": "kernel, sending", "listen": "kernel, receiving"}
_WORKERS: Final = {"transmit": "sender.transport.transmit", "listen": "receiver.transport.listen"}


def measure(raw: Mapping[int, Limit]) -> Iterator[Row]:
    """A row for each limit, for a second of one processor. ``raw``: by MTU; those of the kernel are of payload."""
    memory = np.ones(_MEMORY_BYTES, dtype=np.uint8)
    other = np.ones_like(memory)
    cached = memory[:_CACHE_BYTES]
    yield _row("memory, read", _speed(memory.max, _MEMORY_BYTES))
    yield _row("memory, copy", _speed(lambda: np.copyto(other, memory), _MEMORY_BYTES))
    rounds = _MEMORY_BYTES // _CACHE_BYTES
    yield _row("hash in the cache", _speed(lambda: [digest(cached) for _ in range(rounds)], _MEMORY_BYTES))
    for mtu, limit in raw.items():
        yield _row(f"{_KERNEL['transmit']} {mtu}", limit.sent_per_cpu_s / 1e9)
        yield _row(f"{_KERNEL['listen']} {mtu}", limit.received_per_cpu_s / 1e9)


def _row(name: str, value: float) -> Row:
    return {"row": f"limit {name}", "part": "limits", "unit": "GB/s", "value": value, "limit": name}


def _speed(work: Callable[[], object], size_bytes: int) -> float:
    """GB for a second of one processor, the median of several."""
    seconds = []
    for _ in range(_ROUNDS):
        started = time.thread_time()
        work()
        seconds.append(time.thread_time() - started)
    return size_bytes / median(seconds) / 1e9


def workers(transfers: Sequence[Row]) -> Iterator[Row]:
    """Rows for the workers at the sockets: datagrams a second of their processor, in GB, of the transfers measured.

    User data is less than payload by headers, tags and repair, which the profile of these transfers says.
    """
    for row in transfers:
        if row["value"] is None or row["profile"] != "standard" or row["auth"] != "gmac":
            continue
        for worker, module in _WORKERS.items():
            cpu_s_per_gb = row["cpu_s_per_gb"].get(module, 0.0)
            if cpu_s_per_gb:
                mtu = row["mtu"]
                yield {
                    "row": f"worker {worker} of {row['row']}",
                    "part": "limits",
                    "unit": "GB/s",
                    "value": _payload_share(mtu) / cpu_s_per_gb,
                    "stage": worker,
                    "mtu": mtu,
                    "core": row["core"],
                    "limits": [f"{_KERNEL[worker]} {mtu}"],
                }


def _payload_share(mtu: int) -> float:
    """Bytes of UDP payload for one byte of user data in profile ``standard``."""
    symbol = symbol_bytes_for(mtu)
    return datagram_bytes(symbol) / symbol * 220 / 200


def bound(rows: Sequence[Row]) -> Iterator[Row]:
    """The rows that name their limits, each with the nearest of these, and what it is bounded by."""
    measured = {row["limit"]: row["value"] for row in rows if "limit" in row}
    for row in rows:
        near = min((name for name in row.get("limits", ()) if name in measured), key=measured.__getitem__, default="")
        if not near:
            yield row
            continue
        share = row["value"] / measured[near]
        by = near if share >= _BOUND else "its own computation"
        yield row | {"nearest_limit": near, "of_limit": share, "bounded_by": by}
