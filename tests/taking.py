"""A slow, readable twin of the compiled core's tags: what ``take`` does, in Python, row after row."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diode.protocol.auth import DatagramViews, Tags, _readable
from diode.protocol.run_taker import Status
from diode.protocol.sizes import HEADER_BYTES, TAG_BYTES
from diode.protocol.wire import headers_of


@dataclass(frozen=True)
class TwinTags:
    """The tags of one session."""

    readable: Tags

    def seal(self, *given: Any) -> None:
        """As the readable ones."""
        self.readable.seal(*given)

    def seal_numbered(self, *given: Any) -> None:
        """As the readable ones."""
        self.readable.seal_numbered(*given)

    def check(self, *given: Any) -> NDArray[np.bool_]:
        """As the readable ones."""
        return self.readable.check(*given)

    def take(
        self,
        datagrams: NDArray[np.uint8],
        rows: NDArray[np.intp],
        headers: NDArray[Any],
        places: tuple[NDArray[np.uint8], NDArray[np.bool_]] | None,
    ) -> NDArray[np.uint8]:
        """The status of each row. The place of a forged symbol holds it afterwards, as with the compiled core."""
        copies = np.array(datagrams[rows])
        headers_of(copies)[:] = headers
        views = DatagramViews(memoryview(copies.reshape(-1)), copies.shape[1], len(copies))
        is_authentic = self.readable.check(copies, views, slice(0, len(copies)))
        status = np.where(is_authentic, Status.TAKEN, Status.FORGED).astype(np.uint8)
        if places is None:
            return status
        symbols, have = places
        for i, number in enumerate(headers["symbol"].tolist()):
            if number >= len(have) or have[number]:
                status[i] = Status.LEFT
                continue
            symbols[number] = copies[i, HEADER_BYTES:-TAG_BYTES]
            have[number] = is_authentic[i]
        return status


class Twin:
    """Makes them, in place of ``diode.core.sealing.Sealing``."""

    def tags(self, key: bytes | None) -> TwinTags:
        """Under a session key; without one every tag is zero."""
        return TwinTags(_readable(key, "none" if key is None else "gmac"))
