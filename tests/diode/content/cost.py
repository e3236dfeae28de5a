"""What looking at content costs: seconds of the whole check, in its child, and of the look alone, as medians.

``python -m tests.diode.content.cost`` makes 10,000 small files, a tree of 40,000, and a model of 1 GiB without blocks
on the disk, and looks at each several times.
"""

import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from diode.config.intake import Intake
from diode.content.examine import examine
from sender.intake.candidate import Candidate, Progress, make_candidate
from sender.intake.examiner import examine_apart
from sender.intake.pipeline import Pipeline
from sender.intake.spare import Spare
from sender.outbox.hashing import hash_content
from sender.outbox.scan import collect

SLAB_BYTES: Final = 1 << 20
TIMES: Final = 5
TENSOR_BYTES: Final = 1 << 20


def small_files(folder: Path, count: int) -> None:
    """Texts, JSON, random bytes and the beginnings of pictures by turns, a hundred folders of them."""
    generator = random.Random(1)
    words = b"the model of a file is what its loader makes of it".split()
    for number in range(count):
        path = folder / str(number % 100) / str(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        some = [generator.choice(words) for _ in range(generator.randrange(5, 300))]
        data = (
            b" ".join(some),
            json.dumps({word.decode(): generator.random() for word in some[:30]}).encode(),
            b"\xff" + generator.randbytes(2000),
            b"\x89PNG\r\n\x1a\n" + generator.randbytes(500),
        )[number % 4]
        path.write_bytes(data)


def model(folder: Path, tensors: int) -> None:
    """A safetensors file of as many MiB, all zeros."""
    places = {f"layer.{n}": [n * TENSOR_BYTES, (n + 1) * TENSOR_BYTES] for n in range(tensors)}
    entries = {name: {"dtype": "F16", "shape": [512, 1024], "data_offsets": place} for name, place in places.items()}
    header = json.dumps(entries).encode()
    folder.mkdir()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + tensors * TENSOR_BYTES)


def seconds_of(work: Callable[[], object]) -> float:
    """How long it takes, once."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def look_at(candidate: Candidate) -> None:
    """All files, in this process, without their digests."""
    for file in candidate.files.values():
        with file.source.open() as opened:
            assert examine(opened, os.fstat(opened.fileno()).st_size, file.path).problem is None


def measure(folder: Path, state: Path) -> tuple[float, float]:
    """(the check as the sender makes it, the look alone), medians in seconds."""
    sources = collect([folder], "refuse")
    content = hash_content(sources, SLAB_BYTES)
    spare = Spare()
    pipeline = Pipeline(Intake(), state, examine=partial(examine_apart, take=spare.take))
    checks, looks = [], []
    for _ in range(TIMES):
        candidate = make_candidate("c", "n", "1", sources, content, Progress())
        looks.append(seconds_of(partial(look_at, candidate)))
        spare.prepare()
        hash_content(sources, SLAB_BYTES)  # meanwhile the child starts, as in earnest
        verdict = pipeline.run(candidate)
        assert verdict.accepted, verdict.failed
        checks.append(next(check.seconds for check in verdict.checks if check.name == "content"))
    spare.close()
    return statistics.median(checks), statistics.median(looks)


def main() -> None:
    """Make the items, measure, and print a row for each."""
    with tempfile.TemporaryDirectory() as place:
        top = Path(place)
        small_files(top / "10,000 small files", 10_000)
        small_files(top / "40,000 small files", 40_000)
        model(top / "1 GiB of safetensors", 1024)
        for folder in sorted(top.iterdir()):
            check, look = measure(folder, top / "state")
            print(f"{folder.name}: check {check:.4f} s, look {look:.4f} s")


if __name__ == "__main__":
    main()
