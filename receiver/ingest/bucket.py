"""The kind ``s3``: objects below ``CHANNEL/NAME/VERSION/``, then a marker, then an object ``current``.

Each part of a file is hashed in memory and sent from there, with its SHA-256, which the server checks itself. A version
is there when its marker is: ``CHANNEL/NAME/.diode/VERSION.json``. A large object is complete in one step, after its
last byte was checked; a failure aborts it.
"""

import json
from collections.abc import Iterator
from typing import Final

from diode.config.ingest import BucketTarget
from diode.errors import IntegrityError
from diode.formats.canonical import canonical
from diode.formats.escape import escape
from receiver.ingest.item import Item, sums_of
from receiver.ingest.journal import Record
from receiver.ingest.objects import Objects
from receiver.ingest.target import Found

CURRENT: Final = "current"
_OURS: Final = ".diode"


class Bucket:
    """A bucket that is there."""

    def __init__(self, settings: BucketTarget) -> None:
        self._objects = Objects(settings)
        self._bucket = settings.bucket
        self._prefix = f"{settings.prefix}/" if settings.prefix else ""

    def place(self, item: Item) -> str:
        """The version."""
        return item.line.version

    def look(self, item: Item) -> Found:
        """Compare the objects' digests, as the server computed them, with the signed table; and the marker."""
        base = self._base(item.line.channel, item.line.name)
        with self._objects.saying():
            there = {
                path: self._objects.sha256(f"{base}{item.line.version}/{path}")
                for path in self._paths(base, item.line.version)
            }
            marker = self._objects.maybe_read(self._marker(base, item.line.version))
        is_whole = there == {one.path: one.sha256 for one in item.files.values()}
        if is_whole and marker is not None:
            return Found("same")
        strange = [
            path for path, digest in there.items() if path not in item.files or item.files[path].sha256 != digest
        ]
        return Found("other", sums_of(there)) if strange else Found("absent")

    def names(self, item: Item) -> dict[str, str]:
        """Nothing more than channel, name and version."""
        return {}

    def notes(self, item: Item) -> dict[str, str]:
        """Which objects are there: with the signed digest (``kept``), and others (``theirs``); and the marker."""
        base, version = self._base(item.line.channel, item.line.name), item.line.version
        with self._objects.saying():
            there = {path: self._objects.sha256(f"{base}{version}/{path}") for path in self._paths(base, version)}
            marker = self._objects.maybe_read(self._marker(base, version))
        kept = [path for path, digest in there.items() if path in item.files and item.files[path].sha256 == digest]
        theirs = sorted(there.keys() - kept)
        said = "" if marker is None else marker.decode(errors="replace")
        return {"kept": json.dumps(kept), "theirs": json.dumps(theirs), "marker": said}

    def put(self, item: Item, record: Record) -> None:
        """Send the objects that are not there with the signed digest. Where the record says so, remove others first."""
        base = self._base(record.channel, record.name)
        with self._objects.saying():
            self._objects.abort_left(f"{base}{record.version}/")
            if record.replaces:
                self._set_aside(base, item, record)
            there = set(self._paths(base, record.version))
            for entry in item.files.values():
                key = f"{base}{record.version}/{entry.path}"
                if entry.path not in there or self._objects.sha256(key) != entry.sha256:
                    self._objects.send(item, entry, key)

    def check(self, item: Item, record: Record) -> None:
        """Compare every object's digest, as the server has it, with the signed one."""
        base = self._base(record.channel, record.name)
        with self._objects.saying():
            for entry in item.files.values():
                found = self._objects.sha256(f"{base}{record.version}/{entry.path}")
                if found != entry.sha256:
                    raise IntegrityError(
                        f"{escape(entry.path)} in {self._bucket} has {found}, signed was {entry.sha256}; not published"
                    )

    def publish(self, record: Record) -> None:
        """Write the marker."""
        base = self._base(record.channel, record.name)
        fields = {"format": "diode-ingest-marker-1", "bundle": record.bundle, "sha256sums": record.sums}
        with self._objects.saying():
            self._objects.write(self._marker(base, record.version), canonical(fields))

    def holds(self, record: Record) -> bool:
        """Whether the marker is there."""
        with self._objects.saying():
            return (
                self._objects.maybe_read(self._marker(self._base(record.channel, record.name), record.version))
                is not None
            )

    def current(self, record: Record) -> str:
        """The version that the object ``current`` names."""
        with self._objects.saying():
            data = self._objects.maybe_read(self._base(record.channel, record.name) + CURRENT)
        return "" if data is None else data.decode(errors="replace").strip()

    def point(self, record: Record, place: str) -> None:
        """Write the object ``current``: the version, in one line."""
        key = self._base(record.channel, record.name) + CURRENT
        with self._objects.saying():
            if place:
                self._objects.write(key, f"{place}\n".encode())
            else:
                self._objects.remove(key)

    def take(self, record: Record) -> None:
        """Remove the objects that came, and put back what was set aside; the marker goes first, or is as before."""
        base = self._base(record.channel, record.name)
        kept, theirs = set(json.loads(record.notes["kept"])), json.loads(record.notes["theirs"])
        with self._objects.saying():
            self._objects.remove(self._marker(base, record.version))
            for path in list(self._paths(base, record.version)):
                if path not in kept and path not in theirs:
                    self._objects.remove(f"{base}{record.version}/{path}")
            for path in theirs:
                if self._objects.exists(aside := f"{self._aside(base, record)}{path}"):
                    self._objects.move(aside, f"{base}{record.version}/{path}")
            if record.notes["marker"]:
                self._objects.write(self._marker(base, record.version), record.notes["marker"].encode())

    def clean(self, record: Record) -> None:
        """Abort what is left of large objects; when nothing was published, remove the objects that came."""
        base = self._base(record.channel, record.name)
        with self._objects.saying():
            self._objects.abort_left(f"{base}{record.version}/")
        if record.phase == "undone" and record.made and not record.publishing:
            self.take(record)

    def _set_aside(self, base: str, item: Item, record: Record) -> None:
        """Move other content away; its marker goes first, so that nobody takes half of it for whole.

        What lies there and is neither of the bundle nor noted came after an earlier push, and is removed.
        """
        self._objects.remove(self._marker(base, record.version))
        theirs = json.loads(record.notes["theirs"])
        for path in theirs:
            key, aside = f"{base}{record.version}/{path}", f"{self._aside(base, record)}{path}"
            if not self._objects.exists(aside):
                self._objects.move(key, aside)
            elif path not in item.files:
                self._objects.remove(key)  # an earlier run was ended between both
        for path in list(self._paths(base, record.version)):
            if path not in item.files and path not in theirs:
                self._objects.remove(f"{base}{record.version}/{path}")

    @staticmethod
    def _aside(base: str, record: Record) -> str:
        return f"{base}{_OURS}/replaced/{record.bundle}/"

    def _paths(self, base: str, version: str) -> Iterator[str]:
        return self._objects.below(f"{base}{version}/")

    def _base(self, channel: str, name: str) -> str:
        return f"{self._prefix}{channel}/{name}/"

    @staticmethod
    def _marker(base: str, version: str) -> str:
        return f"{base}{_OURS}/{version}.json"
