"""Promotes and rolls back, all the time, while real clients take what is in use; then looks at each file that they got.

``python -m tests.promotions --seconds 300`` has a gateway over an inbox made for a test. With ``--whole`` there is a
whole enclave, whose pointers are moved by orders, and meanwhile the serving process of the gateway is renewed (SIGHUP)
and killed, and the daemon ended and started again. Nothing that a client got may be of two versions, or of another
name, and nothing may fail. Ends with 1 when something did.

A serving process that is killed takes the answers with it that it was giving: nobody else can end what it began. A
round in which that happened, and whose client does not ask again by itself, is counted as *cut*. What it left must be
right all the same, and the client is run again at once: that must go well.
"""

import argparse
import hashlib
import os
import queue
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from diode.layouts.kinds import KINDS
from tests.needs import NEEDS
from tests.promotion_clients import CLIENTS, VERSIONS, Got, Once, Place, Scene
from tests.serving import FolderFiles, Serving
from tests.whole_enclave import RESTARTS, WholeEnclave

ENOUGH: Final = 16  # rounds in which a client must have met both
POLITE: Final = 5  # clients come after what serves them: on few cores the pointer would hardly move otherwise
AT_ONCE: Final = 3  # clients
BY_SERVING: Final = ("apt", "curl", "dnf")  # the clients of a run without a daemon


@dataclass
class Outcome:
    """What came of it. ``rounds``: of each client; ``seen``: how often it got which version; ``cut``: see above."""

    moves: int = 0
    files: int = 0
    rounds: Counter[str] = field(default_factory=Counter)
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    cut: list[str] = field(default_factory=list)
    restarts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


Loops = Mapping[str, tuple[Scene, Once]]


def promotions(folder: Path, names: Iterable[str], moves: int, seconds: float) -> Outcome:
    """Move the pointer of every name ``moves`` times within ``seconds``, or longer where the machine is slow."""
    outcome = Outcome()
    serving = Serving(folder / "serving", {kind: (kind,) for kind in KINDS})
    with ExitStack() as until, serving.running() as base:
        loops = _set_up(folder, names, serving, base, until, outcome)
        with _looping(loops, outcome, []):
            for number in _paced(moves, seconds):
                _move(serving, number)
                outcome.moves += 1
    _look_at_the_inbox(serving, outcome)
    _look_at_the_clients(outcome)
    return outcome


def whole(folder: Path, names: Iterable[str], moves: int, seconds: float, restarts: int) -> Outcome:
    """The same against a whole enclave, with so many restarts, of each kind in turn, spread over the moves."""
    outcome = Outcome()
    enclave = WholeEnclave(folder / "enclave")
    with ExitStack() as until:
        loops = _set_up(folder, names, enclave, enclave.base, until, outcome)
        with enclave.running(), _looping(loops, outcome, enclave.kills), _restarting(enclave, restarts, seconds):
            for number in _paced(moves, seconds):
                enclave.move(number, VERSIONS)
                outcome.moves += 1
    outcome.problems += enclave.problems
    outcome.restarts = enclave.restarts
    _look_at_the_clients(outcome)
    return outcome


@contextmanager
def _restarting(enclave: WholeEnclave, restarts: int, seconds: float) -> Iterator[None]:
    """Restart so often, each kind in turn, spread over a time; all of them before the block ends."""

    def work() -> None:
        for number in _paced(restarts, seconds):
            enclave.restart(RESTARTS[number % len(RESTARTS)])

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        yield
        working.result()


def _set_up(
    folder: Path, names: Iterable[str], place: Place, base: str, until: ExitStack, outcome: Outcome
) -> dict[str, tuple[Scene, Once]]:
    """The clients that this machine has, each with its bundles published."""
    loops = {}
    for name in names:
        client, need = CLIENTS[name]
        if need and not NEEDS[need].is_there():
            outcome.skipped.append(f"{name}: {NEEDS[need].reason}")
            continue
        (folder / name).mkdir(parents=True)
        scene = Scene(place, base, folder / name, until)
        loops[name] = (scene, client(scene))
    return loops


def _paced(moves: int, seconds: float) -> Iterator[int]:
    """The numbers of the moves, spread over a time."""
    pace, began = threading.Event(), time.monotonic()
    for number in range(moves):
        yield number
        pace.wait(max(0.0, began + (number + 1) * seconds / moves - time.monotonic()))


def _move(serving: Serving, number: int) -> None:
    """Promote the older version of every name, and roll back, in turn."""
    for channel, name in list(serving.pointers):
        if number % 2:
            serving.roll_back(channel, name)
        else:
            serving.promote(channel, name, VERSIONS[0])


@contextmanager
def _looping(loops: Loops, outcome: Outcome, kills: list[float]) -> Iterator[None]:
    """Let each client take what is in use, again and again, until the block ends; each at least once."""
    stop, turns = threading.Event(), queue.SimpleQueue[str]()
    for name in loops:
        turns.put(name)
    threads = [threading.Thread(target=_take_turns, args=(loops, turns, stop, outcome, kills)) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _take_turns(
    loops: Loops, turns: "queue.SimpleQueue[str]", stop: threading.Event, outcome: Outcome, kills: list[float]
) -> None:
    """Have the client go that waits longest, until it is to stop and each one has had its turn."""
    os.nice(POLITE)  # of this thread alone, and of what it starts
    while not (stop.is_set() and all(outcome.rounds[name] for name in loops)):
        try:
            name = turns.get(timeout=1)
        except queue.Empty:
            return  # the others see to all that are left
        _round(name, outcome.rounds[name], *loops[name], outcome, kills)
        turns.put(name)


def _round(name: str, number: int, scene: Scene, once: Once, outcome: Outcome, kills: list[float]) -> None:
    """One round of a client. Where a kill cut it, it is tried again."""
    tries = 1
    while _is_cut(name, f"{number}-{tries}", scene, once, outcome, kills):
        tries += 1
    outcome.rounds[name] += 1


def _is_cut(name: str, label: str, scene: Scene, once: Once, outcome: Outcome, kills: list[float]) -> bool:
    """Run a client once. True: it failed, and a serving process was killed meanwhile."""
    folder = scene.folder / f"round-{label}"
    folder.mkdir()
    began, is_cut = time.monotonic(), False
    try:
        for got in once(folder):
            _judge(name, scene, got, outcome)
    except Exception as error:  # noqa: BLE001 - whatever a client's function stumbles over is what is looked for
        is_cut = any(began <= kill for kill in kills)
        said = f"{name}, round {label}: {type(error).__name__}: {error}"
        (outcome.cut if is_cut else outcome.problems).append(said)
    shutil.rmtree(folder)
    return is_cut


def _judge(name: str, scene: Scene, got: Got, outcome: Outcome) -> None:
    if hashlib.sha256(got.file.read_bytes()).hexdigest() != scene.known.get((got.version, got.path)):
        outcome.problems.append(f"{name}: {got.path} is not what version {got.version} has")
    outcome.files += 1
    outcome.seen[name, got.version] += 1


def _look_at_the_inbox(serving: Serving, outcome: Outcome) -> None:
    """Every published file is still what it was."""
    for one in serving.listed.values():
        data = serving.folder / "inbox" / one.channel / one.name / one.version / "data"
        table = list(FolderFiles(data).table())
        if hashlib.sha256(repr(table).encode()).hexdigest() != one.content:
            outcome.problems.append(f"the files of {one.channel}/{one.name}/{one.version} have changed")


def _look_at_the_clients(outcome: Outcome) -> None:
    """A client that met no change in many rounds shows nothing: it may have asked only once."""
    for name, rounds in outcome.rounds.items():
        if rounds >= ENOUGH and len([1 for of, _ in outcome.seen if of == name]) < len(VERSIONS):
            outcome.problems.append(f"{name} got one version only, in {rounds} rounds")


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.promotions", description=__doc__)
    parser.add_argument("--whole", action="store_true", help="against a whole enclave")
    parser.add_argument("--seconds", type=float, default=120.0, help="over which the moves are spread")
    parser.add_argument("--moves", type=int, default=1000, help="promotions and rollbacks of each name")
    parser.add_argument("--restarts", type=int, default=30, help="with --whole: of gateway and daemon")
    parser.add_argument("--client", action="append", choices=sorted(CLIENTS), help="one of them; may be repeated")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started is ended
    with tempfile.TemporaryDirectory(prefix="promotions") as temporary:
        folder, names = Path(temporary), asked.client or (sorted(CLIENTS) if asked.whole else BY_SERVING)
        if asked.whole:
            outcome = whole(folder, names, asked.moves, asked.seconds, asked.restarts)
        else:
            outcome = promotions(folder, names, asked.moves, asked.seconds)
    _show(outcome)
    return 1 if outcome.problems else 0


def _show(outcome: Outcome) -> None:
    for line in (*outcome.skipped, *(f"cut: {one}" for one in outcome.cut), *outcome.problems):
        print(line)
    for name, rounds in sorted(outcome.rounds.items()):
        seen = ", ".join(f"{count} of {version}" for (of, version), count in sorted(outcome.seen.items()) if of == name)
        print(f"{name}: {rounds} rounds; files: {seen}")
    print(f"restarts: {', '.join(f'{count} {what}' for what, count in outcome.restarts.items()) or 'none'}")
    print(f"{outcome.moves} moves of each name, {outcome.files} files looked at, ", end="")
    print(f"{len(outcome.cut)} times cut by a kill, and tried again, {len(outcome.problems)} problems")


if __name__ == "__main__":
    sys.exit(main())
