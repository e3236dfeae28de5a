"""Two channels claim one name, through real daemons: clients are given that of the one that it belongs to."""

import json
import signal
import zipfile
from pathlib import Path

import pytest

from receiver.catalogue.snapshot import Snapshot
from tests.e2e.pair import Pair, pair
from tests.patience import until

CONFIG = """
[channels.base]
serve = ["pypi"]
[channels.late]
serve = ["pypi"]
"""
METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def wheel(folder: Path, name: str, version: str) -> Path:
    """A project in a folder of its own, as an item of the outbox."""
    spelt = name.replace("-", "_")
    item = folder / f"{spelt}-{version}"
    item.mkdir(parents=True)
    info = f"{spelt}-{version}.dist-info"
    with zipfile.ZipFile(item / f"{spelt}-{version}-py3-none-any.whl", "w") as file:
        file.writestr(f"{info}/METADATA", METADATA.format(name=name, version=version))
        file.writestr(f"{info}/WHEEL", WHEEL)
        file.writestr(f"{info}/RECORD", "")
    return item


async def send(link: Pair, channel: str, item: Path) -> None:
    """One bundle."""
    sender = await link.sender("send", "--json", "--channel", channel, "--version", "1", str(item))
    assert 0 == await sender.ended()


@pytest.mark.long
async def test_a_name_of_another_channel_is_alarmed_and_not_served(tmp_path: Path) -> None:
    """In another spelling, inside a bundle of another name; what else that channel ships is served."""
    async with pair(tmp_path / "pair") as link:
        with (link.folder / "receiver" / "receiver.toml").open("a") as file:
            file.write(CONFIG)
        receiver = await link.receiver("--no-progress")
        await link.diode()
        await send(link, "base", wheel(tmp_path, "num-py", "1.0"))
        index = link.folder / "receiver" / "index"
        await until(lambda: served(index, "num-py") == ["base"], "the first one is served")
        item = wheel(tmp_path, "Num.Py", "99.0")
        wheel(tmp_path / "more", "torch", "2.0").joinpath("torch-2.0-py3-none-any.whl").rename(
            item / "torch-2.0-py3-none-any.whl"
        )
        await send(link, "late", item)
        line = json.loads(await receiver.said("names_refused"))
        assert (1, "error") == (line["count"], line["level"])
        assert "of base" in line["detail"]
        await until(lambda: served(index, "torch") == ["late"], "the other project is served")
        assert ["base"] == served(index, "num-py")
        shown = await link.enclave("catalogue", "show", f"late/{item.name}@1", "--json")
        assert 0 == await shown.ended()
        whose = {one["name"].lower(): (one["holder"], one["served"]) for one in shown.messages[0]["names"]}
        assert ("late", True) == whose["torch"]
        assert [("base", False)] == [said for name, said in whose.items() if name != "torch"]
        listed = await link.enclave("catalogue", "ls", "--json")
        assert 0 == await listed.ended()
        assert [True, True] == [one["current"] for one in listed.messages[0]]
        receiver.signal(signal.SIGTERM)
        assert 0 == await receiver.ended()


def served(index: Path, name: str) -> list[str]:
    """The channels of which clients are given a project."""
    with Snapshot(index) as snapshot:
        return [one.channel for one in snapshot.holding("pypi", name)]
