"""Asks a ClamAV daemon on this host over its Unix socket. Each file has a connection of its own, and one answer.

The command ``zINSTREAM`` takes a file in chunks. Each chunk follows its length in four bytes, big-endian. A length of 0
ends the file. Only the answer ``stream: OK`` lets a file pass. Every other answer, and none at all, is a refusal with a
reason. Source: clamd(8).

Somebody who can put a socket of their own at the configured path could answer "OK" for every file. So two users are
checked: the owner of the socket, and the user who listens at it (SO_PEERCRED, unix(7), which names the user at the time
when listening began). Each must be root, the user of this process, or the user of clamd.
"""

import os
import pwd
import re
import select
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, Self

from diode.formats.timestamps import moment
from diode.process.peer import peer_of
from sender.intake.verdict import Reason, RefusedError

MAX_ANSWER_BYTES: Final = 4096
CLEAN: Final = b"stream: OK\0"
MAX_STREAM_BYTES: Final = (1 << 31) - 1  # clamd never scans more, whatever its configuration says
_SLICE_S: Final = 0.2  # how often it is asked whether anybody still waits for the verdict
_VERSION: Final = re.compile(r"(ClamAV [\w.+~-]{1,40})(?:/\d{1,9}/(\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}))?")
# written in halves, so that a virus scanner does not find the test file in this source file
EICAR: Final = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-" + b"TEST-FILE!$H+H*"
# a file of seven bytes, as ``zip -X -0 -P canary`` of Info-ZIP 3.0 encrypted it
ENCRYPTED: Final = bytes.fromhex(
    "504b03040a00090000000000215c2c9b5f0813000000070000000600000063616e61727996fde176a06721f1252d1ec994a845bc3b2342"
    "504b07082c9b5f081300000007000000504b01021e030a00090000000000215c2c9b5f0813000000070000000600000000000000000000"
    "00a4810000000063616e617279504b0506000000000100010034000000470000000000"
)
# clamd answers FOUND with these names for a file that it has not looked into
_ENCRYPTED: Final = "Heuristics.Encrypted."  # AlertEncrypted yes
_EXCEEDED: Final = "Heuristics.Limits.Exceeded"  # AlertExceedsMax yes


Tick = Callable[[], None]


class Version(NamedTuple):
    """The scanner's name and version, and when its database was made (seconds since 1970; None: it does not say)."""

    name: str
    database_at: float | None

    @property
    def database(self) -> str:
        """The time of the database as text; empty when clamd does not say it."""
        return "" if self.database_at is None else moment(self.database_at)


class Clamd:
    """Asks the daemon at the socket ``path``. It must be run by one of the users ``trusted`` (user ids).

    A question and its answer together may take ``timeout_s``. ``tick`` is called while they last; when it raises, the
    question ends.
    """

    def __init__(self, path: Path, trusted: frozenset[int], timeout_s: float, tick: Tick) -> None:
        self._path = path
        self._trusted = trusted
        self._timeout_s = timeout_s
        self._tick = tick

    def version(self) -> Version:
        """Ask clamd for its version. Raises RefusedError."""
        answer = self._ask(b"zVERSION\0", ())
        if not answer.endswith(b"\0"):
            raise RefusedError(Reason.SCANNER_DIED, "clamd hung up when it was asked for its version")
        match = _VERSION.fullmatch(answer.removesuffix(b"\0").decode("ascii", errors="replace"))
        if match is None:
            raise RefusedError(Reason.SCANNER_GARBAGE, f"asked for its version, clamd answered {answer[:100]!r}")
        return Version(match[1], _seconds(match[2]) if match[2] else None)

    def scan(self, chunks: Iterable[memoryview | bytes], what: str) -> None:
        """Raise RefusedError unless clamd calls the file clean. ``what`` names the file in messages."""
        answer = self._ask(b"zINSTREAM\0", chunks)
        if answer != CLEAN:
            raise RefusedError(*judge(answer, what))

    def prove_sight(self) -> None:
        """Raise RefusedError unless clamd detects the EICAR test file, which every virus scanner detects."""
        answer = self._ask(b"zINSTREAM\0", (EICAR,))
        if answer == CLEAN:
            raise RefusedError(Reason.SCANNER_BLIND, "clamd finds nothing in the EICAR test file")
        reason, detail = judge(answer, "the EICAR test file")
        if reason is not Reason.MALWARE:
            raise RefusedError(reason, detail)

    def alerts_on_encrypted(self) -> bool:
        """Whether clamd reports encrypted archives. A small encrypted zip file is sent to it to find out.

        Raises RefusedError when clamd does not answer properly.
        """
        answer = self._ask(b"zINSTREAM\0", (ENCRYPTED,))
        if answer == CLEAN:
            return False
        reason, detail = judge(answer, "an encrypted archive")
        if (
            reason is Reason.MALWARE
        ):  # a virus signature matched this one file: that says nothing about encrypted files in general
            return False
        if reason is not Reason.UNSCANNED:
            raise RefusedError(reason, detail)
        return True

    def _ask(self, command: bytes, chunks: Iterable[memoryview | bytes]) -> bytes:
        with _Conversation(self._path, self._trusted, time.monotonic() + self._timeout_s, self._tick) as talk:
            talk.say(command)
            if command == b"zINSTREAM\0":
                for chunk in chunks:
                    talk.say(len(chunk).to_bytes(4, "big"))
                    if not talk.say(chunk):
                        break
                talk.say(bytes(4))
            return talk.hear()


def trusted_users(name: str) -> frozenset[int]:
    """The ids of the users whose clamd is believed: root, this process's user, and the user ``name`` if it exists."""
    users = {0, os.geteuid()}
    with suppress(KeyError):
        users.add(pwd.getpwnam(name).pw_uid)
    return frozenset(users)


def judge(answer: bytes, what: str) -> tuple[Reason, str]:
    """The reason and the detail of the refusal that an answer other than ``CLEAN`` means. ``what`` names the file."""
    assert answer != CLEAN
    text = answer[:200].removesuffix(b"\0").decode(errors="replace")
    if not answer:
        return Reason.SCANNER_DIED, f"clamd hung up without an answer to {what}"
    if not answer.endswith(b"\0") and len(answer) < MAX_ANSWER_BYTES:
        return Reason.SCANNER_DIED, f"clamd hung up within its answer to {what}: {text!r}"
    if re.fullmatch(rb"stream: [^\0]+ FOUND\0", answer):
        found = text.removeprefix("stream: ")
        if found.startswith(_ENCRYPTED):
            return Reason.UNSCANNED, f"not scanned: encrypted: {what}: {found}"
        if found.startswith(_EXCEEDED):
            return Reason.UNSCANNED, f"not scanned: more than clamd's own limits: {what}: {found}"
        return Reason.MALWARE, f"{what}: {found}"
    if re.fullmatch(rb"[^\0]+ ERROR\0", answer):
        return Reason.SCANNER_ERROR, f"clamd cannot scan {what}: {text}"
    return Reason.SCANNER_GARBAGE, f"clamd's answer to {what} is not understood: {text!r}"


class _Conversation:
    """One non-blocking connection. It waits in short slices, until its deadline at most."""

    def __init__(self, path: Path, trusted: frozenset[int], deadline: float, tick: Tick) -> None:
        self._path = path
        self._trusted = trusted
        self._deadline = deadline
        self._tick = tick
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)

    def __enter__(self) -> Self:
        try:
            while not self._connected():
                self._pause()
            self._check_peer()
        except BaseException:
            self._socket.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self._socket.close()

    def say(self, data: memoryview | bytes) -> bool:
        """Send all of ``data``. False when the other side has already answered or hung up: then call :meth:`hear`."""
        rest = memoryview(data)
        while rest:
            if self._wait(select.POLLIN | select.POLLOUT) & ~select.POLLOUT:
                return False
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                continue
            except OSError:
                return False
        return True

    def hear(self) -> bytes:
        """Everything that the other side sends until it hangs up, MAX_ANSWER_BYTES at most."""
        heard = b""
        while len(heard) < MAX_ANSWER_BYTES:
            self._wait(select.POLLIN)
            try:
                piece = self._socket.recv(MAX_ANSWER_BYTES - len(heard))
            except BlockingIOError:
                continue
            except OSError:
                break
            if not piece:
                break
            heard += piece
        return heard

    def _connected(self) -> bool:
        try:
            self._socket.connect(str(self._path))
        except BlockingIOError:  # its queue of connections is full
            return False
        except OSError as error:
            raise RefusedError(Reason.SCANNER_MISSING, f"no clamd at {self._path}: {error.strerror or error}") from None
        return True

    def _check_peer(self) -> None:
        owner = self._path.stat().st_uid
        listener = peer_of(self._socket).uid
        if strangers := {owner, listener} - self._trusted:
            raise RefusedError(
                Reason.SCANNER_STRANGER,
                f"the socket {self._path} is of user {owner}, and user {listener} listens: {min(strangers)} is "
                "neither root, this daemon's user, nor clamd's (intake.clamd.user)",
            )

    def _pause(self) -> None:
        self._check()
        time.sleep(_SLICE_S / 4)

    def _wait(self, events: int) -> int:
        """Wait until one of ``events``, or a hang-up, has come. Returns the events of poll(2) that have come."""
        poll = select.poll()
        poll.register(self._socket, events)
        while True:
            left = self._check()
            for _, found in poll.poll(min(left, _SLICE_S) * 1000):
                return found

    def _check(self) -> float:
        self._tick()
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise RefusedError(Reason.SCANNER_TIMEOUT, f"clamd at {self._path} has not answered in time")
        return left


def _seconds(date: str) -> float:
    """Seconds since 1970 of a date that asctime(3) wrote. It is in local time, since clamd runs on this host."""
    try:
        return time.mktime(time.strptime(date, "%a %b %d %H:%M:%S %Y"))
    except (ValueError, OverflowError):
        raise RefusedError(Reason.SCANNER_GARBAGE, f"clamd's database is of {date!r}, which is no date") from None
