"""The gateway as a process: it outlives its serving process, takes a new certificate, and refuses nobody meanwhile."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.errors import FindingsError, UsageError
from diode.layouts.kinds import Kind
from diode.net.address import Address
from diode.process.systemd import Passed
from receiver.commands import gateway as commands
from receiver.gateway.check import Outside, check
from receiver.gateway.server.listening import Listening, _adopt, address_of, open_all
from receiver.gateway.server.plan import settings_of
from tests.patience import PATIENCE_S, wait_until
from tests.ports import free_address
from tests.serving import Serving

BIG = 64 << 20
TOML = """
[link]
listen = "127.0.0.1:9"
[gateway]
{gateway}
[channels.tools]
serve = ["trees"]
{channel}
"""


def pair(folder: Path, name: str) -> None:
    """A certificate for localhost, and its key."""
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    names = ["-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    new = [str(folder / "new.key"), str(folder / "new.crt")]
    subprocess.run([*command, *names, "-keyout", new[0], "-out", new[1]], check=True, capture_output=True)
    Path(new[0]).replace(folder / "tls.key")
    Path(new[1]).replace(folder / "tls.crt")


class Running:
    """A gateway that runs, with its log lines."""

    def __init__(self, toml: Path) -> None:
        self.address = str(free_address())
        command = [
            sys.executable,
            "-c",
            "from receiver.cli.main import main; main()",
            "-c",
            str(toml),
            "gateway",
            "run",
        ]
        self.process = subprocess.Popen(
            [*command, "--listen", self.address], stderr=subprocess.PIPE, text=True, bufsize=1
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr
        self.lines.extend(iter(self.process.stderr.readline, ""))

    def said(self, event: str, times: int = 1) -> list[dict[str, object]]:
        """Wait until an event was logged so often."""

        def found() -> list[dict[str, object]]:
            lines = [json.loads(line) for line in list(self.lines) if line.startswith("{")]
            return [line for line in lines if line.get("event") == event]

        wait_until(lambda: len(found()) >= times or self.process.poll() is not None, f"{event} {times} times")
        assert len(found()) >= times, self.lines
        return found()

    def get(self, path: str, tls: ssl.SSLContext | None = None) -> bytes:
        """Ask, on a connection of its own."""
        scheme = "https" if tls else "http"
        with urllib.request.urlopen(f"{scheme}://{self.address}{path}", timeout=PATIENCE_S, context=tls) as answer:
            return bytes(answer.read())

    def end(self) -> int:
        """End it in order; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        return code


@contextmanager
def running(toml: Path) -> Iterator[Running]:
    """A gateway that is ended in any case."""
    found = Running(toml)
    try:
        found.said("gateway_serving")
        yield found
    finally:
        if found.process.poll() is None:
            found.process.kill()
            found.process.wait()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An inbox with a large file."""
    serving = Serving(tmp_path / "rx", {"tools": ("trees",)})
    serving.publish("tools", "one", "1", {"a.txt": b"hello", "big.bin": bytes(BIG)})
    (serving.folder / "receiver.toml").write_text(TOML.format(gateway="", channel=""))
    return serving.folder


def test_it_is_replaced_when_it_dies_and_when_it_is_told(folder: Path) -> None:
    """A request waits in the socket while no process is there; SIGHUP takes a new one; SIGTERM ends it with 0."""
    with running(folder / "receiver.toml") as gateway:
        assert "serving" == json.loads(gateway.get("/healthz"))["state"]
        first = gateway.said("gateway_serving")[0]["pid"]
        os.kill(int(str(first)), signal.SIGKILL)
        assert "serving" == json.loads(gateway.get("/healthz"))["state"]
        gateway.process.send_signal(signal.SIGHUP)
        pids = [line["pid"] for line in gateway.said("gateway_serving", 3)]
        assert 3 == len(set(pids))
        assert "serving" == json.loads(gateway.get("/healthz"))["state"]
        assert 0 == gateway.end()
        assert not any('"clients_cut"' in line for line in gateway.lines)


def children(gateway: Running) -> set[int]:
    """The processes that the gateway has started and that still run."""
    pid = gateway.process.pid
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


@pytest.mark.long
def test_a_spare_serves_at_once_for_one_that_dies(folder: Path) -> None:
    """It was there before; then there is a new spare. A spare that dies, or that is out of date, is replaced, too."""
    with running(folder / "receiver.toml") as gateway:
        for number in (1, 2):
            first = int(str(gateway.said("gateway_serving", number)[-1]["pid"]))
            wait_until(lambda: len(children(gateway)) == 2, "there is a spare")
            (spare,) = children(gateway) - {first}
            os.kill(first, signal.SIGKILL)
            assert b"serving" in gateway.get("/healthz")
            assert spare == gateway.said("gateway_serving", number + 1)[-1]["pid"]
        wait_until(lambda: len(children(gateway)) == 2, "there is a spare")
        before = children(gateway)
        gateway.process.send_signal(signal.SIGHUP)
        serving = int(str(gateway.said("gateway_serving", 4)[-1]["pid"]))
        assert serving not in before
        wait_until(lambda: len(children(gateway) - before) == 2, "the spare is a new one")
        (spare,) = children(gateway) - before - {serving}
        os.kill(spare, signal.SIGKILL)
        assert "the process before serves on" == gateway.said("gateway_spare_died")[0]["kept"]
        assert b"serving" in gateway.get("/healthz")
        assert 0 == gateway.end()


@pytest.mark.long
def test_nobody_is_refused_or_cut_while_it_is_renewed(folder: Path) -> None:
    """A download that began before ends whole; requests one after the other, all the time, are all answered."""
    failures: list[BaseException] = []
    done = threading.Event()

    def ask(gateway: Running) -> None:
        while not done.is_set():
            try:
                gateway.get("/healthz")
            except BaseException as error:  # noqa: BLE001 - each is a failure of the test
                failures.append(error)

    with running(folder / "receiver.toml") as gateway:
        askers = [threading.Thread(target=ask, args=(gateway,)) for _ in range(3)]
        for one in askers:
            one.start()
        for number in range(2, 6):
            gateway.process.send_signal(signal.SIGHUP)
            gateway.said("gateway_serving", number)
        done.set()
        for one in askers:
            one.join(PATIENCE_S)
        assert [] == failures
        assert 0 == gateway.end()


@pytest.mark.long
def test_a_renewed_certificate_is_taken_and_a_broken_one_is_not(folder: Path) -> None:
    """It is noticed on disk; with one that does not fit its key the old one goes on, and that is told."""
    pair(folder, "old")
    (folder / "receiver.toml").write_text(TOML.format(gateway='certificate = "tls.crt"\nkey = "tls.key"', channel=""))

    def trusting() -> ssl.SSLContext:
        return ssl.create_default_context(cadata=(folder / "tls.crt").read_text())

    with running(folder / "receiver.toml") as gateway:
        old = trusting()
        assert b"serving" in gateway.get("/healthz", old)
        pair(folder, "new")
        gateway.said("gateway_serving", 2)
        assert b"serving" in gateway.get("/healthz", trusting())
        good = trusting()
        (folder / "tls.crt").write_text("broken")
        assert "cannot be used" in str(gateway.said("gateway_not_renewed")[0]["reason"])
        assert b"serving" in gateway.get("/healthz", good)
        assert 0 == gateway.end()


@pytest.mark.parametrize(
    ("gateway", "channel", "said"),
    [
        ('certificate = "tls.crt"', "", "belong together"),
        ('certificate = "no.crt"\nkey = "no.key"', "", "cannot be used"),
        ("", 'tokens = "none"', "client tokens"),
        ('proxies = ["proxy.example"]', "", "are addresses"),
        ('user = "nobody-of-this-name"', "", "there is no user"),
    ],
)
def test_what_cannot_be_served_is_refused(folder: Path, gateway: str, channel: str, said: str) -> None:
    """With a sentence, before anything is started."""
    (folder / "receiver.toml").write_text(TOML.format(gateway=gateway, channel=channel))
    config = load(ReceiverConfig, folder / "receiver.toml")
    if "user" in gateway and os.geteuid():
        pytest.skip("only root becomes somebody else")
    with socket.create_server(("127.0.0.1", 0)) as sock, pytest.raises(UsageError, match=said):
        settings_of(config, [Listening(sock, None)], Address("127.0.0.1", 0))


def test_where_it_listens_must_be_said_and_free(folder: Path) -> None:
    """By the command or by the configuration; a port that is taken is told."""
    config = load(ReceiverConfig, folder / "receiver.toml")
    with pytest.raises(UsageError, match="is not said"):
        address_of(config, "")
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UsageError, match="cannot listen on"):
        open_all(config, address_of(config, f"127.0.0.1:{taken.getsockname()[1]}"))


def test_sockets_of_systemd_are_told_by_their_ports(folder: Path) -> None:
    """Each protocol's port is found; one that the configuration does not name is refused, and so is a missing one."""
    (folder / "receiver.toml").write_text(TOML.format(gateway="", channel=""))
    with socket.create_server(("127.0.0.1", 0)) as main, socket.create_server(("127.0.0.1", 0)) as images:
        ports = [main.getsockname()[1], images.getsockname()[1]]
        wanted: list[tuple[Address, Kind | None]] = [(Address("127.0.0.1", ports[0]), None)]
        passed = [Passed(main.fileno(), "gateway"), Passed(images.fileno(), "oci")]
        with pytest.raises(UsageError, match="passed a socket on"):
            _adopt(passed, wanted)
        wanted.append((Address("127.0.0.1", ports[1]), "oci"))
        with pytest.raises(UsageError, match="passed no socket"):
            _adopt(passed[:1], wanted)
        found = _adopt(passed, wanted)
        assert [(ports[0], None), (ports[1], "oci")] == [(one.port, one.kind) for one in found]
        for one in found:
            one.sock.close()


def test_lines_are_printed_and_tried(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``gateway check`` says what works, and fails where something does not; ``clients`` prints JSON."""
    (folder / "receiver.toml").write_text(TOML.format(gateway="", channel=""))
    config = load(ReceiverConfig, folder / "receiver.toml")
    with Serving(folder.parent / "other", {"tools": ("trees",)}).running() as base:
        found = list(check(config, base, Outside()))
    assert (True, f"{base}/healthz") == found[0][:2]
    assert any(one.what == f"trees at {base}/trees" for one in found)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        gone = f"127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(FindingsError):
        commands.check(folder / "receiver.toml", gone, None, "", as_json=False)
    assert "cannot be reached" in capsys.readouterr().out
    commands.clients(folder / "receiver.toml", "trees", gone, as_json=True)
    assert isinstance(json.loads(capsys.readouterr().out), list)
    with pytest.raises(UsageError, match="no protocol"):
        commands.clients(folder / "receiver.toml", "ftp", gone, as_json=True)


def test_lines_fit_what_lies_in_the_bundle_in_use(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A tree with a repository of apt has its source line, with the words of its Release."""
    serving = Serving(folder.parent / "repository", {"tools": ("trees",)})
    release = "Suite: stable\nCodename: trixie\nComponents: main\nAcquire-By-Hash: yes\n"
    serving.publish("tools", "debs", "7", {"dists/stable/InRelease": release, "dists/stable/Release": release})
    index = f'index = "{serving.folder / "index"}"'
    (folder / "receiver.toml").write_text(TOML.format(gateway=index, channel=""))
    commands.clients(folder / "receiver.toml", "trees", "127.0.0.1:1", as_json=False)
    said = capsys.readouterr().out
    assert "http://127.0.0.1:1/trees/tools/debs stable main\n" in said
    assert "/trees/tools/debs@7/FILE\n" in said
