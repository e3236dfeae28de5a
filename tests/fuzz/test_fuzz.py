"""A slice of ``make fuzz``: the corpora without atheris, a few hostile links, and proof that the fuzzer bites."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from diode.protocol.assembler import Assembler
from diode.protocol.auth import Session
from tests.fuzz.corpus import CORPUS, TARGETS, inputs, target
from tests.fuzz.datagrams import Tally, run_epoch

LINKS = (0, 1, 3, 4, 8, 44)  # with and without the key; gmac, aead, none; both sizes; number 3 found a bug
WITHOUT_KEY, WITH_KEY = 1, 3


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_is_committed(name: str) -> None:
    """What ``python -m tests.fuzz.corpus`` writes is what lies here, and it is small."""
    there = dict(inputs(name))
    assert target(name).seeds().items() <= there.items()
    assert sum(map(len, there.values())) < 32 << 10


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_breaks_nothing(name: str) -> None:
    """Every input that was found worth keeping ends as its target says."""
    for _, data in inputs(name):
        target(name).one_input(data)


@pytest.mark.long
def test_hostile_links() -> None:
    """A few links under attack: nothing raises, nothing leaks, nothing forged is published, enough gets far enough."""
    total = Tally()
    for number in LINKS:
        total.add(run_epoch(number, batches=10))
    assert [] == total.shortfalls()
    assert total.datagrams > 100_000
    assert total.published


def test_a_gate_without_tags_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were every tag right, a stranger would reach the assembler."""
    everything = lambda self, datagrams, views, rows: np.ones(len(np.arange(len(datagrams))[rows]), dtype=np.bool_)
    monkeypatch.setattr(Session, "check", everything)
    with pytest.raises(AssertionError, match="a stranger"):
        run_epoch(WITHOUT_KEY, batches=4)


def test_an_assembler_that_leaks_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were memory not given back, the check after each rest would say so."""
    monkeypatch.setattr(Assembler, "release", lambda self, offset: None)
    with pytest.raises(AssertionError):
        run_epoch(WITH_KEY, batches=10)


def test_an_assembler_that_mixes_up_symbols_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were symbols put in wrong places, an honest sender would not get through afterwards."""
    real = Assembler.place

    def wrong(self: Assembler, slab: object, symbols: np.ndarray, rows: np.ndarray, numbers: np.ndarray) -> bool:
        return real(self, slab, symbols, rows, numbers[::-1].copy())  # type: ignore[arg-type]

    monkeypatch.setattr(Assembler, "place", wrong)
    with pytest.raises(AssertionError):
        run_epoch(WITHOUT_KEY, batches=2)


@pytest.mark.needs("atheris")
def test_a_target_runs_under_atheris(tmp_path: Path) -> None:
    """The runner instruments, explores from the corpus, and ends with 0."""
    command = [sys.executable, "-m", "tests.fuzz.atheris_run", "codes", "-runs=2000", "-seed=1", str(tmp_path)]
    done = subprocess.run(
        [*command, str(CORPUS / "codes")], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stderr
    assert "Done 2000 runs" in done.stderr
