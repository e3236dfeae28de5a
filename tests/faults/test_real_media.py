"""Media as the kernel has them: one that is taken away, one without inodes, one that became read-only. Needs root."""

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from diode.bundle.medium import TOP
from diode.errors import DiodeError, StorageError, UsageError
from receiver.media.medium import OnMedium
from tests.courier import FILES, Courier, Gate, small_parts
from tests.faults.replaced import Replacement, replaced

pytestmark = pytest.mark.needs("root")


@pytest.fixture
def courier(tmp_path: Path) -> Iterator[Courier]:
    """Staging. Each part of a medium has one slab."""
    with small_parts(tmp_path / "courier") as made:
        yield made


@pytest.fixture
def stick(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, with 64 inodes."""
    place = tmp_path / "mounted"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m,nr_inodes=64", "stick", str(place)], check=False)
    if made.returncode:
        pytest.skip("this root may not mount")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=False, stderr=subprocess.DEVNULL)


@pytest.mark.parametrize("at", range(3))
def test_a_medium_that_is_taken_away(courier: Courier, stick: Path, tmp_path: Path, at: int) -> None:
    """In the middle of a read: what is published is whole, and otherwise it goes on with the medium in again."""
    row = courier.pack()
    courier.export(row, stick)
    courier.export(row)
    gate, real = Gate(tmp_path / "gate"), OnMedium.read
    reads: list[tuple[object, ...]] = []

    def read(one: OnMedium, *arguments: object) -> int:
        if len(reads) == at:
            subprocess.run(["umount", "-l", str(stick)], check=True)
        reads.append(arguments)
        return real(one, *arguments)  # type: ignore[arg-type]

    with replaced(Replacement(OnMedium, "read", read)), suppress(DiodeError):
        gate.bring(stick, row.id)
    assert gate.content(row) == (FILES if gate.state_of(row.id) == "published" else {})
    with pytest.raises(UsageError, match=TOP):
        gate.bring(stick, row.id)
    assert "published" == gate.bring(courier.medium, row.id).state
    assert FILES == gate.content(row)
    gate.close()


@pytest.mark.parametrize("free", range(1, 7))
def test_a_medium_without_inodes(courier: Courier, stick: Path, free: int) -> None:
    """Nothing lies there under its final name, and it is said what to do. With room again the next export ends it."""
    row = courier.pack()
    filled: list[Path] = []
    with suppress(OSError):
        while True:
            filled.append(stick / f"{len(filled)}")
            filled[-1].touch()
    for path in filled[-free - 1 :]:
        path.unlink(missing_ok=True)
    with pytest.raises((StorageError, UsageError), match="No space left"):
        courier.export(row, stick)
    assert not (stick / TOP / row.id).exists()
    for path in filled:
        path.unlink(missing_ok=True)
    assert courier.export(row, stick).is_new


def test_a_medium_that_became_read_only(courier: Courier, stick: Path) -> None:
    """As the kernel does after errors: nothing is written, and that is said."""
    row = courier.pack()
    subprocess.run(["mount", "-o", "remount,ro", str(stick)], check=True)
    with pytest.raises(UsageError, match="Read-only file system; nothing was written"):
        courier.export(row, stick)
    subprocess.run(["mount", "-o", "remount,rw", str(stick)], check=True)
    assert courier.export(row, stick).is_new
