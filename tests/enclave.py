"""The receiver's real ``store`` in this process: slabs are handed to it as ``assemble`` would, whole and authentic."""

import os
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.signer import CryptoSigner

from diode.config.init import init_receiver
from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.errors import ContentError, StorageError, exit_codes
from diode.process.memory import create_memfd, map_memfd
from diode.process.messages import Fatal, PeerRefused, SandboxLacks
from diode.process.vocabulary import NOTHING, Vocabulary
from diode.process.workers import Mailbox
from diode.protocol.geometry import object_geometry, slab_at, slab_count
from diode.protocol.handed_over import SlabKey
from diode.protocol.sizes import Kind, ObjectType
from diode.storage.database import LEDGER_FILE
from diode.trust.keys import new_link_key
from receiver.events.lookup import Lookup
from receiver.inbox.folder import Inbox
from receiver.ledger.ledgers import SupervisorLedger
from receiver.messages.pipeline import STORE_SAYS, STORE_TO_ASSEMBLE, BundleRefused, Complete, ManifestRefused
from receiver.policy.examine import Examine, examining_here
from receiver.policy.material import Material
from receiver.recovery.rebaseline import open_ledger
from receiver.settings import KEPT, StorePipes
from receiver.spool.finishing import Finishing
from receiver.store.worker import Store
from receiver.transport.pipeline import store_settings
from tests.link import Bundle

ARENA_BYTES = 64 << 20


class Inline(Executor):
    """Does it at once."""

    def submit(self, work: Any, /, *arguments: Any, **options: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        try:
            future.set_result(work(*arguments, **options))
        except Exception as error:  # noqa: BLE001 - a future carries whatever it is
            future.set_exception(error)
        return future


class Box(Mailbox):
    """A mailbox without a pipe: what is sent is kept."""

    def __init__(self, says: Vocabulary) -> None:
        super().__init__(-1, -1, hears=NOTHING, says=says)
        self.sent: list[Any] = []
        self.incoming: deque[Any] = deque()
        self.heard: Callable[[Any], object] = lambda _: None

    def send(self, message: object) -> None:
        self.sent.append(self._says.decode(self._says.encode(message)))
        self.heard(self.sent[-1])

    def receive(self, timeout_s: float | None = 0.0) -> Any:
        return self.incoming.popleft() if self.incoming else None


class Enclave:
    """A receiver's folder, and its store. ``signers``: public keys by file name, such as ``alice.pub``."""

    def __init__(self, folder: Path, signers: Mapping[str, CryptoSigner], config: str = "") -> None:
        self.folder = folder
        init_receiver(folder, listen="127.0.0.1:9", auth="none", link_key=new_link_key(), public=None)
        for name, signer in signers.items():
            (folder / "keys" / "signers" / name).write_text(public_pem(signer))
        with (folder / "receiver.toml").open("a") as file:
            file.write(config)
        self._now = 0.0
        self.start()

    def start(self) -> None:
        """Begin as after a restart."""
        self.config = load(ReceiverConfig, self.folder / "receiver.toml")
        Inbox(self.config.inbox.path).prepare()
        open_ledger(self.config).close()
        self._arena_fd = create_memfd("arena", ARENA_BYTES)
        self._arena = memoryview(map_memfd(self._arena_fd))
        self.events, self._slabs = Box(STORE_SAYS), Box(STORE_TO_ASSEMBLE)
        settings = replace(store_settings(self.config, StorePipes(self._arena_fd, -1, -1, -1, -1, -1, -1)), reserve=0)
        self.store = Store(settings, self.events, self._slabs, Finishing(Inline()), self._look())
        self._looked_up = 0
        self._supervisor = SupervisorLedger(self.config.state / LEDGER_FILE)
        self.peer = self._supervisor.peer
        self._lookup = Lookup(self.config, self._supervisor)
        self.events.heard = self._look_up
        self.store.start()
        self._look_up_late()

    def _look(self) -> Examine:
        """Looks into bundles in this process, by the rules of the configuration."""
        sections = {name: channel.identity for name, channel in self.config.channels.items()}
        rules = {name: section.rules() for name, section in sections.items() if section is not None}
        return examining_here(Inbox(self.config.inbox.path).spool, Material(self.config.state / KEPT, rules))

    def _look_up(self, message: Any) -> None:
        """As the supervisor, who ends a store that says what cannot be true."""
        if not isinstance(message, SandboxLacks | PeerRefused | Fatal):
            with suppress(StorageError):
                self._lookup.event(message)

    def _look_up_late(self) -> None:
        """The supervisor may be slow: by now the ledger may have gone on."""
        late = self.events.sent[self._looked_up :]
        self._looked_up = len(self.events.sent)
        for message in late:
            self._look_up(message)

    def _step(self) -> None:
        self.store.step(self._now)
        self._look_up_late()

    def stop(self) -> None:
        """End without a word, as killed."""
        self.store.records.ledger.close()
        self._supervisor.close()
        os.close(self._arena_fd)

    def restart(self) -> None:
        """Killed, and started again."""
        self.stop()
        self.start()

    def take(self, bundle: Bundle) -> None:
        """Every slab of a bundle, manifest and tables first."""
        full = bundle.manifest.shape.geometry
        parts = [(kind, Kind.OBJECT) for kind in ObjectType] + [(0, Kind.DATA)]
        for flags, kind in parts:
            data = bundle.parts[kind, int(flags)]
            shape = full if kind == Kind.DATA else object_geometry(full.symbol_bytes)
            for number in range(slab_count(shape, len(data))):
                slab = slab_at(shape, len(data), number, is_object=kind == Kind.OBJECT)
                self._hand_over(SlabKey(bundle.number, kind, int(flags), number), data[slab.offset :][: slab.length])
        self.tick()

    def take_manifest(self, bundle: Bundle, number: int) -> None:
        """Its manifest alone, under this bundle id."""
        data = bundle.parts[Kind.OBJECT, int(ObjectType.MANIFEST)]
        self._hand_over(SlabKey(number, Kind.OBJECT, int(ObjectType.MANIFEST), 0), data)

    def _hand_over(self, key: SlabKey, data: bytes) -> None:
        self._arena[: len(data)] = data
        self._slabs.incoming.append(Complete(*key, offset=0, length=len(data)))
        self._now += 0.01
        self._step()

    def tick(self) -> None:
        """Some time goes by."""
        for _ in range(3):
            self._now += 6.0
            self._step()

    def said(self, *kinds: type) -> list[Any]:
        """What store said of these kinds, in this run."""
        return [message for message in self.events.sent if isinstance(message, kinds)]

    @property
    def refusals(self) -> list[tuple[str, int]]:
        """Reason and exit code of what was set aside in this run."""
        codes = exit_codes(ContentError)
        return [(message.reason, codes[message.reason]) for message in self.said(BundleRefused, ManifestRefused)]

    def published(self, bundle: Bundle) -> bool:
        """Whether it lies in the inbox."""
        manifest = bundle.manifest
        return (self.config.inbox.path / manifest.channel / manifest.name / manifest.version / "receipt.json").exists()


def public_pem(signer: CryptoSigner) -> str:
    """The public half of a key."""
    public = signer._private_key.public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


class EnclaveAgain(Enclave):
    """A receiver whose folder is there already."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._now = 0.0
        self.start()
