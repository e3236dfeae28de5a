"""``diode verify``: a folder that a real receiver published passes, and whatever is done to it afterwards is found."""

import hashlib
import json
import os
import shutil
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from securesystemslib.signer import CryptoSigner
from typer.testing import CliRunner

from diode.bundle.attestation import attest, subject_of
from diode.bundle.files import FileEntry
from diode.cli.main import app
from diode.formats.digest import digest
from diode.protocol.sizes import Kind, ObjectType
from diode.storage.folder import Folder
from diode.trust import published
from diode.trust.published import examine
from receiver.commands.receiving import keep_to_oneself
from tests.enclave import Enclave
from tests.link import make_bundle
from tests.needs import need
from tests.trusted import anyone

ALICE, MALLORY = CryptoSigner.generate_ed25519(), CryptoSigner.generate_ed25519()
FILES = {"a": b"one", "b/c": b"two" * 1000, "b/d/e": b"", "größe": b"3", "back\\slash": b"4"}


class Site(NamedTuple):
    """A folder as published, the receiver's folder, and what ``verify`` is given."""

    folder: Path
    home: Path

    def verify(self, *options: str, folder: Path | None = None) -> tuple[int, str]:
        """Exit code and all that was said."""
        trust = ("--signers", str(self.home / "keys" / "signers"), "--no-progress")
        done = CliRunner().invoke(app, ["verify", str(folder or self.folder), *trust, *options])
        code = getattr(done.exception, "exit_code", done.exit_code)
        return code, done.output + str(done.exception or "")

    @property
    def key(self) -> tuple[str, str]:
        """With the receipt's signature."""
        return "--service-key", str(self.home / "keys" / "service.pub")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Published by a real store: files, folders, an executable, an empty folder, an attestation."""
    home = tmp_path_factory.mktemp("enclave")
    enclave = Enclave(home, {"alice.pub": ALICE}, "[channels.test]\nlint = false\n")
    entries = [entry_of(path, content) for path, content in FILES.items()] + [FileEntry("empty/x/")]
    entries.sort(key=lambda entry: entry.path.encode())
    table = b"".join(entry.line() for entry in entries)
    statement = attest(subject_of("test/bundle/1", table, entries), {}, {}, "2026-01-01T00:00:00Z", ALICE)
    bundle = make_bundle(FILES, signer=ALICE, table=table, attestation=statement, entries=len(entries))
    enclave.take(bundle)
    assert enclave.published(bundle), enclave.events.sent
    return Site(home / "inbox" / "test" / "bundle" / "1", home)


def entry_of(path: str, content: bytes) -> FileEntry:
    """As packing makes it; one of them is a program."""
    digests = digest(content).hex(), hashlib.sha256(content).hexdigest()
    return FileEntry(path, len(content), *digests, executable=path == "b/c")


@pytest.fixture
def site(original: Site, tmp_path: Path) -> Site:
    """A copy of it, at a place with the same last three names."""
    folder = tmp_path / "test" / "bundle" / "1"
    shutil.copytree(original.folder, folder)
    return Site(folder, original.home)


def test_untouched(original: Site, site: Site) -> None:
    """Where it was published, and where it was copied to; with the label, and the receipt's signature."""
    for one in (original, site):
        for options in ((), one.key, ("--as", "test/bundle/1")):
            code, said = one.verify(*options)
            assert (0, True, True) == (code, "signed as: test/bundle/1" in said, "verified: 6 files" in said), said
    code, said = site.verify("--json", *site.key)
    found = json.loads(said)
    assert (0, "test/bundle/1", os.getuid(), [], []) == (
        code, found["label"], found["owner"], found["findings"], found["notes"],
    )  # fmt: skip


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077, 0o002, 0])
def test_published_under_another_umask(umask: int, tmp_path: Path) -> None:
    """The unit's, a stricter one, and such as give others the right to write: what the receiver makes passes."""
    before = os.umask(umask)
    try:
        keep_to_oneself()  # as the daemon begins
        enclave = Enclave(tmp_path, {"alice.pub": ALICE})
        bundle = make_bundle({"a": b"1", "b/c": b"2"}, signer=ALICE)
        enclave.take(bundle)
    finally:
        os.umask(before)
    code, said = Site(tmp_path / "inbox" / "test" / "bundle" / "1", tmp_path).verify()
    assert 0 == code, said


def replaced(path: Path, old: bytes, new: bytes) -> None:
    """Change bytes of a file in place."""
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))


def as_link(path: Path) -> None:
    """The same content, behind a link."""
    away = path.parent.parent / f"away-{path.name}" if path.parent.name == "data" else path.parents[1] / path.name
    os.rename(path, away)
    path.symlink_to(away)


def edit_json(path: Path, **fields: Any) -> None:
    """A receipt that says something else, written as a receiver writes it. None: says it no more."""
    said = {**json.loads(path.read_bytes()), **fields}
    said = {name: value for name, value in said.items() if value is not None or name in ("labels", "supersedes")}
    path.write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n")


def both_receipts_gone(top: Path) -> None:
    """Neither has a receipt then."""
    (top / "receipt.json").unlink()
    (top / "receipt.dsse.json").unlink()


def deep(top: Path) -> None:
    """Deeper than any path that could be signed, and than one call could name."""
    fd = os.open(top / "data", os.O_RDONLY)
    for _ in range(200):
        os.mkdir("d" * 200, dir_fd=fd)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)


def with_junk_signature(top: Path) -> None:
    """A signature more, which is nobody's: what was signed stays the same."""
    envelope = json.loads((top / "manifest.dsse.json").read_bytes())
    envelope["signatures"].append({"keyid": "0" * 64, "sig": "AAAA"})
    (top / "manifest.dsse.json").write_text(json.dumps(envelope, separators=(",", ":"), sort_keys=True))


def other_owner(path: Path) -> None:
    """Whoever owns a thing may change it later."""
    need("root")
    os.chown(path, 12345, -1)


def other_group(path: Path) -> None:
    """Likewise for a group."""
    need("root")
    os.chown(path, -1, 12345)


def capable(path: Path) -> None:
    """File capabilities: a set-id bit by another name."""
    try:
        os.setxattr(path, "security.capability", struct.pack("<IIIII", 0x02000001, 1 << 7, 0, 0, 0))
    except OSError as error:
        pytest.skip(f"no file capabilities here: {error}")


def a_socket(path: Path) -> None:
    """A name of a socket."""
    here = os.getcwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(path.name)
    finally:
        os.chdir(here)


def a_device(path: Path) -> None:
    """As a character device."""
    need("root")
    try:
        os.mknod(path, 0o020644, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("no devices here")


def fifo(path: Path) -> None:
    """In its place: who opens it waits."""
    path.unlink()
    os.mkfifo(path, 0o644)


def same_size_and_times(path: Path) -> None:
    """Other content, that only a digest tells."""
    status = path.stat()
    path.write_bytes(b"eno")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def swapped(top: Path) -> None:
    """Two files under each other's name."""
    os.rename(top / "data/a", top / "data/t")
    os.rename(top / "data/größe", top / "data/a")
    os.rename(top / "data/t", top / "data/größe")


def to_folder(path: Path) -> None:
    """A folder in a file's place."""
    path.unlink()
    path.mkdir()


def not_a_folder(path: Path) -> None:
    """A file in a folder's place."""
    shutil.rmtree(path)
    path.write_bytes(b"x")


def linked_hard(path: Path) -> None:
    """A second name for it, outside of the folder."""
    os.link(path, path.parents[len(path.parts) - path.parts.index("1")] / "second-name")


PAPERS = ("manifest.json", "manifest.dsse.json", "SHA256SUMS", "B3SUMS", "receipt.json", "receipt.dsse.json")
ATTESTATION = "attestations/intake.intoto.jsonl"
Tampering = Callable[[Path], Any]


def b3sums_and_attestations_gone(top: Path) -> None:
    """What an older receiver did not write yet."""
    (top / "B3SUMS").unlink()
    shutil.rmtree(top / "attestations")


def of_paper(name: str, harm: Callable[[Path], object]) -> Tampering:
    """Do ``harm`` to one paper."""
    return lambda top: harm(top / name)


TAMPERINGS: dict[str, Tampering] = {
    "a byte changed": lambda top: replaced(top / "data/a", b"o", b"0"),
    "a byte changed, size and times kept": lambda top: same_size_and_times(top / "data/a"),
    "a byte more": lambda top: (top / "data/a").write_bytes(b"one1"),
    "cut short": lambda top: os.truncate(top / "data/b/c", 7),
    "made huge and sparse": lambda top: os.truncate(top / "data/b/c", 1 << 40),
    "a file gone": lambda top: (top / "data/a").unlink(),
    "an empty file gone": lambda top: (top / "data/b/d/e").unlink(),
    "a file renamed": lambda top: os.rename(top / "data/a", top / "data/A"),
    "two files swapped": swapped,
    "a file more in data": lambda top: (top / "data/extra").write_bytes(b""),
    "a hidden file more in data": lambda top: (top / "data/b/.hidden").write_bytes(b""),
    "a name that is not UTF-8 in data": lambda top: Path(os.fsdecode(bytes(top / "data") + b"/\xff")).write_bytes(b""),
    "a name with a control character": lambda top: (top / "data/\x1b[2J\n").write_bytes(b""),
    "an empty folder more": lambda top: (top / "data/more").mkdir(),
    "an empty folder gone": lambda top: (top / "data/empty/x").rmdir(),
    "an empty folder filled": lambda top: (top / "data/empty/x/y").write_bytes(b""),
    "very deep": deep,
    "a file made a folder": lambda top: to_folder(top / "data/a"),
    "a folder made a file": lambda top: not_a_folder(top / "data/empty"),
    "data a link": lambda top: as_link(top / "data"),
    "data a file": lambda top: not_a_folder(top / "data"),
    "data gone": lambda top: shutil.rmtree(top / "data"),
    "a folder in data a link": lambda top: as_link(top / "data/b"),
    "a file in data a link": lambda top: as_link(top / "data/a"),
    "an empty folder a link": lambda top: as_link(top / "data/empty/x"),
    "a link more, to nothing": lambda top: (top / "data/nothing").symlink_to("/nonexistent"),
    "a loop of links": lambda top: (top / "data/loop").symlink_to("."),
    "a pipe for a file": lambda top: fifo(top / "data/a"),
    "a pipe more": lambda top: os.mkfifo(top / "data/pipe"),
    "a socket more": lambda top: a_socket(top / "data/s"),
    "a device more": lambda top: a_device(top / "data/zero"),
    "a hard link to a file": lambda top: linked_hard(top / "data/a"),
    "a hard link to a paper": lambda top: linked_hard(top / "receipt.json"),
    "a hard link inside": lambda top: os.link(top / "data/a", top / "data/zz"),
    "executable bit set": lambda top: (top / "data/a").chmod(0o755),
    "executable bit taken": lambda top: (top / "data/b/c").chmod(0o644),
    "set-user-id": lambda top: (top / "data/b/c").chmod(0o4755),
    "set-group-id on a file": lambda top: (top / "data/b/c").chmod(0o2755),
    "set-group-id on a folder": lambda top: (top / "data/b").chmod(0o2755),
    "sticky": lambda top: (top / "data").chmod(0o1755),
    "a file writable by all": lambda top: (top / "data/a").chmod(0o666),
    "a file writable by its group": lambda top: (top / "data/a").chmod(0o664),
    "a folder writable by all": lambda top: (top / "data/b").chmod(0o777),
    "the folder itself writable by all": lambda top: top.chmod(0o777),
    "a paper writable by all": lambda top: (top / "SHA256SUMS").chmod(0o666),
    "a file unreadable to others": lambda top: (top / "data/a").chmod(0o600),
    "a file without any mode": lambda top: (top / "data/a").chmod(0),
    "a folder not to be entered by others": lambda top: (top / "data/b").chmod(0o700),
    "the envelope's mode changed": lambda top: (top / "manifest.dsse.json").chmod(0o600),
    "a file's owner": lambda top: other_owner(top / "data/a"),
    "a folder's owner": lambda top: other_owner(top / "data/b"),
    "the folder's own owner": other_owner,
    "a paper's owner": lambda top: other_owner(top / "receipt.json"),
    "a file's group": lambda top: other_group(top / "data/a"),
    "file capabilities": lambda top: capable(top / "data/b/c"),
    "a file beside data": lambda top: (top / "README").write_bytes(b"run me"),
    "a hidden file beside data": lambda top: (top / ".data").write_bytes(b""),
    "a folder beside data": lambda top: (top / "data2").mkdir(),
    "a link beside data": lambda top: (top / "current").symlink_to("data"),
    "a paper's name in other letters": lambda top: (top / "sha256sums").write_bytes(b""),
    "a file beside the attestation": lambda top: (top / "attestations/more.jsonl").write_bytes(b""),
    "a folder below attestations": lambda top: (top / "attestations/x").mkdir(),
    "the attestation changed": lambda top: replaced(top / ATTESTATION, b"payload", b"Payload"),
    "the attestation gone": lambda top: (top / ATTESTATION).unlink(),
    "attestations gone": lambda top: shutil.rmtree(top / "attestations"),
    "attestations a link": lambda top: as_link(top / "attestations"),
    "SHA256SUMS: a digest": lambda top: replaced(top / "SHA256SUMS", b"0", b"1"),
    "SHA256SUMS: a line more": lambda top: replaced(top / "SHA256SUMS", b"", b"0" * 64 + b"  /etc/passwd\n"),
    "SHA256SUMS: a line less": lambda top: os.truncate(top / "SHA256SUMS", 70),
    "SHA256SUMS: empty": lambda top: os.truncate(top / "SHA256SUMS", 0),
    "B3SUMS: a digest": lambda top: replaced(top / "B3SUMS", b"a", b"b"),
    "B3SUMS and attestations gone": b3sums_and_attestations_gone,
    "manifest.json: a space more": lambda top: replaced(top / "manifest.json", b"{", b"{ "),
    "manifest.json: another name": lambda top: replaced(top / "manifest.json", b"bundle", b"bundlE"),
    "manifest.dsse.json: a space more": lambda top: replaced(top / "manifest.dsse.json", b"{", b"{ "),
    "manifest.dsse.json: a signature more": with_junk_signature,
    "manifest.dsse.json: no JSON": lambda top: (top / "manifest.dsse.json").write_bytes(b"\xff"),
    "manifest.dsse.json: huge": lambda top: os.truncate(top / "manifest.dsse.json", 1 << 40),
    "receipt.json: files": lambda top: edit_json(top / "receipt.json", files=7),
    "receipt.json: verified": lambda top: edit_json(top / "receipt.json", verified="nothing"),
    "receipt.json: verify": lambda top: edit_json(top / "receipt.json", verify="at-rest"),
    "receipt.json: published": lambda top: edit_json(top / "receipt.json", published="2020-01-01T00:00:00Z"),
    "receipt.json: signer": lambda top: edit_json(top / "receipt.json", signer=MALLORY.public_key.keyid),
    "receipt.json: signed_by": lambda top: edit_json(top / "receipt.json", signed_by=[]),
    "receipt.json: a word more": lambda top: edit_json(top / "receipt.json", note="run data/b/c as root"),
    "receipt.json: papers taken out": lambda top: edit_json(top / "receipt.json", papers=None),
    "receipt.json: nested": lambda top: (top / "receipt.json").write_bytes(b"[" * 60_000),
    "receipt.json: spaces": lambda top: replaced(top / "receipt.json", b"{", b"{ "),
    "receipt.json: a field twice": lambda top: replaced(top / "receipt.json", b"{", b'{\n "files": 6,'),
    "receipt.dsse.json: signature": lambda top: replaced(top / "receipt.dsse.json", b'"sig":"', b'"sig":"00'),
    "receipt.dsse.json: a space more": lambda top: replaced(top / "receipt.dsse.json", b"{", b"{ "),
    "both receipts gone": both_receipts_gone,
    **{f"{name} gone": of_paper(name, Path.unlink) for name in PAPERS},
    **{f"{name} a link": of_paper(name, as_link) for name in PAPERS},
    **{f"{name} a pipe": of_paper(name, fifo) for name in PAPERS},
    **{f"{name} a folder": of_paper(name, to_folder) for name in PAPERS},
}  # fmt: skip


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_tampering_is_found(tampering: str, site: Site) -> None:
    """Each of them ends with 13 (12 where the signature itself is gone), in lines that a terminal may show."""
    TAMPERINGS[tampering](site.folder)
    code, said = site.verify(*site.key)
    assert code == 13, said
    assert "is not as it was published" in said or "manifest.dsse.json" in said or "envelope" in said
    assert all(line.isprintable() for line in said.split("\n"))
    done = CliRunner().invoke(app, ["verify", str(site.folder), "--signers", str(site.home / "keys/signers"), "--json"])
    for line in done.stdout.splitlines():
        json.loads(line)


NEED_THE_KEY = {"receipt.json: published", "receipt.dsse.json: signature", "receipt.dsse.json gone"}


@pytest.mark.long
@pytest.mark.parametrize("tampering", sorted(TAMPERINGS.keys() - NEED_THE_KEY))
def test_tampering_is_found_without_the_service_key(tampering: str, site: Site) -> None:
    """But for what only the receipt's own signature proves."""
    TAMPERINGS[tampering](site.folder)
    assert 13 == site.verify()[0]


def test_a_receipt_made_up(site: Site) -> None:
    """Its date changed, and its signature thrown away: found with the service key, and noted without."""
    edit_json(site.folder / "receipt.json", published="2020-01-01T00:00:00Z")
    (site.folder / "receipt.dsse.json").unlink()
    assert (13, True) == (site.verify(*site.key)[0], "receipt.dsse.json cannot be read" in site.verify(*site.key)[1])
    code, said = site.verify()
    assert (0, True) == (code, "note: the receipt's signature was not checked" in said)


def test_signed_by_strangers(site: Site) -> None:
    """Nothing else is looked at: there is nothing to hold it against."""
    sealed = make_bundle({"a": b"one"}, signer=MALLORY).parts[Kind.OBJECT, int(ObjectType.MANIFEST)].rstrip(b"\0")
    (site.folder / "manifest.dsse.json").write_bytes(sealed)
    assert 12 == site.verify()[0]


@pytest.mark.parametrize("place", ["test/bundle/2", "test/Bundle/1", "other/bundle/1", "bundle"])
def test_copied_to_another_name(place: str, site: Site, tmp_path: Path) -> None:
    """A folder says by its place what it is; on purpose, the label is typed instead."""
    copy = tmp_path / "copies" / place
    shutil.copytree(site.folder, copy)
    code, said = site.verify(folder=copy)
    assert (13, True, True) == (code, "was signed as test/bundle/1" in said, "signed as: test/bundle/1" in said)
    assert 0 == site.verify("--as", "test/bundle/1", folder=copy)[0]
    code, said = site.verify("--as", "test/bundle/2", folder=copy)
    assert (13, True) == (code, "not as test/bundle/2" in said)


def test_a_link_that_a_person_names(site: Site, tmp_path: Path) -> None:
    """It is the folder behind it that counts, also for its label."""
    (tmp_path / "link").symlink_to(site.folder)
    assert 0 == site.verify(folder=tmp_path / "link")[0]
    other = tmp_path / "x" / "bundle" / "2"
    shutil.copytree(site.folder, other)
    (tmp_path / "test" / "bundle" / "2").symlink_to(other)
    assert 13 == site.verify(folder=tmp_path / "test" / "bundle" / "2")[0]


def test_no_folder_at_all(site: Site) -> None:
    """A mistake in the command is no finding."""
    assert 2 == site.verify(folder=site.folder / "receipt.json")[0]
    assert 2 == site.verify(folder=site.folder / "nothing")[0]


def put_and_taken_away(top: Path) -> None:
    """A name that is there for a moment."""
    (top / "x").touch()
    (top / "x").unlink()


def folder_replaced(top: Path) -> None:
    """An empty folder takes the place of one."""
    (top / "data/b").rename(top.parents[1] / "b")
    (top / "data/b").mkdir()


def replaced_by_its_copy(top: Path) -> None:
    """The same content in another file."""
    shutil.copy2(top / "B3SUMS", top.parents[1] / "B")
    (top.parents[1] / "B").replace(top / "B3SUMS")


CHANGES: dict[str, Tampering] = {
    "the file being read": lambda top: (top / "data/a").write_bytes(b"one"),
    "a file read before": lambda top: os.utime(top / "data/a"),
    "put there and taken away": put_and_taken_away,
    "a file put there later": lambda top: (top / "data/b/later").touch(),
    "a folder replaced": folder_replaced,
    "a folder made a link": lambda top: as_link(top / "data/b"),
    "a paper replaced by its copy": replaced_by_its_copy,
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("at", [1, 2, 3])
def test_changed_while_it_is_read(change: str, at: int, site: Site) -> None:
    """Whenever it happens between the first byte and the last, and even when all is as before afterwards."""
    if change == "the file being read":
        (site.folder / "data/a").write_bytes(b"one")
    chunks = 0

    def progress(count: int) -> None:
        nonlocal chunks
        chunks += 1
        if chunks == at:
            CHANGES[change](site.folder)

    with Folder.open(site.folder) as folder:
        found = examine(folder, anyone([ALICE.public_key]), None, progress)
    assert found.findings


def test_what_an_older_receiver_published(site: Site) -> None:
    """Without B3SUMS, attestation and signature, and with a receipt that says less: it passes as before."""
    shutil.rmtree(site.folder / "attestations")
    (site.folder / "B3SUMS").unlink()
    (site.folder / "receipt.dsse.json").unlink()
    edit_json(site.folder / "receipt.json", papers=None, signed_by=None)
    for _ in range(2):
        assert 0 == site.verify()[0], site.verify()[1]
        said = json.loads((site.folder / "receipt.json").read_bytes())
        (site.folder / "receipt.json").write_text(
            json.dumps({k: v for k, v in said.items() if k not in ("labels", "supersedes")}, indent=1) + "\n"
        )


def test_findings_are_bounded(site: Site) -> None:
    """A folder full of junk is not listed to its end."""
    for number in range(300):
        (site.folder / f"junk{number}").touch()
    with Folder.open(site.folder) as folder:
        assert published.MAX_FINDINGS == len(examine(folder, anyone([ALICE.public_key])).findings)


def test_unusual_attributes_are_noted(site: Site) -> None:
    """They are no tampering with what was signed."""
    try:
        os.setxattr(site.folder / "data/a", "user.origin", b"x")
    except OSError as error:
        pytest.skip(f"no extended attributes here: {error}")
    code, said = site.verify()
    assert (0, True) == (code, "note: data/a has extended attributes: user.origin" in said)
