"""The protocols of systemd, as their manual pages have them."""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from diode.errors import UsageError
from diode.process import systemd
from diode.process.systemd import Reports, listen_fds, notify, watchdog_s
from tests.activation import start_activated


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Where NOTIFY_SOCKET leads: a file, or a name in the abstract namespace."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@diode-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(name.replace("@", "\0", 1) if name[0] == "@" else name)
        sock.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield sock


def said(sock: socket.socket) -> list[str]:
    """All messages that wait."""
    messages = []
    while True:
        try:
            messages.append(sock.recv(4096).decode())
        except BlockingIOError:
            return messages


def test_notify_is_one_datagram(manager: socket.socket) -> None:
    """All assignments of a call arrive together, one a line."""
    assert notify("READY=1", "STATUS=listening")
    assert ["READY=1\nSTATUS=listening"] == said(manager)


def test_a_status_is_one_assignment(manager: socket.socket) -> None:
    """A line end in it would begin another one: whoever could write it would name another main process."""
    assert notify("STATUS=bundle a\nMAINPID=1\x1b[2J")
    assert ["STATUS=bundle a\\x0aMAINPID=1\\x1b[2J"] == said(manager)


@pytest.mark.parametrize("name", ["", "relative", "vsock:2:1", "/nowhere/notify", "@nobody-binds-this-name"])
def test_nobody_to_notify_is_no_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without systemd, or with one that is gone, a daemon goes on."""
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    assert not notify("READY=1")


@pytest.mark.parametrize(
    ("limit", "pid", "expected"),
    [
        ("30000000", "", 30.0),
        ("500000", "own", 0.5),
        ("30000000", "1", None),  # meant for another process
        ("", "", None),
        ("0", "", None),
        ("soon", "", None),
        ("-1", "", None),
    ],
)
def test_watchdog(limit: str, pid: str, expected: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """WATCHDOG_USEC counts when it is a number and meant for this process."""
    monkeypatch.setenv("WATCHDOG_USEC", limit)
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()) if pid == "own" else pid)
    assert expected == watchdog_s()


def test_watchdog_hears_of_a_daemon_only_while_it_is_well(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing before it is ready; then a beat a quarter of the limit; none, but a status, while it is not well."""
    monkeypatch.setenv("WATCHDOG_USEC", "8000000")
    reports = Reports()
    reports.tick(0.0, lambda: "early", is_well=True)
    assert [] == said(manager)
    reports.ready("listening")
    reports.ready("listening")
    assert ["READY=1\nSTATUS=listening"] == said(manager)
    for now in (1.0, 1.5, 2.9, 3.1):
        reports.tick(now, lambda: "fine", is_well=True)
    assert ["WATCHDOG=1", "STATUS=fine", "WATCHDOG=1"] == said(manager)
    for now in (5.2, 8.0, 15.0):
        reports.tick(now, lambda: "fine", is_well=False)
    assert ["STATUS=a worker shows no sign of life"] == said(manager)
    reports.tick(15.1, lambda: "fine", is_well=True)
    assert ["WATCHDOG=1", "STATUS=fine"] == said(manager)
    reports.stopping()
    assert ["STOPPING=1\nSTATUS=stopping"] == said(manager)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"LISTEN_PID": "1", "LISTEN_FDS": "1"},
        {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "all"},
        {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "0"},
    ],
)
def test_descriptors_of_others_are_left_alone(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is taken unless it is meant for this process; the variables are gone in any case."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert [] == listen_fds()
    assert not any(name.startswith("LISTEN_") for name in os.environ)


def test_a_descriptor_that_is_not_open_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong count is an error of whoever started the daemon."""
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setattr(systemd, "FIRST_FD", 1_000_000)
    with pytest.raises(UsageError, match="not open"):
        listen_fds()


async def test_a_passed_descriptor_has_its_name_and_stays_in_this_process() -> None:
    """Descriptor 3 comes with the name of its unit; children do not inherit it, nor the variables."""
    program = """if True:
        import json, os
        from diode.process.systemd import listen_fds
        first, again = listen_fds(), listen_fds()
        left = [name for name in os.environ if name.startswith("LISTEN_")]
        print(json.dumps([first, again, os.get_inheritable(3), left]))
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        process = await start_activated(sock, program)
        assert 0 == await process.ended()
        said: object = process.messages[0]
        assert [[[3, "link"]], [], False, []] == said, json.dumps(process.log)
