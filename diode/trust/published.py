"""Checks a published folder against its signed manifest: nothing is missing or changed, and nothing else is there.

Whoever may write into an inbox may have done anything to it, and may still be doing so. So everything is read through
descriptors and through no link, only names that publishing writes are accepted, and after reading everything is looked
at again for changes. Each fault is a finding in one line. Files that older receivers did not write may be missing.
"""

import hashlib
import os
from collections.abc import Callable
from contextlib import nullcontext
from typing import Final, NamedTuple

from blake3 import blake3

from diode.bundle.attestation import FILE as ATTESTATION
from diode.bundle.checksums import B3SUMS, SHA256SUMS, sum_lines
from diode.bundle.files import FileEntry
from diode.bundle.manifest import PAYLOAD_TYPE
from diode.bundle.opened import Opened
from diode.bundle.receipt import (
    MAX_RECEIPT_BYTES,
    MAX_SIGNED_BYTES,
    RECEIPT_FILE,
    SIGNED_FILE,
    differences,
    seal_differences,
)
from diode.errors import IntegrityError
from diode.formats.digest import digest
from diode.formats.dsse import read_envelope, write_envelope
from diode.formats.escape import escape
from diode.formats.names import MAX_DEPTH, MAX_MANIFEST_BYTES
from diode.formats.signers import Key
from diode.storage.folder import Folder
from diode.storage.tree import Node, state_of, walk
from diode.trust.inspection import MANIFEST_FILE
from diode.trust.roles import Trust, open_manifest

PAYLOAD: Final = "manifest.json"
MAX_FINDINGS: Final = 100
_REQUIRED: Final = ("data", PAYLOAD, MANIFEST_FILE, SHA256SUMS, RECEIPT_FILE)
_OPTIONAL: Final = (B3SUMS, SIGNED_FILE)  # older receivers, and those without a service key, write less
_FOLDER_OF_ATTESTATION: Final = ATTESTATION.partition("/")[0]
_OTHERS_WRITE: Final = 0o022
_SPECIAL: Final = 0o7000  # set-user-id, set-group-id, sticky
_CHUNK_BYTES: Final = 1 << 20

Progress = Callable[[int], None]  # bytes read since the last call


class Examined(NamedTuple):
    """The verified manifest of a folder, and the findings about the folder; without findings nothing is wrong."""

    opened: Opened
    findings: list[str]
    notes: list[str]  # what cannot be told here, or is only unusual


def examine(
    folder: Folder, trust: Trust, receipt_key: Key | None = None, progress: Progress = lambda _: None
) -> Examined:
    """Check everything below ``folder``. Raises TrustError, ManifestError, or IntegrityError without a manifest.

    ``receipt_key`` is the receiver's service key. Without it the receipt's signature is not checked.
    """
    try:
        sealed = folder.read(MANIFEST_FILE, MAX_MANIFEST_BYTES)
    except OSError as error:
        raise IntegrityError(f"{MANIFEST_FILE} cannot be read: {error.strerror}") from None
    opened = open_manifest(sealed, trust)
    try:
        examination = _Examination(folder, sealed, opened, progress)
        examination.look()
        examination.compare(receipt_key)
    except OSError as error:
        raise IntegrityError(f"{MANIFEST_FILE} cannot be read: {error.strerror}") from None
    return Examined(examination.opened, examination.findings, examination.notes)


def misplaced(folder: Folder, opened: Opened, wanted: str | None = None) -> str | None:
    """What is wrong with a folder's place; None if its last three components are the signed channel, name and version.

    With ``wanted`` the place does not matter, and the signed label must be ``wanted``.
    """
    label = opened.manifest.label
    if wanted is not None:
        return None if wanted == label else f"it was signed as {escape(label)}, not as {escape(wanted)}"
    try:
        place = "/".join(os.readlink(f"/proc/self/fd/{folder.fd}").split("/")[-3:])
    except OSError as error:
        return f"where it lies cannot be told: {error.strerror}"
    return None if place == label else f"it lies in {escape(place)}, and was signed as {escape(label)}"


class _Examination:
    """One pass over a folder. Findings are escaped, because strangers may have chosen the names in them."""

    def __init__(self, folder: Folder, sealed: bytes, opened: Opened, progress: Progress) -> None:
        self.opened = opened
        self.findings: list[str] = []
        self.notes: list[str] = []
        self._folder = folder
        self._sealed = sealed
        self._progress = progress
        self._entries: list[FileEntry] = []
        self._sidecars: dict[str, str] = {}  # those that are there, by their digests
        self._left_bytes = opened.manifest.stream_bytes
        self._top = os.fstat(folder.fd)
        self._file_mode = os.stat(MANIFEST_FILE, dir_fd=folder.fd, follow_symlinks=False).st_mode & 0o7777

    def look(self) -> None:
        """At every node: once to check and read it, and once more to see that nothing moved meanwhile."""
        self._check_form("", self._top, is_folder=True)
        seen, again = blake3(), blake3()
        for node in walk(self._folder, self._found):
            seen.update(_line(node))
            self._take(node)
            if len(self._entries) > self.opened.manifest.files.entries:
                self._found("data", "holds more than was signed")
                return
            if len(self.findings) >= MAX_FINDINGS:
                return
        for node in walk(self._folder, lambda *_: None):  # what it cannot enter is not seen, either
            again.update(_line(node))
        if seen.digest() != again.digest() or state_of(os.fstat(self._folder.fd)) != state_of(self._top):
            self._found("", "was changed while it was read")

    def _take(self, node: Node) -> None:
        """Check one node, and read what is to be read."""
        if node.is_link and self.opened.manifest.links and node.path.startswith("data/"):
            self._take_link(node)
            return
        if not (node.is_file or node.is_folder):
            self._found(node.path, "is a link, a pipe, a socket or a device, which was not signed")
            return
        self._check_form(node.path, node.status, is_folder=node.is_folder)
        self._check_attributes(node)
        if node.path == "data" or node.path.startswith("data/"):
            self._take_data(node)
        elif node.is_folder != (node.path == _FOLDER_OF_ATTESTATION) or not self._belongs(node.path):
            self._found(node.path, "does not belong there")

    def _take_link(self, node: Node) -> None:
        """Note a link by its path and what it says, which are signed. A link has no mode of its own."""
        self._check_owner(node.path, node.status, is_folder=False)
        try:
            entry = FileEntry(node.path.removeprefix("data/"), link=node.parent.link(node.name))
            entry.line()
        except (OSError, UnicodeEncodeError):
            self._found(node.path, "is a link that was not signed, or cannot be read")
            return
        self._entries.append(entry)

    def _belongs(self, path: str) -> bool:
        is_attested = self.opened.manifest.attestation is not None
        return path in {*_REQUIRED, *_OPTIONAL} or (is_attested and path in (_FOLDER_OF_ATTESTATION, ATTESTATION))

    def _check_form(self, path: str, status: os.stat_result, *, is_folder: bool) -> None:
        """Mode, owner and names of what a receiver has made by itself, under whatever umask."""
        mode = status.st_mode & 0o7777
        if mode & _SPECIAL:
            self._found(path, f"has mode {mode:04o}: set-id or sticky")
        elif mode & _OTHERS_WRITE:
            self._found(path, f"has mode {mode:04o}: others than its owner may write to it")
        elif mode not in _modes(self._file_mode, is_folder=is_folder):
            self._found(path, f"has mode {mode:04o}, which no receiver gave it beside files of {self._file_mode:04o}")
        self._check_owner(path, status, is_folder=is_folder)

    def _check_owner(self, path: str, status: os.stat_result, *, is_folder: bool) -> None:
        if (status.st_uid, status.st_gid) != (self._top.st_uid, self._top.st_gid):
            self._found(path, f"belongs to user {status.st_uid} and group {status.st_gid}, not to those of the folder")
        if not is_folder and status.st_nlink != 1:
            self._found(path, f"has {status.st_nlink} names (hard links), so it can be changed under another one")

    def _take_data(self, node: Node) -> None:
        below = node.path.removeprefix("data").removeprefix("/")
        try:
            below.encode()
        except UnicodeEncodeError:
            self._found(node.path, "has a name that is not UTF-8, and was not signed")
            return
        if below.count("/") >= MAX_DEPTH:
            self._found(node.path, f"lies deeper than {MAX_DEPTH} folders")
        elif node.is_file and not below:
            self._found(node.path, "is no folder")
        elif node.is_file:
            self._read_file(node, below)
        elif below and not node.names:
            self._entries.append(FileEntry(f"{below}/"))

    def _read_file(self, node: Node, below: str) -> None:
        if node.status.st_size > self._left_bytes:
            self._found(node.path, "holds more bytes than all files together were signed with")
            return
        self._left_bytes -= node.status.st_size
        try:
            entry = self._hash(node, below)
        except OSError as error:
            self._found(node.path, f"cannot be read: {error.strerror}")
            return
        self._entries.append(entry)

    def _hash(self, node: Node, below: str) -> FileEntry:
        """Read a file to its end, or to the size that it had. Raises OSError."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        ours, theirs, left = blake3(), hashlib.sha256(), node.status.st_size
        with os.fdopen(os.open(node.name, flags, dir_fd=node.parent.fd), "rb", buffering=0) as file:
            is_same = state_of(os.fstat(file.fileno())) == node.state
            while is_same and left and (chunk := file.read(min(left, _CHUNK_BYTES))):
                ours.update(chunk)
                theirs.update(chunk)
                left -= len(chunk)
                self._progress(len(chunk))
            if left or not is_same or state_of(os.fstat(file.fileno())) != node.state:
                self._found(node.path, "was changed while it was read")
        executable = bool(node.status.st_mode & 0o100)
        return FileEntry(below, node.status.st_size, ours.hexdigest(), theirs.hexdigest(), executable)

    def _check_attributes(self, node: Node) -> None:
        """Report file capabilities, which are a set-id bit by another name, and other unusual attributes."""
        try:
            names = os.listxattr(f"/proc/self/fd/{node.parent.fd}/{node.name}", follow_symlinks=False)
        except OSError:
            return  # a file system without, or a sandbox that keeps them away
        if "security.capability" in names:
            self._found(node.path, "has file capabilities")
        strange = [name for name in names if name.startswith(("user.", "system.", "trusted."))]
        if strange:
            self._note(f"{node.path} has extended attributes: {', '.join(strange)[:100]}")

    def compare(self, receipt_key: Key | None) -> None:
        """Hold the sidecars against the manifest, and against the data as it was read."""
        manifest = self.opened.manifest
        self._entries.sort(key=lambda entry: entry.path.encode())
        is_signed = digest(b"".join(entry.line() for entry in self._entries)).hex() == manifest.content_digest
        if is_signed:
            self._compare(SHA256SUMS, b"".join(sum_lines(self._entries, "sha256")))
            self._compare(B3SUMS, b"".join(sum_lines(self._entries, "blake3")), may_lack=True)
        else:
            self._found(*self._difference())
        self._compare(PAYLOAD, self.opened.payload)
        if manifest.attestation is not None:
            is_older = not self._folder.has(B3SUMS)
            self._compare(ATTESTATION, manifest.attestation.encode() + b"\n", may_lack=is_older)
        self._compare_envelope()
        self._compare_receipt(receipt_key, is_signed=is_signed)

    def _compare(self, name: str, expected: bytes, *, may_lack: bool = False) -> None:
        """Compare a sidecar that follows from signed content, byte for byte."""
        found = self._read(name, len(expected), may_lack=may_lack)
        if found is not None:
            self._sidecars[name] = digest(found).hex()
        if found not in (None, expected):
            self._found(name, "is not what was written beside this data: it was changed")

    def _compare_envelope(self) -> None:
        self._sidecars[MANIFEST_FILE] = digest(self._sealed).hex()
        envelope = read_envelope(self._sealed, PAYLOAD_TYPE, MAX_MANIFEST_BYTES)
        if write_envelope(envelope, 2 * MAX_MANIFEST_BYTES) != self._sealed:
            self._note(f"{MANIFEST_FILE} is spelled otherwise than our sender does; its signatures are valid")

    def _compare_receipt(self, key: Key | None, *, is_signed: bool) -> None:
        shown = self._read(RECEIPT_FILE, MAX_RECEIPT_BYTES)
        sealed = self._read(SIGNED_FILE, MAX_SIGNED_BYTES, may_lack=key is None)
        if shown is None:
            return
        self._sidecars.pop(PAYLOAD, None)  # it is named by the bundle's id
        for text in differences(shown, self.opened, self._sealed, self._sidecars if is_signed else None):
            self._found(RECEIPT_FILE, text)
        if sealed is not None:
            for text in seal_differences(shown, sealed, key):
                self._found(SIGNED_FILE, text)
        if sealed is None or key is None:
            self._note("the receipt's signature was not checked: what it says of time and people is not proven")

    def _read(self, name: str, most_bytes: int, *, may_lack: bool = False) -> bytes | None:
        """Read a sidecar.

        None, and a finding, when it cannot be read or is too long; one that ``may_lack`` may be missing.
        """
        above, _, last = name.rpartition("/")
        try:
            with self._folder.folder(above) if above else nullcontext(self._folder) as folder:
                return folder.read(last, most_bytes)
        except OSError as error:
            if not (may_lack and isinstance(error, FileNotFoundError)):
                self._found(name, f"cannot be read: {error.strerror}")
            return None

    def _difference(self) -> tuple[str, str]:
        """Which file is not as signed, as far as SHA256SUMS, which is not signed itself, can tell."""
        manifest = self.opened.manifest
        found = self._read(SHA256SUMS, 2 * manifest.files.size) or b""
        listed = set(found.splitlines(keepends=True))
        here = set(sum_lines(self._entries, "sha256"))
        for line in sorted(here - listed, key=_place_of):
            is_listed = any(_place_of(one) == _place_of(line) for one in listed)
            what = "has other content than was signed" if is_listed else "was not signed"
            return _place_of(line), what
        for line in sorted(listed - here, key=_place_of):
            return _place_of(line), "is missing"
        return "data", "holds not what was signed: a name, a mode or an empty folder was changed"

    def _found(self, path: str, text: str) -> None:
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(escape(f"{path or 'the folder'} {text}"[:5000]))

    def _note(self, text: str) -> None:
        if len(self.notes) < MAX_FINDINGS:
            self.notes.append(escape(text[:5000]))


def _line(node: Node) -> bytes:
    return f"{node.path!a} {node.state}\n".encode()


def _modes(file_mode: int, *, is_folder: bool) -> set[int]:
    """Which modes a receiver gives where its umask left ``file_mode`` of 0644; executables get 0755 in any case."""
    folder_mode = file_mode | (file_mode & 0o444) >> 2
    if file_mode & ~0o644 or file_mode & 0o600 != 0o600:
        return set()
    return {folder_mode} if is_folder else {file_mode, folder_mode, 0o755}


def _place_of(line: bytes) -> str:
    return line.rstrip(b"\n").partition(b"  ")[2].decode(errors="replace")
