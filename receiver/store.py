"""Worker: judge manifests, verify slabs, write them into the spool, publish complete bundles. It has no network.

For every slab that ``assemble`` hands over it answers ``free``; of every bundle it says ``known``, ``ready``,
``finished``, or asks to ``redo`` a slab that is not what was signed.
"""

import errno
import json
import os
import select
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from diode.errors import (
    ContentError,
    DiodeError,
    Drop,
    IntegrityError,
    LimitError,
    ManifestError,
    PlaceError,
    TrustError,
)
from diode.keys import read_signers
from diode.manifest import Manifest, bundle_id, open_manifest
from diode.memory import map_memfd
from diode.wire import Kind, ObjectType
from diode.workers import Mailbox, Message, start_worker
from receiver.inbox import Inbox, now_utc, sync_file_system, sync_folder
from receiver.ledger import Ledger
from receiver.spool import MANIFEST_FILE, SpoolBundle

# What is wrong with one bundle's place, and not with the disk: a file where a folder must be, a name too long for here.
PLACE: Final = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EACCES, errno.EPERM, errno.EXDEV)
MAX_UNVERIFIED: Final = 4096  # bundle ids reported: whoever has the link key could invent more without end
NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT)


class Finishing:
    """One thread that finishes bundles, one after the other, while others are received."""

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)  # readable when one is done
        self._thread = ThreadPoolExecutor(1)
        self._under_way: dict[int, tuple[SpoolBundle, Future[None]]] = {}

    def start(self, bundle: SpoolBundle, work: Callable[[], None]) -> None:
        """Run ``work`` for ``bundle``, once."""
        if bundle.number not in self._under_way:
            future = self._thread.submit(work)
            self._under_way[bundle.number] = bundle, future
            future.add_done_callback(lambda _: os.eventfd_write(self.fd, 1))

    def done(self) -> list[tuple[SpoolBundle, "Future[None]"]]:
        """What is over, each once; its result may be an exception."""
        with suppress(BlockingIOError):
            os.eventfd_read(self.fd)
        over = [pair for pair in self._under_way.values() if pair[1].done()]
        for bundle, _ in over:
            del self._under_way[bundle.number]
        return over


class Store:
    """The worker's state: ledger, trusted keys, and the bundles being received."""

    def __init__(self, settings: dict[str, Any], control: Mailbox) -> None:
        self._control = control
        self._assemble = Mailbox(settings["slabs_read"], settings["answers_write"])
        self._arena = memoryview(map_memfd(settings["arena"]))
        self._inbox = Inbox(Path(settings["inbox"]))
        self._ledger = Ledger(Path(settings["state"]) / "ledger.db")
        self._keys = list(read_signers(Path(settings["signers"])).values())
        self._verify: dict[str, str] = settings["verify"]
        self._verify_default: str = settings["verify_default"]
        self._max_bytes, self._max_files = settings["max_bytes"], settings["max_files"]
        self._reserve: int = settings["reserve"]
        self._postponed: set[int] = set()
        self._bundles: dict[int, SpoolBundle] = {}
        self._unverified: set[int] = set()
        self._waiting: deque[Message] = deque()  # assemble bounds it
        self._finishing = Finishing()

    def run(self) -> None:
        """Work until ``assemble`` or the supervisor is gone."""
        self._resume()
        self._answer("started")
        while not self._assemble.closed:
            if not self._waiting:
                select.select([self._assemble.read_fd, self._finishing.fd], [], [])
            self._waiting.extend(self._assemble.drain())
            for bundle, outcome in self._finishing.done():
                with self._refusing(bundle):
                    outcome.result()
                    self._publish(bundle)
            if self._waiting:
                self._handle(self._next())

    def _next(self) -> Message:
        """What waits longest, but manifests and tables first: data of bundles not yet known has little room."""
        for message in self._waiting:
            if message["kind"] == Kind.OBJECT:
                self._waiting.remove(message)
                return message
        return self._waiting.popleft()

    def _handle(self, message: Message) -> None:
        number, offset = message["bundle"], message["offset"]
        data = self._arena[offset : offset + message["length"]]
        try:
            self._take(number, Kind(message["kind"]), message["flags"], message["slab"], data)
        finally:
            data.release()
        self._answer("free", offset=offset)

    def _take(self, number: int, kind: Kind, flags: int, slab: int, data: memoryview) -> None:
        bundle = self._bundles.get(number)
        if kind == Kind.OBJECT and flags == ObjectType.MANIFEST:
            if bundle is None:
                self._judge(number, bytes(data))
            return
        if bundle is None:
            return  # refused or published meanwhile
        with self._refusing(bundle):
            if kind == Kind.OBJECT:
                self._take_table(bundle, ObjectType(flags), slab, data)
            elif bundle.is_ready:
                self._take_slab(bundle, slab, data)

    @contextmanager
    def _refusing(self, bundle: SpoolBundle) -> Iterator[None]:
        """Set ``bundle`` aside when its content, or its place in the inbox, is at fault; others are not held up."""
        try:
            yield
        except ContentError as error:
            self._refuse(bundle, error)
        except OSError as error:
            if error.errno not in PLACE:
                raise
            self._refuse(bundle, PlaceError(f"{os.strerror(error.errno)}: {error.filename2 or error.filename}"))

    # manifests

    def _judge(self, number: int, padded: bytes) -> None:
        """Verify a manifest and decide what becomes of its bundle."""
        sealed = padded.rstrip(b"\0")
        try:
            manifest, payload, signer = open_manifest(sealed, self._keys)
            if bundle_id(payload) != number:
                raise ManifestError("the manifest is another bundle's")
        except (TrustError, ManifestError) as error:
            self._reject(number, error)
            return
        row = self._ledger.get(f"{number:016x}")
        if row is not None and row.state in ("published", "refused"):
            drop = Drop.REDUNDANT if row.state == "published" else Drop.REFUSED
            self._answer("finished", bundle=number, drop=drop)
            return
        if row is None and not self._has_space(number, manifest):
            return  # its manifest comes again
        try:
            self._check_limits(manifest)
            self._ledger.accept(f"{number:016x}", manifest, signer)
        except ContentError as error:
            self._ledger.refuse(f"{number:016x}", manifest, signer, str(error))
            self._quarantine(number, error, _facts(manifest, signer), None)
            self._answer("finished", bundle=number, drop=Drop.REFUSED)
            return
        self._begin(number, manifest, sealed, payload, signer)

    def _reject(self, number: int, error: ContentError) -> None:
        """An unverified manifest: anybody may have sent it, so its bundle id is not held against the real one."""
        if number in self._unverified or len(self._unverified) >= MAX_UNVERIFIED:
            return
        self._unverified.add(number)
        self._quarantine(number, error, {}, None)

    def _check_limits(self, manifest: Manifest) -> None:
        if manifest.stream_bytes > self._max_bytes:
            raise LimitError(f"{manifest.stream_bytes} bytes: limits.bundle is {self._max_bytes}")
        if manifest.files.entries > self._max_files:
            raise LimitError(f"{manifest.files.entries} files: limits.files is {self._max_files}")

    def _has_space(self, number: int, manifest: Manifest) -> bool:
        """Whether a bundle fits beside those being received and the reserve. Alarms once when it does not."""
        disk = os.statvfs(self._inbox.spool)
        promised = sum(bundle.manifest.stream_bytes - bundle.stored_bytes for bundle in self._bundles.values())
        free = disk.f_bavail * disk.f_frsize - promised - self._reserve
        needed = manifest.stream_bytes + manifest.files.size + manifest.slabs.size
        if needed <= free or manifest.stream_bytes > self._max_bytes:
            self._postponed.discard(number)
            return True
        if number not in self._postponed and len(self._postponed) < MAX_UNVERIFIED:
            self._postponed.add(number)
            label = f"{manifest.channel}/{manifest.name}/{manifest.version}"
            self._control.send(
                {"event": "space_short", "bundle": f"{number:016x}", "label": label, "needed": needed}
                | {"free": max(0, free), "do": "make room; until then its data is not kept"}
            )
        return False

    def _begin(self, number: int, manifest: Manifest, sealed: bytes, payload: bytes, signer: str) -> None:
        folder = self._inbox.spool / f"{number:016x}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / MANIFEST_FILE).write_bytes(sealed)
        bundle = self._bundles[number] = SpoolBundle(number, folder, manifest, sealed, payload, signer)
        self._say_known(bundle, [])
        self._tell("accepted", bundle)
        with self._refusing(bundle):
            self._after_tables(bundle)

    def _say_known(self, bundle: SpoolBundle, done: list[list[int]]) -> None:
        shape = bundle.manifest.shape
        self._answer(
            "known",
            bundle=bundle.number,
            geometry=[shape.symbol_bytes, shape.columns, shape.k, shape.r],
            stream_bytes=bundle.manifest.stream_bytes,
            files_bytes=bundle.manifest.files.size,
            slabs_bytes=bundle.manifest.slabs.size,
            done=done,
        )

    # tables and slabs

    def _take_table(self, bundle: SpoolBundle, kind: ObjectType, slab: int, data: memoryview) -> None:
        for again in bundle.put_table(kind, slab, data):
            self._answer("redo", bundle=bundle.number, kind=Kind.OBJECT, flags=kind, slab=again)
        self._after_tables(bundle)

    def _after_tables(self, bundle: SpoolBundle) -> None:
        if bundle.maybe_read_tables():
            self._answer("ready", bundle=bundle.number)
            self._maybe_publish(bundle)

    def _take_slab(self, bundle: SpoolBundle, slab: int, data: memoryview) -> None:
        try:
            bundle.put_slab(slab, data)
        except IntegrityError as error:
            self._control.send({"event": "slab_mismatch", "bundle": bundle.hex_id, "detail": str(error)})
            self._answer("redo", bundle=bundle.number, kind=Kind.DATA, flags=0, slab=slab)
            return
        self._ledger.slab_stored(bundle.hex_id, slab)
        self._tell("progress", bundle, stored_bytes=bundle.stored_bytes, missing=int((~bundle.stored).sum()))
        self._maybe_publish(bundle)

    # the end of a bundle

    def _maybe_publish(self, bundle: SpoolBundle) -> None:
        if bundle.is_complete:
            mode = self._verify.get(bundle.manifest.channel) or self._verify_default
            self._finishing.start(bundle, partial(self._finish, bundle, mode))

    def _finish(self, bundle: SpoolBundle, mode: str) -> None:
        """Make a complete tree ready to be published, durably; in a thread, since it may take as long as hashing it."""
        bundle.finish_tree(at_rest=mode == "at-rest")
        self._write_papers(bundle, mode)
        sync_file_system(bundle.tree)

    def _publish(self, bundle: SpoolBundle) -> None:
        self._ledger.set_state(bundle.hex_id, "publishing")
        target = self._inbox.publish(bundle.tree, bundle.manifest)
        self._conclude(bundle, target)

    def _write_papers(self, bundle: SpoolBundle, mode: str) -> None:
        (bundle.tree / "manifest.json").write_bytes(bundle.payload)
        (bundle.tree / "manifest.dsse.json").write_bytes(bundle.sealed)
        with (bundle.tree / "SHA256SUMS").open("wb") as file:
            file.writelines(bundle.sums())
        receipt = {
            **_facts(bundle.manifest, bundle.signer),
            "bundle": bundle.hex_id,
            "files": bundle.manifest.files.entries,
            "bytes": bundle.manifest.stream_bytes,
            "slabs": bundle.manifest.slabs.entries,
            "verify": mode,
            "verified": f"{bundle.manifest.files.entries} files, BLAKE3 slabs"
            + (" and BLAKE3 + SHA-256 at rest" if mode == "at-rest" else "")
            + f", signature key {bundle.signer}",
            "published": now_utc(),
        }
        (bundle.tree / "receipt.json").write_text(json.dumps(receipt, indent=1, ensure_ascii=False) + "\n")

    def _conclude(self, bundle: SpoolBundle, target: Path) -> None:
        self._ledger.set_state(bundle.hex_id, "published")
        self._bundles.pop(bundle.number, None)
        bundle.remove()
        self._answer("finished", bundle=bundle.number, drop=Drop.REDUNDANT)
        self._tell("published", bundle, path=str(target), signer=bundle.signer, at_ms=int(time.monotonic() * 1000))

    def _refuse(self, bundle: SpoolBundle, error: ContentError) -> None:
        """Its signed content breaks the rules: set it aside for good."""
        self._bundles.pop(bundle.number, None)
        bundle.close()
        self._ledger.set_state(bundle.hex_id, "refused", str(error))
        self._quarantine(bundle.number, error, _facts(bundle.manifest, bundle.signer), bundle.folder)
        self._answer("finished", bundle=bundle.number, drop=Drop.REFUSED)

    def _quarantine(self, number: int, error: ContentError, facts: Message, keep: Path | None) -> None:
        self._inbox.set_aside(f"{number:016x}", error, facts, keep)
        self._control.send(
            {"event": "quarantined", "bundle": f"{number:016x}", "reason": error.reason, "exit_code": error.exit_code}
            | {"detail": str(error)[:500], "label": "/".join(facts[k] for k in ("channel", "name", "version") if facts)}
        )

    # after a restart

    def _resume(self) -> None:
        """Take up what an earlier run left in the spool."""
        rows = self._ledger.in_progress()
        for stray in self._inbox.spool.iterdir():
            if stray.name not in {row.id for row in rows}:
                shutil.rmtree(stray, ignore_errors=True)
        for row in rows:
            folder = self._inbox.spool / row.id
            try:
                bundle = self._reopen(int(row.id, 16), folder)
            except ContentError as error:
                self._ledger.set_state(row.id, "refused", str(error))
                self._quarantine(int(row.id, 16), error, {}, folder)
                continue
            with self._refusing(bundle):
                self._resume_bundle(bundle, row.state)

    def _reopen(self, number: int, folder: Path) -> SpoolBundle:
        try:
            sealed = (folder / MANIFEST_FILE).read_bytes()
        except OSError as error:
            raise IntegrityError("its spool folder is gone") from error
        manifest, payload, signer = open_manifest(sealed, self._keys)
        return SpoolBundle(number, folder, manifest, sealed, payload, signer)

    def _resume_bundle(self, bundle: SpoolBundle, state: str) -> None:
        if state == "publishing" and not bundle.tree.exists():  # renamed; its reader may have moved it on since
            target = self._inbox.version_folder(bundle.manifest)
            if target.parent.exists():
                sync_folder(target.parent)
            self._conclude(bundle, target)
            return
        self._bundles[bundle.number] = bundle
        ready = bundle.maybe_read_tables(from_disk=True)
        if ready:
            self._restore_slabs(bundle)
        self._say_known(bundle, _ranges(bundle.stored))
        if ready:
            self._answer("ready", bundle=bundle.number)
        self._tell("resumed", bundle, stored_bytes=bundle.stored_bytes, missing=int((~bundle.stored).sum()))
        if ready:
            self._maybe_publish(bundle)

    def _restore_slabs(self, bundle: SpoolBundle) -> None:
        trusted, doubtful = self._ledger.slabs(bundle.hex_id)
        there = {number for number in trusted if bundle.is_there(number)}
        again = {number for number in doubtful if bundle.rehash(number)}
        bundle.stored[[*there, *again]] = True
        for number in again:
            self._ledger.slab_stored(bundle.hex_id, number)
        for number in {*trusted, *doubtful} - there - again:
            self._ledger.forget_slab(bundle.hex_id, number)

    # messages

    def _answer(self, say: str, **fields: Any) -> None:
        self._assemble.send({"say": say, **fields})

    def _tell(self, event: str, bundle: SpoolBundle, **fields: Any) -> None:
        self._control.send(
            {"event": event, "bundle": bundle.hex_id, "label": bundle.label, "bytes": bundle.manifest.stream_bytes}
            | {"files": bundle.manifest.files.entries, "slabs": bundle.manifest.slabs.entries, **fields}
        )


def _facts(manifest: Manifest, signer: str) -> Message:
    names = ("channel", "name", "version", "sequence", "created")
    return {name: getattr(manifest, name) for name in names} | {"signer": signer}


def _ranges(mask: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> list[list[int]]:
    """[first, last + 1] of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    pairs: list[list[int]] = edges.reshape(-1, 2).tolist()
    return pairs


def main() -> None:
    """Entry point of the worker. A failing disk ends it with what happened; what is stored is kept."""
    settings, control = start_worker(nice=-5)
    try:
        Store(settings, control).run()
    except OSError as error:
        code = 17 if error.errno in NO_SPACE else 1
        where = f" ({error.filename})" if error.filename else ""
        control.send(
            {"fatal": f"disk: {os.strerror(error.errno or 0)}{where}; what is stored is kept", "exit_code": code}
        )
        raise SystemExit(code) from error
    except DiodeError as error:  # the ledger's among them
        control.send({"fatal": str(error), "exit_code": error.exit_code})
        raise SystemExit(error.exit_code) from error


if __name__ == "__main__":
    main()
