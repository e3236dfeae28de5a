"""The kind ``s3``, against moto's server, by boto3: every call may be the last one before a kill."""

import hashlib
import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from diode.config.ingest import BucketTarget
from diode.errors import IntegrityError, ReplayError, StorageError, UsageError
from receiver.ingest.work import Work
from tests.clients import python_with
from tests.enclave import Enclave
from tests.patience import wait_until
from tests.ports import free_address
from tests.receiver.ingest.scenes import (
    ALICE,
    BY_HUB,
    CHANNEL,
    NAME,
    Kill,
    files_of,
    item_of,
    lawful,
    line_of,
    points,
    publish,
    was_killed,
    work_at,
)

pytestmark = pytest.mark.clients
PART = 5 << 20
LARGE = bytes(range(251)) * ((2 * PART + 1000) // 251)  # three parts


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Its address."""
    pytest.importorskip("boto3", reason="boto3 is not installed: pip install 'diode[ingest]'")
    program = python_with("moto[server]>=5,<6") / "moto_server"
    port = free_address().port
    with subprocess.Popen([program, "-H", "127.0.0.1", "-p", str(port)], stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: _answers(port), "moto's server answers")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def _answers(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def enclave(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Enclave]:
    """Two versions; the second one has a file of three parts."""
    made = Enclave(tmp_path_factory.mktemp("made") / "receiver", {"alice.pub": ALICE}, BY_HUB)
    publish(made, 1, empty=())
    publish(made, 2, {**files_of(2), "large.bin": LARGE}, empty=())
    yield made
    made.stop()


@pytest.fixture
def world(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> "World":
    """A bucket, in which somebody else keeps something."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    return World(server, tmp_path)


class World:
    """Buckets of one server. Each kill point has one of its own."""

    def __init__(self, server: str, folder: Path) -> None:
        import boto3

        self.server = server
        self.folder = folder
        self.s3: Any = boto3.client("s3", endpoint_url=server, region_name="us-east-1")

    def bucket(self, name: str) -> str:
        """A new one."""
        whole = f"{self.folder.name.replace('_', '-')[:30]}-{name}".lower().strip("-")
        self.s3.create_bucket(Bucket=whole)
        self.s3.put_object(Bucket=whole, Key="theirs", Body=b"somebody else's")
        return whole

    def shape(self, bucket: str) -> dict[str, str]:
        """All objects, by their content."""
        found = {}
        for one in self.s3.list_objects_v2(Bucket=bucket).get("Contents", ()):
            body = self.s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read()
            found[one["Key"]] = hashlib.sha256(body).hexdigest()
        assert [] == self.s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
        return found

    def work(self, enclave: Enclave, bucket: str, kill: Kill | None = None) -> Work:
        """As a process that has just begun; each call of the server may be killed."""
        settings = BucketTarget(kind="s3", bucket=bucket, endpoint=self.server, part=PART, channels=(CHANNEL,))
        work = work_at(enclave, settings, self.folder / bucket)
        if kill is not None:
            client = work.target._objects._s3  # type: ignore[attr-defined]
            client._make_api_call = kill.before(client._make_api_call)
        return work


def push(enclave: Enclave, work: Work, version: str = "v2") -> tuple[str, ...]:
    """The command."""
    item = item_of(enclave, version)
    with item.data:
        return work.do(item, lawful, may_replace=True).steps


def begin(enclave: Enclave, world: World, start: str, number: int) -> str:
    """A bucket at its start."""
    bucket = world.bucket(f"{start}-{number}")
    if start == "older":
        push(enclave, world.work(enclave, bucket), "v1")
    elif start == "other":
        for path in ("config.json", "old", "same.json"):
            body = b"{}" if path == "same.json" else b"other"
            world.s3.put_object(Bucket=bucket, Key=f"{CHANNEL}/{NAME}/v2/{path}", Body=body)
        world.s3.put_object(Bucket=bucket, Key=f"{CHANNEL}/{NAME}/current", Body=b"v2\n")
    return bucket


def signed(enclave: Enclave) -> dict[str, str]:
    """What the table says, by key."""
    item = item_of(enclave, "v2")
    item.data.close()
    return {f"{CHANNEL}/{NAME}/v2/{path}": one.sha256 for path, one in item.files.items()}


def test_a_bucket_holds_what_was_signed(enclave: Enclave, world: World) -> None:
    """Objects, then the marker, then what is in use; twice does nothing; undone it is as before."""
    bucket = begin(enclave, world, "older", 0)
    before = world.shape(bucket)
    assert ("put", "check", "publish", "point") == push(enclave, world.work(enclave, bucket))
    found = world.shape(bucket)
    assert signed(enclave) == {key: found[key] for key in found if f"{NAME}/v2/" in key}
    assert b"v2\n" == world.s3.get_object(Bucket=bucket, Key=f"{CHANNEL}/{NAME}/current")["Body"].read()
    assert () == push(enclave, world.work(enclave, bucket))
    world.work(enclave, bucket).undo(line_of(enclave, "v2").id)
    assert before == world.shape(bucket)


@pytest.mark.long
@pytest.mark.parametrize("start", ["empty", "older", "other"])
def test_a_push_that_is_killed_before_any_call(enclave: Enclave, world: World, start: str) -> None:
    """The next run ends it; and from there, or undone at once, the bucket is as before."""
    bundle = line_of(enclave, "v2").id

    def one(number: int) -> bool:
        bucket = begin(enclave, world, start, number)
        before, kill = world.shape(bucket), Kill()
        work = world.work(enclave, bucket, kill)
        with kill.at(number):
            killed = was_killed(lambda: push(enclave, work))
        if killed and number % 2:
            world.work(enclave, bucket).undo(bundle)
            assert before == world.shape(bucket), number
        push(enclave, world.work(enclave, bucket))
        found = world.shape(bucket)
        assert signed(enclave) == {key: found[key] for key in found if f"{NAME}/v2/" in key}
        assert () == push(enclave, world.work(enclave, bucket))
        world.work(enclave, bucket).undo(bundle)
        assert before == world.shape(bucket), number
        return killed

    assert 20 < points(one, stride=7)


@pytest.mark.long
@pytest.mark.parametrize("start", ["empty", "older", "other"])
def test_an_undoing_that_is_killed_before_any_call(enclave: Enclave, world: World, start: str) -> None:
    """The next one ends it."""
    bundle = line_of(enclave, "v2").id

    def one(number: int) -> bool:
        bucket = begin(enclave, world, start, 1000 + number)
        before, kill = world.shape(bucket), Kill()
        push(enclave, world.work(enclave, bucket))
        work = world.work(enclave, bucket, kill)
        with kill.at(number):
            killed = was_killed(lambda: work.undo(bundle))
        world.work(enclave, bucket).undo(bundle)
        assert before == world.shape(bucket), number
        return killed

    assert 5 < points(one, stride=3)


def test_other_content_is_refused(enclave: Enclave, world: World) -> None:
    """With both digests."""
    bucket = begin(enclave, world, "other", 1)
    before, item = world.shape(bucket), item_of(enclave, "v2")
    with pytest.raises(ReplayError, match=item.sums), item.data:
        world.work(enclave, bucket).do(item, lawful, may_replace=False)
    assert before == world.shape(bucket)


def test_a_large_file_that_was_changed_does_not_appear(enclave: Enclave, world: World, tmp_path: Path) -> None:
    """Its parts are aborted."""
    bucket, item = world.bucket("changed"), item_of(enclave, "v2")
    file = enclave.config.inbox.path / CHANNEL / NAME / "v2" / "data" / "large.bin"
    file.write_bytes(LARGE[:-1] + b"x")
    try:
        with pytest.raises(IntegrityError), item.data:
            world.work(enclave, bucket).do(item, lawful, may_replace=False)
    finally:
        file.write_bytes(LARGE)
    assert not [key for key in world.shape(bucket) if "large.bin" in key or ".diode" in key]


def test_a_server_that_is_not_there(enclave: Enclave, tmp_path: Path, world: World) -> None:
    """A clear error, and nothing in the journal."""
    settings = BucketTarget(kind="s3", bucket="none", endpoint="http://127.0.0.1:9", channels=(CHANNEL,))
    work, item = work_at(enclave, settings, tmp_path / "state"), item_of(enclave, "v2")
    with pytest.raises(StorageError, match="type the same again"), item.data:
        work.do(item, lawful, may_replace=False)
    assert [] == list(work.journal.all())
    with pytest.raises(StorageError, match="NoSuchBucket"):
        work_at(enclave, settings.model_copy(update={"endpoint": world.server}), tmp_path / "s").planned(
            item_of(enclave, "v2"), may_replace=False
        )


def test_credentials_that_others_can_read(enclave: Enclave, tmp_path: Path) -> None:
    """They are not used."""
    pytest.importorskip("boto3", reason="boto3 is not installed: pip install 'diode[ingest]'")
    file = tmp_path / "s3.ini"
    file.write_text("[default]\n")
    file.chmod(0o644)
    settings = BucketTarget(kind="s3", bucket="none", credentials=file, channels=(CHANNEL,))
    with pytest.raises(UsageError, match="chmod 600"):
        work_at(enclave, settings, tmp_path / "state")


def test_notes_are_bounded(enclave: Enclave, world: World) -> None:
    """What was there is kept by its path alone."""
    bucket, item = begin(enclave, world, "other", 2), item_of(enclave, "v2")
    item.data.close()
    notes = world.work(enclave, bucket).target.notes(item)
    assert (["same.json"], ["config.json", "old"]) == (json.loads(notes["kept"]), json.loads(notes["theirs"]))
