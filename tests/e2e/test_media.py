"""A courier's walk with real daemons and real file systems: pack, export, import, receipt, confirm."""

import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from diode.bundle.medium import TOP
from tests.e2e.pair import SMALL_MTU, SMALL_SLAB, Pair, Process, differences, pair
from tests.e2e.test_resend import printed
from tests.needs import need

MODEL = random.Random(11).randbytes(2 * SMALL_SLAB + 5)


async def packed(link: Pair) -> tuple[Path, str]:
    """An item with names that vfat does not take, and the id of its bundle."""
    item = link.folder / "item"
    for name in ("README", "v1:2/LongName.bin", "v1:2/longna~1.bin"):
        (item / name).parent.mkdir(parents=True, exist_ok=True)
        (item / name).write_bytes(MODEL if name == "README" else name.encode())
    assert 0 == await (await link.sender("pack", "--name", "model", "--version", "1", str(item))).ended()
    (folder,) = (link.folder / "sender" / "state" / "bundles").iterdir()
    return item, folder.name


async def said(process: Process, code: int = 0) -> str:
    """What a command that is over has printed on standard error."""
    assert code == await process.ended(), "\n".join(process.log)
    return "\n".join(process.log)


async def walk(link: Pair, medium: Path) -> None:
    """The whole way, and the same import once more."""
    item, bundle = await packed(link)
    assert "may be pulled" in await said(await link.sender("export", str(medium), "--bundle", bundle[:8]))
    assert "no daemon runs" in await said(await link.enclave("import", str(medium)), 2)
    await link.receiver()
    assert "published; its confirm code" in await said(await link.enclave("import", str(medium)))
    assert [] == differences(item, link.inbox / "default" / "model" / "1" / "data")
    assert "published already" in await said(await link.enclave("import", str(medium)))


@pytest.mark.long
async def test_a_bundle_is_carried_and_confirmed(tmp_path: Path) -> None:
    """It never crosses the link. The confirm code counts, and the next run of the daemon has nothing to send."""
    async with pair(tmp_path / "pair", mtu=SMALL_MTU) as link:
        (medium := tmp_path / "stick").mkdir()
        await walk(link, medium)
        bundle = next((medium / TOP).iterdir()).name
        code = await printed(link, "receipt", bundle, "--code")
        assert "is confirmed" in await said(await link.sender("confirm", *code.split("-")))
        sender = await link.sender("run", "--json", "--until-idle")
        assert 0 == await sender.ended()
        assert 0 == sender.last("summary")["sent"]


@contextmanager
def mounted(kind: str, folder: Path) -> Iterator[Path]:
    """An empty file system of this kind in a file, mounted; skipped where that cannot be."""
    need("root")
    image, place = folder / f"{kind}.img", folder / kind
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(64 << 20)
    make = {"vfat": ["mkfs.vfat", "-F", "32"], "exfat": ["mkfs.exfat"], "ext4": ["mkfs.ext4", "-q"]}[kind]
    if shutil.which(make[0]) is None or subprocess.run([*make, image], check=False, capture_output=True).returncode:
        pytest.skip(f"{make[0]} is not installed: apt-get install dosfstools exfatprogs")
    device = image
    if kind == "exfat":  # its driver of FUSE wants a device
        found = subprocess.run(["losetup", "--find", "--show", image], check=False, capture_output=True, text=True)
        if found.returncode:
            pytest.skip("there is no loop device")
        device = Path(found.stdout.strip())
    try:
        if not any(is_mounted(command, place) for command in mounts(kind, device, place)):
            pytest.skip(f"neither this kernel nor FUSE mounts {kind}: apt-get install exfat-fuse")
        try:
            yield place
        finally:
            subprocess.run(["umount", place], check=True)
    finally:
        if device != image:
            subprocess.run(["losetup", "--detach", device], check=True)


def mounts(kind: str, device: Path, place: Path) -> list[list[str | Path]]:
    """The commands that may mount it: the kernel's file system first, then the one of FUSE."""
    fuse: dict[str, list[list[str | Path]]] = {
        "exfat": [["mount.exfat-fuse", device, place]],
    }
    return [["mount", "-o", "loop", "-t", kind, device, place], *fuse.get(kind, [])]


def is_mounted(command: list[str | Path], place: Path) -> bool:
    """Whether a command has mounted something."""
    if shutil.which(command[0]) is None:
        return False
    subprocess.run(command, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return place.is_mount()


@pytest.mark.long
@pytest.mark.parametrize("kind", ["vfat", "exfat", "ext4"])
async def test_every_file_system_holds_it(tmp_path: Path, kind: str) -> None:
    """Colons, and short names of vfat: no name of a file is a name on the medium."""
    with mounted(kind, tmp_path) as medium:
        async with pair(tmp_path / "pair", mtu=SMALL_MTU) as link:
            await walk(link, medium)
