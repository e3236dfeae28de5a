"""Moves the pointer of a name while clients ask: all the time, or between two of one client's requests."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from diode.layouts.kinds import Kind
from receiver.gateway.answers import Answer
from receiver.gateway.protocols import PREFIXES, PROTOCOLS
from receiver.gateway.request import Request
from receiver.gateway.server.app import Mounted
from receiver.gateway.view import View
from tests.serving import Serving


@contextmanager
def flipping(serving: Serving, of: tuple[str, str], versions: Sequence[str]) -> Iterator[list[int]]:
    """Promote one version after the other, until the block ends; gives the number of times so far, in a list."""
    count, stop = [0], threading.Event()

    def flip() -> None:
        while not stop.is_set():
            serving.promote(*of, versions[count[0] % len(versions)])
            count[0] += 1

    thread = threading.Thread(target=flip)
    thread.start()
    try:
        yield count
    finally:
        stop.set()
        thread.join()


@contextmanager
def moved_after(serving: Serving, requests: int, move: Callable[[], None], kind: Kind = "trees") -> Iterator[str]:
    """Serve one protocol, and make one move when so many requests were answered; gives the gateway's address."""
    count = [0]

    def answer(request: Request, view: View) -> Answer:
        found = PROTOCOLS[kind](request, view)
        count[0] += 1
        if count[0] == requests:
            move()
        return found

    channels = frozenset(name for name, kinds in serving.serve.items() if kind in kinds)
    with serving.running([Mounted(PREFIXES[kind], kind, answer, channels)]) as base:
        yield base
