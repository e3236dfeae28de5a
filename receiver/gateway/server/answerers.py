"""Has protocols answer in threads, so that an answer that takes long does not hold up other clients."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

from receiver.gateway.answers import Answer
from receiver.gateway.protocols import Protocol
from receiver.gateway.request import Request
from receiver.gateway.view import LaterError, View

MOST: Final = 4  # answers that are made at a time; more would only share one interpreter


class Answerers:
    """Threads for answers, and one for those that take long. They begin when they are needed, confined as we are."""

    def __init__(self) -> None:
        self._usual = ThreadPoolExecutor(MOST, "answer")
        self._patient = ThreadPoolExecutor(1, "long-answer")

    async def answer(self, protocol: Protocol, request: Request, view: View) -> Answer:
        """What a protocol answers. Raises what it raises."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._usual, protocol, request, replace(view, is_patient=False))
        except LaterError:
            return await loop.run_in_executor(self._patient, protocol, request, replace(view, is_patient=True))
