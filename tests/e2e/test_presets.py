"""The receiver's own policy: what a sender that does not look sends is looked at in the enclave."""

import json
from pathlib import Path

import pytest

from tests import artefacts
from tests.e2e.pair import Pair, pair

ALONE = [(name, "alone") for name in artefacts.NAMES]
ALL = [(name, wrapping) for name in artefacts.NAMES for wrapping in artefacts.WRAPPINGS]
SOUND = {"model.safetensors": artefacts.safetensors(), "config.json": b"{}", ".lock": b"", "README.md": b"# A model\n"}


def drop(link: Pair, channel: str, name: str, files: dict[str, bytes]) -> None:
    """An item of a channel."""
    for path, content in files.items():
        file = link.outbox / channel / name / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


@pytest.mark.long
async def test_what_a_loader_would_run_is_not_published(tmp_path: Path) -> None:
    """Seven real files, each in a bundle of its own: each is refused, and what is sound is not."""
    await refuses(tmp_path, ALONE, ("plain",))


@pytest.mark.slow
async def test_nor_in_any_wrapping(tmp_path: Path) -> None:
    """Seven real files, alone and in three wrappings, under two presets."""
    await refuses(tmp_path, ALL, ("plain", "weights"))


async def refuses(tmp_path: Path, cases: list[tuple[str, str]], channels: tuple[str, ...]) -> None:
    """A receiver that publishes the sound bundle of each channel and none of ``cases``, of all that a sender sends."""
    no_lint = "".join(f"\n[channels.{name}.intake]\nlint = false\n" for name in channels)
    async with pair(tmp_path / "pair") as link:
        for side, settings in (
            ("sender", no_lint),
            ("receiver", '\n[channels.weights]\ncontent = "weights"\n'),
        ):
            config = link.folder / side / f"{side}.toml"
            config.write_text(config.read_text() + settings)
        for channel in channels:
            for number, case in enumerate(cases):
                path, data = artefacts.wrapped(*case)
                drop(link, channel, f"bad{number}@1", SOUND | {path: data})
            drop(link, channel, "good@1", SOUND)
        receiver = await link.receiver("--bundles", str(len(channels) * (len(cases) + 1)), "--no-progress")
        await link.diode()
        sender = await link.sender("run", "--until-idle", "--json", "--no-progress")
        assert 0 == await sender.ended()
        await receiver.ended()
        published = {
            f"{channel.name}/{item.name}"
            for channel in link.inbox.iterdir()
            if not channel.name.startswith(".")
            for item in channel.iterdir()
        }
        let_in = sorted(cases[int(name.partition("bad")[2])] for name in published if "/bad" in name)
        assert ([], {f"{channel}/good" for channel in channels}) == (
            let_in,
            {name for name in published if "good" in name},
        )
        reasons = [json.loads(path.read_text()) for path in link.inbox.glob(".diode/quarantine/*/reason.json")]
        assert {"policy"} == {reason["reason"] for reason in reasons}
