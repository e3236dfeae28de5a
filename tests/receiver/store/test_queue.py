"""What assemble handed over waits in bounded memory, and what opens the way for the rest goes first."""

from typing import Any

from diode.protocol.sizes import Kind, ObjectType
from receiver.messages.pipeline import STORE_TO_ASSEMBLE, Begun, Complete
from receiver.store.queue import MAX_WAITING, Queue
from tests.enclave import Box


def queue_of(*messages: Any) -> tuple[Queue, Box]:
    """The queue of a pipe in which these wait."""
    box = Box(STORE_TO_ASSEMBLE)
    box.incoming.extend(messages)
    return Queue(box), box


def data(number: int) -> Begun:
    """Something about a slab of data."""
    return Begun(1, Kind.DATA, 0, number)


def test_manifests_and_tables_go_first() -> None:
    """Among themselves in their order, as is what waits behind them."""
    manifest = Complete(2, Kind.OBJECT, int(ObjectType.MANIFEST), 0, offset=0, length=1)
    table = Complete(1, Kind.OBJECT, int(ObjectType.FILES), 0, offset=0, length=1)
    queue, _ = queue_of(data(0), data(1), manifest, data(2), table)
    queue.fill()
    assert [manifest, table, data(0), data(1), data(2)] == [queue.next() for _ in range(len(queue))]


def test_no_more_is_taken_than_there_is_room_for() -> None:
    """The rest stays in the pipe, where it holds up who writes it."""
    queue, box = queue_of(*map(data, range(MAX_WAITING + 5)))
    for _ in range(2):
        queue.fill()
        assert (MAX_WAITING, 5) == (len(queue), len(box.incoming))
    queue.next()
    queue.fill()
    assert (MAX_WAITING, 4) == (len(queue), len(box.incoming))


def test_it_is_over_when_the_pipe_is_closed_and_nothing_waits() -> None:
    """What was handed over before is done all the same."""
    queue, box = queue_of(data(0))
    queue.fill()
    box.closed = True
    assert not queue.is_over
    queue.next()
    assert queue.is_over
