"""Gives slabs from ``assemble`` to ``store``. Back come free memory, and what a signed manifest says of a bundle.

Few slabs are with ``store`` at a time, so that neither pipe between the two can fill up while both write. What is not
given yet waits in the assembler's queue, whose memory is the arena's.
"""

from collections import deque
from typing import Final

from diode.errors import Drop
from diode.process.workers import Mailbox
from diode.protocol.assembler import Assembler
from diode.protocol.geometry import Geometry
from diode.protocol.handed_over import Begun, Completed, Grown, HandedOver, Spilled, Wanted
from diode.protocol.sizes import Kind, ObjectType
from receiver.messages import pipeline as messages
from receiver.spool.slabs import key_of, numbers_of, pack_mask, spilled_keys, unpack_mask

MAX_HANDED: Final = 16  # slabs with store
MAX_GROWN: Final = 16  # beginnings of slabs that store is told of before it answers anything
GROWN_BYTES: Final = 4 << 20  # by so much a slab has grown when store is told again
_PATIENCE_S: Final = 30.0  # how long memory may be short because the disk is slow


class Handover:
    """Gives ``store`` what the assembler hands over, and does what it answers. ``mailbox`` is the one to ``store``."""

    def __init__(self, mailbox: Mailbox, assembler: Assembler) -> None:
        self.mailbox = mailbox
        self.handed = 0  # with store now
        self.freed = 0
        self._grown = 0  # beginnings that store was told of since its last answer
        self._assembler = assembler
        self._decisions: deque[object] = deque()  # heard while something else was waited for

    @property
    def completed(self) -> int:
        """Slabs that were handed over, or wait for it."""
        return self.freed + self.handed + len(self._assembler.handed_over)

    def await_start(self) -> None:
        """Wait until ``store`` has told which bundles it already keeps. Raises SystemExit when it is gone."""
        while (message := self.mailbox.receive(None)) is not None:
            if isinstance(message, messages.Started):
                return
            self._apply(message)
        raise SystemExit(0)

    def give(self) -> None:
        """Give ``store`` all that the assembler hands over, waiting while it has enough to do."""
        self._push()
        while self._assembler.handed_over:
            self.wait_for_space()
            self._push()

    def grow(self, step_bytes: int = GROWN_BYTES) -> None:
        """Tell ``store`` how far open slabs are, so that it copies them while the rest arrives."""
        self._assembler.note_growth(step_bytes)
        self.give()

    def spill(self, bundle: int | None) -> None:
        """Have what is open kept on disk, of one bundle or of all."""
        self._assembler.spill(bundle)
        self.give()

    def hear(self) -> None:
        """Do what ``store`` says. Raises SystemExit when it is gone."""
        self._decisions.extend(self.mailbox.drain())
        if self.mailbox.closed:
            raise SystemExit(0)
        self.decide()
        self.give()

    def decide(self) -> None:
        """Do what ``store`` said while something else was waited for."""
        while self._decisions:
            self._apply(self._decisions.popleft())

    def wait_for_space(self) -> bool:
        """Wait until ``store`` gives a slab's memory back; False: there is no hope. Other answers are kept for later.

        Raises SystemExit when ``store`` is gone.
        """
        self._push()
        if not self.handed:
            return False
        message = self.mailbox.receive(_PATIENCE_S)
        if message is None:
            if self.mailbox.closed:
                raise SystemExit(0)
            return False
        if isinstance(message, messages.Free | messages.Loaded):
            self._apply(message)
        else:
            self._decisions.append(message)
        return True

    def _push(self) -> None:
        """Give ``store`` what it may have now."""
        queue = self._assembler.handed_over
        while queue and self.handed < MAX_HANDED:
            item = queue.popleft()
            if isinstance(item, Grown):
                self._grown += 1
                if self._grown > MAX_GROWN:
                    continue  # store is busy, and copies the slab when it is whole
            self.handed += not isinstance(item, Begun | Grown)
            self.mailbox.send(_described(item))

    def _apply(self, message: object) -> None:
        match message:
            case messages.Free():
                self._take_back()
                self._assembler.release(message.offset)
            case messages.Known():
                self._know(message)
            case messages.Loaded():
                self._take_back()
                self._assembler.loaded(key_of(message), unpack_mask(message.have, message.symbols))
            case messages.Redo():
                self._assembler.redo(key_of(message))
            case messages.Finished():
                self._assembler.finish(message.bundle, Drop(message.drop) if message.drop else None)

    def _take_back(self) -> None:
        self.handed -= 1
        self._grown = 0
        self.freed += 1

    def _know(self, known: messages.Known) -> None:
        sizes = {
            (Kind.DATA, 0): known.stream_bytes,
            (Kind.OBJECT, int(ObjectType.FILES)): known.files_bytes,
            (Kind.OBJECT, int(ObjectType.SLABS)): known.slabs_bytes,
        }
        done = numbers_of(known.done).tolist()
        self._assembler.know(known.bundle, Geometry(*known.geometry), sizes, done, spilled_keys(known))


def _described(item: HandedOver) -> object:
    """As ``store`` is told of it."""
    match item:
        case Completed():
            return messages.Complete(*item.key, offset=item.offset, length=item.length)
        case Spilled():
            symbols, have = len(item.have), pack_mask(item.have)
            return messages.Spilled(
                *item.key, offset=item.offset, symbol_bytes=item.symbol_bytes, symbols=symbols, have=have
            )
        case Wanted():
            return messages.Wanted(*item.key, offset=item.offset, symbol_bytes=item.symbol_bytes, symbols=item.symbols)
        case Begun():
            return messages.Begun(*item.key)
        case Grown():
            return messages.Grown(*item.key, offset=item.offset, length=item.length)
