"""Starts a site's own programs that judge content (scanners and hooks) without our keys and our privileges.

A judge runs as a user of its own, if the configuration names one. In any case it gains no privilege, has no capability,
and can neither look into other processes nor signal them. Keys, ledgers and settings are hidden from it. ``main``
forks: its child enforces this and then becomes the program, so the program never runs unconfined. ``main`` itself stays
as the program's :mod:`warden <diode.process.warden>`. It ends with the program's exit code, when nothing is left of it.
"""

import os
import pwd
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

from diode.errors import UsageError
from diode.formats.escape import escape
from diode.process.programs import ENVIRONMENT, python
from diode.process.sandbox import confine_program
from diode.process.vocabulary import Chars, Fields, Many, Maybe, Vocabulary, Whole
from diode.process.warden import keep

CANNOT_START: Final = 126  # as a shell ends when it cannot run what is there
MAX_SETTINGS_BYTES: Final = 128 << 10  # the kernel takes no longer argument
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
    account: Annotated[Account | None, Maybe(Fields(Account))]


_SETTINGS: Final = Vocabulary(JudgeSettings, line_bytes=MAX_SETTINGS_BYTES)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a judge sees of files: nothing of ``hidden``, except ``reads`` (which may lie in it), only for reading."""

    hidden: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()

    def command(self, program: Sequence[str], user: str = "") -> list[str]:
        """The command that starts ``program`` in these surroundings. Start it in ``/``, in a new session.

        It exits with CANNOT_START on failure. Told to end (SIGTERM), it ends the program and all that this started.

        Raises UsageError when the user is unknown, OSError when the program is missing or may not be run.
        """
        found = shutil.which(program[0], path=ENVIRONMENT["PATH"])
        if found is None:
            there = os.path.exists(program[0])
            error = PermissionError if there else FileNotFoundError
            raise error(0, "it may not be executed" if there else "No such file or directory", program[0])
        settings = JudgeSettings(self.hidden, self.reads, Account.of(user) if user else None)
        return python("diode.process.judges", _SETTINGS.encode(settings).decode(), found, *program)

    def with_reads(self, *more: Path) -> "Surroundings":
        """The same surroundings, with ``more`` places to read."""
        return Surroundings(self.hidden, (*self.reads, *map(str, more)))


def hide(config: Any, *more: Path) -> tuple[str, ...]:
    """Places of a side that no judge may touch: keys, trusted keys, settings, ledger, audit log, and ``more``."""
    link, source = config.link, getattr(config, "source", None)
    places = [link.key, link.previous, config.service_key, config.state, config.audit_folder, config.guard_file]
    named: Iterable[Path] = [*places, *([source] if source else []), *more]
    return tuple(dict.fromkeys(os.path.realpath(place) for place in named))


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
    try:
        confine_program(settings.hidden, settings.reads, lambda: _become(settings.account))
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
