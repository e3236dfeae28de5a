"""The compiled core is used where it is wanted, there, and proven; a difference is found and costs no datagram."""

import time
from collections.abc import Iterator

import pytest

from diode.core.library import load
from diode.core.sealing import Sealing
from diode.process import compiled
from diode.process.compiled import READABLE, Compiled, Core, choose_core
from diode.protocol.auth import Kernel
from diode.protocol.taking_proof import prove_taking
from tests.needs import need

AES = 2  # its bit in the mask
SEED = 7


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    """The library, with nothing masked afterwards."""
    need("core")
    library = load()
    yield Sealing(library)
    library.diode_core_mask(0)


def fail(*_: object, **__: object) -> None:
    """Stands for a proof that finds a difference."""
    raise OSError("the kernel seals datagrams of 64 bytes otherwise")


def test_off_loads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who wants no core has none of it in the process."""
    monkeypatch.setattr(compiled, "load", fail)
    assert READABLE is choose_core("off", SEED, prove_taking)


def test_the_core_is_used_where_it_is_there(kernel: Kernel) -> None:
    """Both where it may be missing and where it is required."""
    wanted: tuple[Core, ...] = ("auto", "require")
    for core in wanted:
        chosen = choose_core(core, SEED, prove_taking)
        assert "" == chosen.refused
        assert chosen.kernel_for("auto", "gmac") is not None


def test_a_missing_core_is_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python alone is enough, and nobody is warned; who requires the core is told."""

    def none() -> None:
        raise FileNotFoundError("libdiode_core.so: No such file")

    monkeypatch.setattr(compiled, "load", none)
    assert READABLE == choose_core("auto", SEED, prove_taking)
    assert Compiled(refused="libdiode_core.so: No such file") == choose_core("require", SEED, prove_taking)


@pytest.mark.parametrize("core", ["auto", "require"])
def test_a_difference_is_refused(kernel: Kernel, monkeypatch: pytest.MonkeyPatch, core: Core) -> None:
    """A core whose results are others is not used, and the reason is told."""
    monkeypatch.setattr(compiled, "prove", fail)
    assert Compiled(refused="the kernel seals datagrams of 64 bytes otherwise") == choose_core(core, SEED, prove_taking)


@pytest.mark.parametrize("core", ["auto", "require"])
def test_a_damaged_library_is_refused(monkeypatch: pytest.MonkeyPatch, core: Core) -> None:
    """One that is there, and does not load."""
    monkeypatch.setattr(compiled, "load", fail)
    assert choose_core(core, SEED, prove_taking).refused


def test_a_cpu_without_the_instructions(kernel: Kernel) -> None:
    """It computes tags by ``cryptography``; where the core is required, that is told."""
    load().diode_core_mask(AES)
    chosen = choose_core("auto", SEED, prove_taking)
    assert "" == chosen.refused
    assert chosen.kernel_for("auto", "gmac") is None
    assert chosen.kernel_for("auto", "none") is not None
    assert "this CPU lacks the instructions" in choose_core("require", SEED, prove_taking).refused


def test_a_setting_takes_tags_from_the_core(kernel: Kernel) -> None:
    """And so does the mode that the core does not know."""
    chosen = choose_core("auto", SEED, prove_taking)
    assert chosen.kernel_for("library", "gmac") is None
    assert chosen.kernel_for("auto", "aead") is None


def test_the_proof_is_short(kernel: Kernel) -> None:
    """It is part of every start: at most 50 ms of CPU time."""
    choose_core("auto", SEED, prove_taking)  # imports
    spent_s = []
    for seed in range(3):
        begun_s = time.process_time()
        choose_core("auto", seed, prove_taking)
        spent_s.append(time.process_time() - begun_s)
    assert min(spent_s) < 0.05
