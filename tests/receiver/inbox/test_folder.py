"""Whoever may write into the inbox gets nothing published, written or removed that lies elsewhere."""

import errno
import json
import os
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner

from diode.config.init import init_receiver
from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.console.progress import Display
from diode.errors import LockedError, PlaceError, PolicyError, ReplayError, UsageError
from diode.storage.durable import WriteBack
from diode.storage.folder import Folder
from diode.trust.keys import new_link_key
from receiver.daemon import Receiver
from receiver.inbox.folder import Inbox
from receiver.peer.requests import Request, drop_request, keep_request
from receiver.release.decisions import read_decisions
from receiver.release.held import Verdicts
from receiver.spool.bundle import begin_folder
from receiver.store import begin
from tests.enclave import Enclave, public_pem
from tests.link import Bundle, make_bundle

ALICE = CryptoSigner.generate_ed25519()
REFUSED = PolicyError("not here")


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    """An inbox beside a folder of somebody else's."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "secret").write_text("secret")
    made = Inbox(tmp_path / "inbox")
    made.prepare()
    return made


@pytest.fixture
def enclave(tmp_path: Path) -> Enclave:
    """A receiver with a signer whom it trusts."""
    return Enclave(tmp_path / "receiver", {"alice.pub": ALICE})


def bundle_in(inbox: Inbox, bundle: Bundle) -> str:
    """A complete tree in the spool."""
    name = f"{bundle.number:016x}"
    (inbox.spool / name / "tree" / "data").mkdir(parents=True)
    return name


@pytest.mark.parametrize("link", ["test", "test/bundle"])
def test_a_link_where_a_bundle_would_be_published(inbox: Inbox, tmp_path: Path, link: str) -> None:
    """A channel's or a bundle's folder is a link: nothing goes through it."""
    bundle = make_bundle({"a": b"1"})
    name = bundle_in(inbox, bundle)
    (inbox.path / link).parent.mkdir(exist_ok=True)
    (inbox.path / link).symlink_to(tmp_path / "elsewhere")
    for call in (lambda: inbox.publish(name, bundle.manifest), lambda: inbox.check_place(bundle.manifest)):
        with pytest.raises(OSError) as caught:
            call()
        assert caught.value.errno in (errno.ENOTDIR, errno.ELOOP)
    inbox.sync(inbox.version_folder(bundle.manifest))  # as of one that a reader has moved on
    assert ([], True) == (list((tmp_path / "elsewhere").iterdir()), (inbox.spool / name / "tree").is_dir())


def test_a_dangling_link_where_a_version_would_be(inbox: Inbox, tmp_path: Path) -> None:
    """It takes the place, and stays what it is."""
    bundle = make_bundle({"a": b"1"})
    name = bundle_in(inbox, bundle)
    place = inbox.version_folder(bundle.manifest)
    place.parent.mkdir(parents=True)
    place.symlink_to(tmp_path / "new")
    for call in (lambda: inbox.publish(name, bundle.manifest), lambda: inbox.check_place(bundle.manifest)):
        with pytest.raises(ReplayError, match="exists already"):
            call()
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("target", ["secret", "new"])
def test_a_reason_is_not_written_through_a_link(inbox: Inbox, tmp_path: Path, target: str) -> None:
    """A tree that was held may have got one where the reason goes."""
    (inbox.held / "00").mkdir()
    (inbox.held / "00" / "reason.json").symlink_to(tmp_path / target)
    inbox.set_aside("00", REFUSED, {}, inbox.held_folder)
    reason = inbox.quarantine / "00" / "reason.json"
    assert ("not here", False) == (json.loads(reason.read_text())["detail"], reason.is_symlink())
    assert ("secret", False) == ((tmp_path / "secret").read_text(), (tmp_path / "new").exists())


def test_our_folder_stays_the_same_one(inbox: Inbox, tmp_path: Path) -> None:
    """Whoever may write into the inbox may rename ``.diode``; what is put there instead is not used."""
    assert inbox.quarantine_folder.names() == []
    (inbox.path / ".diode").rename(inbox.path / ".moved")
    (inbox.path / ".diode").symlink_to(tmp_path / "elsewhere")
    inbox.set_aside("00", REFUSED, {}, None)
    assert ([], True) == (
        list((tmp_path / "elsewhere").iterdir()),
        (inbox.path / ".moved/quarantine/00/reason.json").is_file(),
    )


@pytest.mark.parametrize("kind", ["link", "file"])
def test_a_stranger_was_here_first(tmp_path: Path, kind: str) -> None:
    """``.diode`` must be a folder, and no link to one."""
    (tmp_path / "inbox").mkdir()
    (tmp_path / "elsewhere").mkdir()
    if kind == "link":
        (tmp_path / "inbox" / ".diode").symlink_to(tmp_path / "elsewhere")
    else:
        (tmp_path / "inbox" / ".diode").write_bytes(b"")
    with pytest.raises(UsageError, match=r"\.diode"):
        Inbox(tmp_path / "inbox").prepare()
    assert [] == list((tmp_path / "elsewhere").iterdir())


@pytest.mark.needs("root")
def test_a_folder_of_somebody_else(tmp_path: Path) -> None:
    """Who owns ``.diode`` can change what is received: the receiver does not start, and says what to type."""
    (tmp_path / "inbox" / ".diode").mkdir(parents=True)
    os.chown(tmp_path / "inbox" / ".diode", 4242, 4242)
    with pytest.raises(UsageError, match=r"belongs to user 4242.*chown"):
        Inbox(tmp_path / "inbox").prepare()


def test_our_folder_of_an_earlier_umask(tmp_path: Path) -> None:
    """Its group may not write there any more."""
    (tmp_path / "inbox" / ".diode").mkdir(parents=True)
    (tmp_path / "inbox" / ".diode").chmod(0o775)
    Inbox(tmp_path / "inbox").prepare()
    assert 0o755 == (tmp_path / "inbox" / ".diode").stat().st_mode & 0o777


@pytest.mark.parametrize("where", ["inbox", "spool"])
def test_the_trial_has_a_name_that_nobody_knows(inbox: Inbox, tmp_path: Path, where: str) -> None:
    """Links at the names of earlier versions are left alone."""
    folder = inbox.path if where == "inbox" else inbox.spool
    for name in (".diode-trial", ".trial"):
        (folder / name).symlink_to(tmp_path / "elsewhere")
    Inbox(inbox.path).prepare()
    assert (True, []) == ((tmp_path / "elsewhere").is_dir(), list((tmp_path / "elsewhere").iterdir()))


def test_a_bundle_whose_channel_is_a_link_is_set_aside(tmp_path: Path, enclave: Enclave) -> None:
    """The real store: refused because of its place, kept in quarantine; the link's target stays empty."""
    (tmp_path / "elsewhere").mkdir()
    (enclave.config.inbox.path / "test").symlink_to(tmp_path / "elsewhere")
    bundle = make_bundle({"a": b"1"}, signers=[ALICE])
    enclave.take(bundle)
    assert ([("place", PlaceError.exit_code)], []) == (enclave.refusals, list((tmp_path / "elsewhere").iterdir()))


@pytest.mark.parametrize("planted", ["tree/data/b", "tree", "files.jsonl", "parked"])
def test_links_in_the_spool_are_not_written_through(
    tmp_path: Path, enclave: Enclave, monkeypatch: pytest.MonkeyPatch, planted: str
) -> None:
    """A stranger cannot get there; if he could, his link would be an error, and nothing written where it leads."""
    (tmp_path / "elsewhere").mkdir()
    spool = enclave.store.records.inbox.spool_folder

    def plant() -> None:
        place = spool.path / f"{bundle.number:016x}" / planted
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(tmp_path / "elsewhere")

    bundle = make_bundle({"a": b"1", "b/c": b"22"}, signers=[ALICE])
    made = begin_folder

    def make(folder: Folder, hex_id: str, sealed: bytes) -> WriteBack:
        write_back = made(folder, hex_id, sealed)
        plant()
        return write_back

    monkeypatch.setattr(begin, "begin_folder", make)
    enclave.take(bundle)
    assert [] == list((tmp_path / "elsewhere").iterdir())
    assert enclave.published(bundle) == (planted == "parked")


@pytest.mark.parametrize("order", [1, -1], ids=["first", "second"])
@pytest.mark.parametrize("through", ["same", "link", "dots"])
def test_two_receivers_on_one_inbox(tmp_path: Path, through: str, order: int) -> None:
    """The second is refused, by whatever path it was told of the inbox, and in whichever order they come."""
    configs = []
    for name in ("one", "two"):
        init_receiver(tmp_path / name, listen="127.0.0.1:0", auth="none", link_key=new_link_key(), public=None)
        (tmp_path / name / "keys" / "signers" / "alice.pub").write_text(public_pem(ALICE))
        configs.append(load(ReceiverConfig, tmp_path / name / "receiver.toml"))
    shared = configs[0].inbox.path
    shared.mkdir(exist_ok=True)
    (tmp_path / "link").symlink_to(shared)
    path = {"same": shared, "link": tmp_path / "link", "dots": shared / ".." / shared.name}[through]
    configs[1] = configs[1].model_copy(update={"inbox": configs[1].inbox.model_copy(update={"path": path})})
    first, second = configs[::order]
    with Receiver(first, Display("quiet")), pytest.raises(LockedError, match="another process") as refused:
        Receiver(second, Display("quiet"))
    assert 11 == refused.value.exit_code


@pytest.mark.parametrize("ending", [".txt", ".png"])
def test_a_code_is_not_written_through_a_link(tmp_path: Path, ending: str) -> None:
    """Nor is the link's target removed when nothing is asked for any more."""
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "resend").mkdir()
    path = tmp_path / "resend" / f"{'ab' * 8}.txt"
    path.with_suffix(ending).symlink_to(tmp_path / "secret")
    assert path == keep_request(tmp_path, "ab" * 8, Request("all", "short", is_signed=True))
    assert ("short\n", True) == (path.read_text(), path.with_suffix(".png").is_file())
    drop_request(tmp_path, "ab" * 8)
    assert (["secret"], []) == ([(tmp_path / "secret").read_text()], list((tmp_path / "resend").iterdir()))


@pytest.mark.parametrize("kind", ["link", "dangling", "fifo", "folder"])
def test_what_others_put_among_decisions(tmp_path: Path, kind: str) -> None:
    """Whoever may write there is not read through a link, waited for, or followed when words are dropped."""
    (tmp_path / "secret").write_text("secret")
    place = tmp_path / "decisions" / f"{1:016x}-x.dsse.json"
    place.parent.mkdir()
    if kind == "fifo":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
        (place / "link").symlink_to(tmp_path / "secret")
    else:
        place.symlink_to(tmp_path / ("secret" if kind == "link" else "new"))
    [refused] = read_decisions([place], None, None, "2026-01-01T00:00:00Z")
    assert (place, False) == (refused[0], "secret" == refused[1])
    Verdicts(tmp_path, None, None, None).drop([])  # type: ignore[arg-type]  # nobody is asked
    assert (False, "secret") == (os.path.lexists(place), (tmp_path / "secret").read_text())
