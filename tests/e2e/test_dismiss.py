"""What the sender gave up is missed until a person says that nobody misses it: by the commands that they type."""

import json
import random
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from diode.audit.chain import field
from diode.audit.facts import unix_user
from diode.audit.find import find
from tests.e2e.pair import SMALL_MTU, SMALL_SLAB, Pair, Process, pair
from tests.patience import until

pytestmark = pytest.mark.long


async def asked(link: Pair, *words: str, code: int = 0) -> list[Any]:
    """What a command of the receiver says, for programs."""
    process = await link.enclave(*words)
    assert code == await process.ended(), process.log
    return [*process.messages, "\n".join(process.log)]


def queued(daemon: Process, label: str) -> str:
    """The id of a bundle by its label; "" before it is queued."""
    lines = (json.loads(line) for line in daemon.log if "bundle_queued" in line)
    return next((str(line["bundle"]) for line in lines if line["label"] == label), "")


def is_queued(daemon: Process, label: str) -> bool:
    """Whether the sender has packed it."""
    return bool(queued(daemon, label))


async def test_a_cancelled_bundle_is_dismissed_by_a_person(tmp_path: Path) -> None:
    """The one after it names it; the sender refuses its code, and says that it was withdrawn, which decides nothing."""
    async with pair(tmp_path / "pair", mtu=SMALL_MTU, rate=3_000_000) as link:
        await link.diode()
        receiver = await link.receiver()
        daemon = await link.sender("run")
        await daemon.said("udp_path_chosen")
        for word in ("first", "second", "third"):
            if word == "second":
                assert 0 == await (await link.sender("pause", "--channel", "slow")).ended()
            (link.outbox / "slow").mkdir(exist_ok=True)
            part = tmp_path / f"{word}@1"
            part.write_bytes(random.Random(word).randbytes(SMALL_SLAB))
            part.rename(link.outbox / "slow" / part.name)
            await until(partial(is_queued, daemon, f"slow/{word}/1"), "it is queued")
            if word == "first":
                await receiver.said("slow/first/1")
        second = queued(daemon, "slow/second/1")
        assert 0 == await (await link.sender("cancel", second[:6], "--reason", "a mistake")).ended()
        assert 0 == await (await link.sender("resume", "--channel", "slow")).ended()
        await until((link.inbox / "slow" / "third" / "1").exists, "it is published")
        await receiver.said("bundle_cancelled")

        (missing,), _ = await asked(link, "missing", "--json")
        assert (second, "named", "withdrawn") == (missing["bundle"], missing["state"], missing["sender_says"])
        refused = await link.sender("resend", missing["code"])
        assert 3 == await refused.ended()
        await asked(link, "dismiss", second[:5], "--reason", "withdrawn, by telephone")
        await receiver.said('"event": "dismissed"')
        assert [] == (await asked(link, "missing", "--json"))[0]
        log = link.folder / "receiver" / "state" / "audit"
        (noted,) = find(log, lambda line: field("what", "dismissed") in line).entries
        assert (second, unix_user()) == (noted.bundle, noted.who)
        await asked(link, "dismiss", second, "--undo")
        assert second == (await asked(link, "missing", "--json"))[0][0]["bundle"]
