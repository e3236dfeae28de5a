"""A command and a daemon over the control socket, for real: who may ask, and what strangers' lines do."""

import asyncio
import json
import os
import socket
import stat
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest

from diode.control.ask import AnsweredError, maybe_asking
from diode.control.door import MOST_CLIENTS, Door
from diode.control.lines import ANSWER_BYTES, SOCKET, answered
from diode.control.lines import answer as lines_answer
from diode.errors import HostError, MessageError, UsageError
from diode.process.peer import Peer
from diode.process.vocabulary import Text, Vocabulary, Whole


@dataclass(frozen=True, slots=True)
class Say:
    """Say this again."""

    text: Annotated[str, Text(100)]
    times: Annotated[int, Whole(0, 1 << 20)]


@dataclass(frozen=True, slots=True)
class Refuse:
    """Do not."""


@dataclass(frozen=True, slots=True)
class Break:
    """A mistake of ours."""


WORDS = Vocabulary(Say, Refuse, Break)


async def answer(message: object, peer: Peer) -> Mapping[str, Any]:
    """What the daemon of these tests does."""
    match message:
        case Say(text, times):
            return {"text": text * times, "uid": peer.uid}
        case Refuse():
            raise UsageError("not now")
    raise RuntimeError("broken")


@asynccontextmanager
async def opened(state: Path) -> AsyncIterator[Door]:
    """A daemon's door."""
    door = Door(state, "sender", WORDS, answer)
    await door.open()
    try:
        yield door
    finally:
        await door.close()


def asked(state: Path, *messages: object) -> list[Any]:
    """What a command is told, message by message."""
    asking = maybe_asking(state, "sender", WORDS)
    assert asking is not None
    with asking:
        return [asking.ask(message) for message in messages]


async def test_it_answers_in_turn(tmp_path: Path) -> None:
    """Several requests on one connection; and it knows who asks."""
    async with opened(tmp_path):
        said = await asyncio.to_thread(asked, tmp_path, Say("a", 2), Say("é", 1))
    assert [{"text": "aa", "uid": os.getuid()}, {"text": "é", "uid": os.getuid()}] == said


async def test_a_refusal_has_its_text_and_code(tmp_path: Path) -> None:
    """And a mistake of ours ends neither the daemon nor its door."""
    async with opened(tmp_path):
        with pytest.raises(AnsweredError, match="not now") as refused:
            await asyncio.to_thread(asked, tmp_path, Refuse())
        assert UsageError.exit_code == refused.value.exit_code
        with pytest.raises(AnsweredError, match="its log says how"):
            await asyncio.to_thread(asked, tmp_path, Break())
        assert await asyncio.to_thread(asked, tmp_path, Say("a", 1))


async def test_the_socket_is_the_daemons_alone(tmp_path: Path) -> None:
    """Its mode; it replaces what lay there, a link above all, and goes with the daemon."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("kept")
    state = tmp_path / "state"
    state.mkdir()
    (state / SOCKET).symlink_to(elsewhere)
    async with opened(state):
        found = (state / SOCKET).lstat()
        assert (True, 0o600) == (stat.S_ISSOCK(found.st_mode), stat.S_IMODE(found.st_mode))
        assert [SOCKET] == os.listdir(state)
    assert ("kept", []) == (elsewhere.read_text(), os.listdir(state))


async def test_a_long_path_is_no_matter(tmp_path: Path) -> None:
    """The name of a Unix socket may have 108 bytes; ours is short, whatever the folder's path."""
    state = tmp_path / ("x" * 200)
    state.mkdir()
    async with opened(state):
        assert await asyncio.to_thread(asked, state, Say("a", 1))


async def test_without_a_daemon_nobody_is_asked(tmp_path: Path) -> None:
    """No socket, and one that a kill left behind."""
    assert maybe_asking(tmp_path, "sender", WORDS) is None
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / SOCKET))
    left.close()
    assert maybe_asking(tmp_path, "sender", WORDS) is None
    async with opened(tmp_path):
        assert await asyncio.to_thread(asked, tmp_path, Say("a", 1))


async def test_the_other_side_is_told_apart(tmp_path: Path) -> None:
    """A receiver's command does not speak with a sender."""
    async with opened(tmp_path):
        with pytest.raises(HostError, match="control 1 of the sender"):
            await asyncio.to_thread(maybe_asking, tmp_path, "receiver", WORDS)


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"{}\n",
        b'{"say":"Say"}\n',
        b'{"say":"Nobody"}\n',
        b'{"say":"Say","text":"a","times":1.0}\n',
        b'{"say":"Say","text":"a","times":1,"more":1}\n',
        b"\xff\xfe\n",
        b"[" * 5000 + b"\n",
    ],
)
async def test_a_strange_line_is_refused(tmp_path: Path, line: bytes) -> None:
    """By an answer, and the connection goes on."""
    async with opened(tmp_path) as door:
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / SOCKET))
        await reader.readline()
        writer.write(line)
        assert not json.loads(await reader.readline())["ok"]
        writer.write(b'{"say":"Say","text":"a","times":1}\n')
        assert json.loads(await reader.readline())["ok"]
        assert 1 == door.refused
        writer.close()


async def test_a_line_without_an_end_is_hung_up_on(tmp_path: Path) -> None:
    """It is never kept whole."""
    async with opened(tmp_path):
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / SOCKET))
        await reader.readline()
        writer.write(b"x" * (1 << 20))
        with suppress(ConnectionResetError):  # what it sent was not read
            assert b"" == await reader.read()
        writer.close()
        assert await asyncio.to_thread(asked, tmp_path, Say("a", 1))


async def test_too_many_are_turned_away(tmp_path: Path) -> None:
    """With the reason; those who are there go on."""
    async with opened(tmp_path):
        held = [await asyncio.open_unix_connection(str(tmp_path / SOCKET)) for _ in range(MOST_CLIENTS)]
        for reader, _ in held:
            assert b"control" in await reader.readline()
        with pytest.raises(AnsweredError, match="already"):
            await asyncio.to_thread(maybe_asking, tmp_path, "sender", WORDS)
        for _, writer in held:
            writer.close()


async def test_closing_sends_everybody_away(tmp_path: Path) -> None:
    """A client that waits for nothing does not hold up a daemon that ends."""
    async with opened(tmp_path):
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / SOCKET))
        await reader.readline()
    assert b"" == await reader.read()
    writer.close()


async def test_an_answer_that_is_too_long_is_said(tmp_path: Path) -> None:
    """The daemon lives on."""
    async with opened(tmp_path):
        with pytest.raises(AnsweredError, match="its log says how"):
            await asyncio.to_thread(asked, tmp_path, Say("x" * 100, ANSWER_BYTES // 100))
        assert await asyncio.to_thread(asked, tmp_path, Say("a", 1))


@pytest.mark.skipif(os.geteuid() != 0, reason="another user is needed, which only root can become")
async def test_another_user_is_not_answered() -> None:
    """Where the folder lets others in, too: the kernel says who asks."""
    with tempfile.TemporaryDirectory(prefix="diode-door-") as folder:
        state = Path(folder)
        os.chmod(state, 0o755)
        program = f"import socket; s = socket.socket(socket.AF_UNIX); s.connect({str(state / SOCKET)!r})"
        async with opened(state):
            os.chmod(state / SOCKET, 0o666)
            program += "; print(s.recv(1000))"
            become = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c")
            asking = await asyncio.create_subprocess_exec(*become, program, stdout=asyncio.subprocess.PIPE)
            said, _ = await asking.communicate()
            assert b"its own user and root alone" in said


def test_an_answer_may_hold_fractions_and_names_that_are_no_text() -> None:
    """Ages in days; a file's name in an error of the kernel."""
    said = {"days": 14.5, "file": "bad\udc80"}
    assert said == answered(lines_answer(said).rstrip(b"\n"))
    with pytest.raises(MessageError):
        answered(b"[" * 100_000)


def test_a_command_says_that_too_many_wait(tmp_path: Path) -> None:
    """The kernel takes no more connections: that passes, and is said so."""
    with socket.socket(socket.AF_UNIX) as full, socket.socket(socket.AF_UNIX) as first:
        full.bind(str(tmp_path / SOCKET))
        full.listen(0)
        first.connect(str(tmp_path / SOCKET))
        with pytest.raises(HostError, match="type it again"):
            maybe_asking(tmp_path, "sender", WORDS)
