"""Starts a site's own programs (scanners and hooks) without our keys, our privileges and our voice.

Such a program is called a judge here. It runs as a user of its own, if the configuration names one. In any case it
gains no privilege, has no capability, and can neither look into other processes nor signal them. Keys, ledgers and
settings are hidden from it. As our own user it opens no socket and writes below few folders, because it could decide in
a person's name otherwise: by our control socket, or by a file that somebody of this user obeys. ``main`` forks: its
child enforces this and then becomes the program, so the program never runs unconfined. ``main`` itself stays as the
program's :mod:`warden <diode.process.warden>`. It ends with the program's exit code, when nothing is left of it.
"""

import os
import pwd
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

from diode.errors import UsageError
from diode.formats.escape import escape
from diode.process.programs import ENVIRONMENT, python
from diode.process.sandbox import confine_program
from diode.process.vocabulary import Chars, Fields, Flag, Many, Maybe, Vocabulary, Whole
from diode.process.warden import end_with_parent, keep

_KEYS: Final = "keys"
CANNOT_START: Final = 126  # as a shell ends when it cannot run what is there
MAX_SETTINGS_BYTES: Final = 128 << 10  # the kernel takes no longer argument
SCRATCH: Final = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - where a judge of our own user may write
_NETWORK: Final = (2, 10)  # AF_INET and AF_INET6; this room opens no socket itself
_Number = Annotated[int, Whole(0, (1 << 32) - 1)]
_Places = Annotated[tuple[str, ...], Many(Chars(), 1000)]


@dataclass(frozen=True, slots=True)
class Account:
    """The user and groups that a program runs as, by their numbers."""

    user: _Number
    group: _Number
    groups: Annotated[tuple[int, ...], Many(Whole(0, (1 << 32) - 1), 1 << 16)]

    @classmethod
    def of(cls, name: str) -> "Account":
        """The account of the user ``name``. Raises UsageError when there is none."""
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            raise UsageError(
                f"there is no user {name!r} to run a scanner or a hook as; type: useradd -r {name}"
            ) from None
        return cls(found.pw_uid, found.pw_gid, tuple(os.getgrouplist(name, found.pw_gid)))


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """What :func:`main` has to enforce. ``account`` None means our own user."""

    hidden: _Places
    reads: _Places
    writes: _Places
    is_persons: Annotated[bool, Flag()]
    account: Annotated[Account | None, Maybe(Fields(Account))]

    @property
    def is_ours(self) -> bool:
        """Whether the program runs as a user who may do what this one does: this one, or root."""
        return self.account is None or self.account.user in (0, os.geteuid())


_SETTINGS: Final = Vocabulary(JudgeSettings, line_bytes=MAX_SETTINGS_BYTES)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a judge sees of files: nothing of ``hidden``, except ``reads`` (which may lie in it), only for reading.

    As our own user it writes below SCRATCH and ``writes`` alone, and opens no socket. ``is_persons``: it works for a
    command that a person typed, so it writes where that person may, and uses the network, but no local sockets.
    """

    hidden: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    is_persons: bool = False

    def command(self, program: Sequence[str], user: str = "") -> list[str]:
        """The command that starts ``program`` in these surroundings. Start it in ``/``, in a new session.

        It exits with CANNOT_START on failure. Told to end (SIGTERM), it ends the program and all that this started.

        Raises UsageError when the user is unknown, OSError when the program is missing or may not be run.
        """
        found = find_program(program[0])
        settings = JudgeSettings(
            self.hidden, self.reads, self.writes, self.is_persons, Account.of(user) if user else None
        )
        return python("diode.process.judges", _SETTINGS.encode(settings).decode(), found, *program)

    def with_reads(self, *more: Path) -> "Surroundings":
        """The same surroundings, with ``more`` places to read."""
        return replace(self, reads=(*self.reads, *map(str, more)))


def find_program(name: str) -> str:
    """Where the program lies that a command begins with: by its path, or in the folders of the system.

    Raises OSError when it is missing or may not be run.
    """
    found = shutil.which(name, path=ENVIRONMENT["PATH"])
    if found is None:
        there = os.path.exists(name)
        error = PermissionError if there else FileNotFoundError
        raise error(0, "it may not be executed" if there else "No such file or directory", name)
    return found


def hide(config: Any, *more: Path) -> tuple[str, ...]:
    """Places of a side that no judge may touch: keys, trusted keys, settings, ledger, audit log, and ``more``."""
    link, source = config.link, getattr(config, "source", None)
    keys = [link.key, link.previous, config.service_key]
    places = [*keys, config.state, config.audit_folder, config.guard_file]
    named: Iterable[Path] = [*places, *_folders_of(keys), *_of_this_user(), *([source] if source else []), *more]
    return tuple(dict.fromkeys(os.path.realpath(place) for place in named))


def _folders_of(keys: Iterable[Path]) -> Iterator[Path]:
    """Folders named as 'diode init' names those of keys: what lies beside a daemon's key may be a person's."""
    yield from (key.parent for key in keys if key.parent.name == _KEYS)


def _of_this_user() -> Iterator[Path]:
    """Where the user of this process keeps keys of his own."""
    with suppress(KeyError):
        home = Path(pwd.getpwuid(os.geteuid()).pw_dir)
        yield from (home / name for name in (".ssh", ".gnupg"))


def let_in(folder: Path, user: str) -> None:
    """Let a judge that runs as ``user`` pass through ``folder``, without seeing what else lies in it."""
    if user:
        os.chown(folder, -1, Account.of(user).group)
        folder.chmod(0o710)


def main() -> None:
    """Run the program without what a judge must not have, and end whatever it leaves: ``SETTINGS FILE PROGRAM ...``."""
    said, file, *program = sys.argv[1:]
    settings: JudgeSettings = _SETTINGS.decode(said.encode())
    raise SystemExit(keep(partial(_run, settings, file, program)))


def _run(settings: JudgeSettings, file: str, program: list[str]) -> NoReturn:
    """Give up everything that a judge must not have, and become the program."""
    changes, families = None, None
    if settings.is_ours:
        changes = None if settings.is_persons else [os.path.realpath(folder) for folder in (*SCRATCH, *settings.writes)]
        families = _NETWORK if settings.is_persons else ()
    try:
        os.setsid()  # a group of its own: what it signals as its group is not its warden
        confine_program(
            settings.hidden,
            settings.reads,
            lambda: _become(settings.account),
            changes=changes,
            families=families,
            keeper=os.getppid(),
        )
        end_with_parent()
        os.umask(0o077)
        os.execve(file, program, ENVIRONMENT)  # noqa: S606 - by no shell
    except OSError as error:
        os.write(2, escape(f"{program[0]} cannot be started: {error.strerror or error}").encode() + b"\n")
    os._exit(CANNOT_START)


def _become(account: Account | None) -> None:
    if account is None:
        return
    os.setgroups(account.groups)
    os.setresgid(account.group, account.group, account.group)
    os.setresuid(account.user, account.user, account.user)
