"""What a region of odd sizes costs the worker that judges it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diode.protocol.auth import DatagramViews, Session
from diode.protocol.encoder import SlabEncoder, Slot
from diode.protocol.fec import choose_engine
from diode.protocol.geometry import Geometry
from diode.protocol.heartbeat import Heartbeat, HeartbeatSealer
from diode.protocol.link_key import LinkKey
from diode.protocol.runs import MOST_ODD_RUNS
from receiver.transport import regions
from tests.diode.protocol.test_runs import train
from tests.fuzz.enclave import Enclave, enclave

KEY = LinkKey.of(bytes(range(32)))
SIZE = 1472


def padding(count: int) -> bytes:
    """Authentic datagrams."""
    slot = Slot(memoryview(bytearray(count * SIZE)), Geometry(SIZE - 64, 1, count, 0))
    SlabEncoder(choose_engine(), Session(KEY, 77, "gmac"), KEY.key_id).padding(slot, count)
    return slot.datagrams.tobytes()


def beat(number: int, size: int = SIZE) -> bytes:
    """A heartbeat in a datagram of this size."""
    sealer = HeartbeatSealer(KEY, Session(KEY, 78, "gmac"), size - 64)
    sessions = {f"{77:016x}": 0}
    return sealer.seal_mac(Heartbeat(epoch=1, number=number, clock=0, sessions=sessions, channels={}, bundles=[]))


def receive(one: Enclave, parts: list[bytes]) -> None:
    """As one region."""
    one.receive(b"".join(parts), [len(part) for part in parts])


@pytest.fixture
def viewed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many datagrams views were made of, each time that any were."""
    made: list[int] = []

    class Counted(DatagramViews):
        def __init__(self, buffer: memoryview, size: int, count: int) -> None:
            made.append(count)
            super().__init__(buffer, size, count)

    monkeypatch.setattr(regions, "DatagramViews", Counted)
    return made


def test_one_odd_datagram_costs_its_own_views_only(tmp_path: Path, viewed: list[int]) -> None:
    """At the start of each region, where those of all its datagrams would be made anew."""
    with enclave(tmp_path, KEY, "gmac", 8 << 20, [], {}, 1) as one:
        receive(one, [beat(1), padding(40)])
        receive(one, [padding(40)])
        receive(one, [padding(40)])
        viewed.clear()
        for _ in range(20):
            receive(one, [train(1, 512)])
            receive(one, [padding(40)])
        assert [1] * 20 == viewed
        assert not one.worker._regions._views.keys() - {SIZE}


@pytest.mark.long
def test_sizes_that_alternate_cost_few_runs(tmp_path: Path, viewed: list[int]) -> None:
    """Before the link's size is known as well; and all of the sender's are taken."""
    parts = [part for number in range(200) for part in (padding(1), train(1, 512 + 64 * (number % 2)))]
    for first in ([], [beat(1)]):
        with enclave(tmp_path, KEY, "gmac", 8 << 20, [], {}, 1) as one:
            receive(one, [*first, *parts])
            receive(one, [beat(2)])
            viewed.clear()
            before: Any = one.assembler.figures.padding
            receive(one, parts)
            assert 200 == one.assembler.figures.padding - before
            assert MOST_ODD_RUNS + 2 >= len(viewed)
        (tmp_path / "link.key").unlink()


def test_recorded_data_of_another_size_does_not_move_the_links_size(tmp_path: Path) -> None:
    """Only a heartbeat does, which no one can play again; and ``listen`` is told."""
    with enclave(tmp_path, KEY, "gmac", 8 << 20, [], {}, 1) as one:
        receive(one, [beat(1), padding(4)])
        cell = one.worker._link_size
        assert (SIZE, SIZE) == (one.worker._regions.usual_bytes, cell["datagram_bytes"])
        receive(one, [beat(1, 512), np.zeros(512, np.uint8).tobytes()])
        assert SIZE == cell["datagram_bytes"]
        slot = Slot(memoryview(bytearray(8 * 512)), Geometry(448, 1, 8, 0))
        SlabEncoder(choose_engine(), Session(KEY, 77, "gmac"), KEY.key_id).padding(slot, 8)
        receive(one, [slot.datagrams.tobytes()])
        assert SIZE == cell["datagram_bytes"]
        receive(one, [beat(2, 512)])
        assert 512 == cell["datagram_bytes"]
