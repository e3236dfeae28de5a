"""What an earlier run left: each bundle goes on from the last step that is certain, and none is published twice."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diode.protocol.handed_over import SlabKey
from diode.protocol.sizes import Kind
from receiver.inbox.folder import Inbox
from receiver.messages.pipeline import (
    Begun,
    BundleRefused,
    Known,
    ManifestRefused,
    Published,
    Redo,
    Resumed,
    SpoolLost,
    Started,
    SymbolsLost,
)
from receiver.spool.bundle import MANIFEST_FILE
from receiver.spool.slabs import unpack_mask
from receiver.store.publish import Publishing
from tests.enclave import Enclave
from tests.link import Bundle
from tests.receiver.store.test_lost_writes import FILES, SLAB_BYTES, bundle, content, data_file, enclave, give, stored
from tests.receiver.store.test_publish import state_of

__all__ = ("bundle", "enclave")  # fixtures: three slabs, and who receives them


def home(enclave: Enclave, bundle: Bundle) -> Path:
    """Its folder in the spool."""
    return enclave.config.inbox.path / ".diode" / "spool" / f"{bundle.number:016x}"


def answers(enclave: Enclave, *kinds: type) -> list[Any]:
    """What this run told assemble."""
    return [message for message in enclave._slabs.sent if isinstance(message, kinds)]


def known(enclave: Enclave) -> list[int]:
    """Which slabs of data assemble was told to be stored."""
    (message,) = answers(enclave, Known)
    return np.flatnonzero(unpack_mask(message.done, 4)).tolist()


def test_it_goes_on_with_what_is_stored(enclave: Enclave, bundle: Bundle) -> None:
    """Assemble is told, before it hears that all was told; the rest is enough."""
    give(enclave, bundle, 0, 2)
    enclave.restart()
    sizes = SLAB_BYTES + len(FILES["model"]) - 2 * SLAB_BYTES
    assert [Resumed(f"{bundle.number:016x}", sizes, 1)] == enclave.said(Resumed)
    assert ([0, 2], Started()) == (known(enclave), enclave._slabs.sent[-1])
    give(enclave, bundle, 1, objects=False)
    enclave.tick()
    assert FILES["model"] == content(enclave, bundle)


def test_nothing_was_left(enclave: Enclave) -> None:
    """Only that all was told is told."""
    enclave.restart()
    assert ([Started()], []) == (enclave._slabs.sent, enclave.events.sent)


def test_folders_that_no_ledger_knows_are_removed(enclave: Enclave, bundle: Bundle) -> None:
    """Those of bundles stay."""
    give(enclave, bundle, 0)
    stray = home(enclave, bundle).parent / ("f" * 16)
    (stray / "tree").mkdir(parents=True)
    enclave.restart()
    assert [f"{bundle.number:016x}"] == enclave.store.records.spool.names()


@pytest.mark.parametrize("harm", ["removed", "torn", "another"])
def test_a_manifest_that_the_power_took(enclave: Enclave, bundle: Bundle, harm: str) -> None:
    """It is no fault of its signer: nothing is kept, and it begins anew when it comes again."""
    give(enclave, bundle, 0)
    place = home(enclave, bundle) / MANIFEST_FILE
    if harm == "removed":
        place.unlink()
    else:
        place.write_bytes(place.read_bytes()[:100] if harm == "torn" else b"{}")
    enclave.restart()
    assert [f"{bundle.number:016x}"] == [message.bundle for message in enclave.said(SpoolLost)]
    assert ([], [], None) == (enclave.store.records.spool.names(), enclave.refusals, state_of(enclave, bundle))
    give(enclave, bundle, 0, 1, 2)
    enclave.tick()
    assert FILES["model"] == content(enclave, bundle)


def test_a_slab_that_is_gone_comes_again(enclave: Enclave, bundle: Bundle) -> None:
    """The file is shorter than the ledger says."""
    give(enclave, bundle, 0, 1)
    os.truncate(data_file(enclave, bundle), SLAB_BYTES + 10)
    enclave.restart()
    assert ([0], [0]) == (stored(enclave, bundle), known(enclave))
    assert [Redo(bundle.number, Kind.DATA, 0, 1)] == answers(enclave, Redo)


@pytest.mark.parametrize("table", ["files.jsonl", "slabs.bin"])
def test_a_table_that_is_gone_comes_again(enclave: Enclave, bundle: Bundle, table: str) -> None:
    """Slabs that are stored stay so meanwhile, and are looked for as soon as it is there."""
    give(enclave, bundle, 0, 1)
    (home(enclave, bundle) / table).unlink()
    enclave.restart()
    assert ([0, 1], False) == (known(enclave), enclave.store.bundles[bundle.number].judge.is_ready)
    give(enclave, bundle, 2)
    enclave.tick()
    assert FILES["model"] == content(enclave, bundle)


def test_symbols_that_died_with_the_earlier_run(enclave: Enclave, bundle: Bundle) -> None:
    """They were in memory alone; that is said once."""
    give(enclave, bundle, 0)
    enclave._slabs.incoming.append(Begun(*SlabKey(bundle.number, Kind.DATA, 0, 1)))
    enclave._step()
    enclave.restart()
    assert [SymbolsLost(f"{bundle.number:016x}", (1,))] == enclave.said(SymbolsLost)
    enclave.restart()
    assert [] == enclave.said(SymbolsLost)


def test_what_was_complete_is_published(enclave: Enclave, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was to be finished when the run ended."""
    with monkeypatch.context() as patches:
        patches.setattr(Publishing, "maybe_publish", lambda *_: None)
        give(enclave, bundle, 0, 1, 2)
    assert not enclave.published(bundle)
    enclave.restart()
    enclave.tick()
    assert FILES["model"] == content(enclave, bundle)


class KilledError(Exception):
    """The run ends here."""


def killed_at_the_rename(
    enclave: Enclave, bundle: Bundle, monkeypatch: pytest.MonkeyPatch, *, is_renamed: bool
) -> None:
    """All of it is handed over, and the run ends before or after the rename into the inbox."""
    real = Inbox.publish

    def publish(self: Inbox, *arguments: Any) -> Path:
        if is_renamed:
            real(self, *arguments)
        raise KilledError

    with monkeypatch.context() as patches, pytest.raises(KilledError):  # noqa: PT012 - each of them may be the last
        patches.setattr(Inbox, "publish", publish)
        give(enclave, bundle, 0, 1, 2)
        enclave.tick()
    assert (is_renamed, "publishing") == (enclave.published(bundle), state_of(enclave, bundle))


@pytest.mark.parametrize("is_renamed", [False, True])
def test_killed_while_it_was_published(
    enclave: Enclave, bundle: Bundle, monkeypatch: pytest.MonkeyPatch, is_renamed: bool
) -> None:
    """The next run ends it at once, and assemble hears that it is redundant."""
    killed_at_the_rename(enclave, bundle, monkeypatch, is_renamed=is_renamed)
    enclave.restart()
    assert ([Published(f"{bundle.number:016x}")], "published") == (enclave.said(Published), state_of(enclave, bundle))
    assert (FILES["model"], []) == (content(enclave, bundle), enclave.store.records.spool.names())


def test_a_reader_was_faster(enclave: Enclave, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was renamed, and moved on, before the run could say so: it is published, and not again."""
    killed_at_the_rename(enclave, bundle, monkeypatch, is_renamed=True)
    shutil.rmtree(enclave.config.inbox.path / "test")
    enclave.restart()
    assert ([], "published") == (enclave.refusals, state_of(enclave, bundle))
    assert not enclave.published(bundle)


def test_what_waits_for_its_rename_is_verified_once_more(
    enclave: Enclave, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody changed it meanwhile: it is refused."""
    killed_at_the_rename(enclave, bundle, monkeypatch, is_renamed=False)
    data_file(enclave, bundle).write_bytes(b"changed")
    enclave.restart()
    assert ([BundleRefused(f"{bundle.number:016x}", "integrity")], False) == (
        enclave.said(BundleRefused),
        enclave.published(bundle),
    )


def test_half_published_by_a_ledger_that_was_put_back(
    enclave: Enclave, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may lie in the inbox, or have been used: it is refused, never published twice."""
    killed_at_the_rename(enclave, bundle, monkeypatch, is_renamed=True)
    shutil.rmtree(home(enclave, bundle))
    enclave.restart()
    assert ["replay"] == [message.reason for message in enclave.said(BundleRefused, ManifestRefused)]
    assert "refused" == state_of(enclave, bundle)
