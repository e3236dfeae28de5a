"""A holder of the link key seals wrong symbols: they go with their slab, and a later pass that is right is enough."""

from collections.abc import Callable

import numpy as np
import pytest

from diode.protocol.sizes import Kind
from diode.protocol.wire import headers_of
from sender.transport.plan import Job, Padding
from tests.faults.scenario import Faults
from tests.faults.staging import Staging
from tests.faults.world import world

HEADER, TAG = 48, 16
Spoil = Callable[[np.ndarray], None]


def every_symbol(datagrams: np.ndarray) -> None:
    """All of them are wrong."""
    datagrams[:, HEADER:-TAG] ^= 0xFF


def some_symbols(datagrams: np.ndarray) -> None:
    """Every fifth is, and the last half never arrives: what arrived is spilled."""
    datagrams[::5, HEADER:-TAG] ^= 0xFF
    headers_of(datagrams)["magic_version"][len(datagrams) // 2 :] = 0


PARTS: dict[str, Callable[[Job], bool]] = {
    "data": lambda step: step.kind == Kind.DATA,
    "tables": lambda step: step.kind == Kind.OBJECT and step.flags > 0,
    "manifest": lambda step: step.kind == Kind.OBJECT and step.flags == 0,
    "everything": lambda step: True,
}


@pytest.mark.long
@pytest.mark.parametrize("spoil", [every_symbol, some_symbols])
@pytest.mark.parametrize("part", PARTS)
def test_a_later_pass_that_is_right_is_enough(part: str, spoil: Spoil, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong symbols in the first pass, right ones in the second; no operator is needed, and nothing stays behind."""
    real = Staging.encode

    def encode(self: Staging, step: Job | Padding) -> np.ndarray:
        datagrams = real(self, step).copy()
        if isinstance(step, Job) and step.sending_pass == 0 and PARTS[part](step):
            spoil(datagrams)
        return datagrams

    with world(3, Faults(bundles=0, passes=2, auth="none")) as made:
        made.run()
        made.stage("item", bytes(range(256)) * 1500)
        with monkeypatch.context() as patches:
            patches.setattr(Staging, "encode", encode)
            while made.advance():
                pass
        made.rest()
        assert "item" in made.published
        made.recover()
        made.check_end()


def test_parked_files_of_a_wrong_slab_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its symbols were spilled before anybody could know; when they are found out, their file goes."""
    real = Staging.encode

    def encode(self: Staging, step: Job | Padding) -> np.ndarray:
        datagrams = real(self, step).copy()
        if isinstance(step, Job) and PARTS["tables"](step):
            headers_of(datagrams)["magic_version"] = 0  # they come later
        elif isinstance(step, Job) and step.kind == Kind.DATA and step.slab == 0:
            every_symbol(datagrams)
        return datagrams

    with world(4, Faults(bundles=0, passes=2, auth="none")) as made:
        made.run()
        made.stage("item", bytes(range(256)) * 1500)
        with monkeypatch.context() as patches:
            patches.setattr(Staging, "encode", encode)
            while made.staging is None or not spilled(made) or made.staging.scheduler.flights():
                if not made.advance() or len(spilled(made)) >= 4:
                    break
        assert "0-0" in {name.split("-", 1)[1] for name in spilled(made)}
        while made.advance():
            pass
        made.rest()
        made.recover()
        made.check_end()


def spilled(made: object) -> list[str]:
    """Files of spilled slabs of data."""
    spool = made.inbox / ".diode" / "spool"  # type: ignore[attr-defined]
    return [path.name for path in spool.glob("*/parked/1-*")]
