"""Takes system calls (seccomp) and folders (Landlock) away from a worker, for good.

Neither needs a privilege. If the kernel or libseccomp lacks something, the worker runs without it and reports that:
:func:`confine` returns what is not in force.

There is no maintained Python package with wheels for Landlock, so its three system calls are made by ctypes
(landlock(7)).
"""

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from typing import Any, Final

_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_CAPBSET_DROP: Final = 24
_PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL = 47, 4
_MOST_CAPABILITIES: Final = 64
_PROT_EXEC: Final = 4
_CLONE_THREAD: Final = 0x10000
_SOL_UDP, _UDP_SEGMENT = 17, 103
_STDOUT_AND_STDERR: Final = (1, 2)

# What Python itself needs to go on, to be told to end, and to end.
_RUNTIME: Final = (
    *("read", "readv", "close", "brk", "munmap", "mremap", "madvise", "futex", "getrandom", "sched_yield"),
    *("clock_gettime", "clock_nanosleep", "nanosleep", "select", "pselect6", "poll", "ppoll", "restart_syscall"),
    *("rt_sigreturn", "rt_sigaction", "rt_sigprocmask", "sigaltstack", "getpid", "gettid", "exit", "exit_group"),
)
_THREADS: Final = ("set_robust_list", "rseq", "sched_getaffinity", "membarrier")
EVENTS: Final = ("epoll_wait", "epoll_pwait", "epoll_ctl")  # asyncio's, of the portable path
SOCKET_READ: Final = (*EVENTS, "recvfrom", "recvmsg", "recvmmsg", "getsockopt")
MODULES: Final = (  # what an import needs; which files it sees is Landlock's to say
    *("openat", "lseek", "stat", "fstat", "lstat", "newfstatat", "statx", "getdents64", "ioctl", "fcntl", "readlink"),
)
READS: Final = (*MODULES, "pread64", "preadv", "preadv2", "fadvise64")  # of files; which ones is Landlock's to say
FORKING: Final = (  # of a worker whose children bind themselves further
    *("clone", "wait4", "kill", "pipe2", "close_range", "prlimit64", "setrlimit", "set_robust_list", "rseq", "getppid"),
    *("prctl", "seccomp", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"),
)
FILES: Final = (
    *MODULES,
    *("pread64", "preadv", "preadv2", "pwrite64", "pwritev", "pwritev2", "writev", "copy_file_range", "sendfile"),
    *("openat2", "statfs", "fstatfs", "access", "faccessat", "faccessat2"),
    *("fsync", "fdatasync", "sync_file_range", "syncfs", "msync", "fallocate", "ftruncate", "fadvise64"),
    *("mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2"),
    *("flock", "chmod", "fchmod", "fchmodat", "utimensat", "readlinkat", "getcwd", "umask"),
    *("geteuid", "getuid", "getegid", "getgid", "uname", "sysinfo", "dup"),
)

LINKING: Final = ("symlinkat",)  # of who makes symbolic links; where, is Landlock's to say

_HANDLED_FS: Final = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # Landlock's version -> how many kinds of access it knows
_NEWEST: Final = 5
_NET: Final = 0b11  # TCP: bind, connect
_SCOPED: Final = 0b11  # abstract Unix sockets of others, signals to others
_EXECUTE: Final = 1 << 0
_WRITE_FILE, _READ_FILE, _READ_DIR = (1 << n for n in (1, 2, 3))
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG = (1 << n for n in (4, 5, 7, 8))
_MAKE_SYM, _REFER, _TRUNCATE = (1 << n for n in (12, 13, 14))
_READ: Final = _READ_FILE | _READ_DIR
_CHANGE: Final = _READ | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _REFER | _TRUNCATE
_OF_FILES: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE  # the others are folders' own
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION: Final = 1
_PATH_BENEATH: Final = 1

# What a program of our own user is refused, beside sockets: to act in, or by, a process that has more than it.
_ACTS_ON_OTHERS: Final = (
    *("ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "pidfd_send_signal"),
    *("kcmp", "perf_event_open", "bpf", "userfaultfd", "move_pages", "migrate_pages"),
    *("keyctl", "add_key", "request_key"),
)
_SIGNALS: Final = ("kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_open")
_ADDRESSED: Final = ("connect", "bind", "listen", "accept", "accept4")
_IO_URING: Final = ("io_uring_setup", "io_uring_enter", "io_uring_register")
_MOST_FAMILIES, _MOST_KINDS, _SOCK_STREAM = 64, 16, 1
_DEVICES: Final = "/dev"
_HARMLESS_DEVICES: Final = ("null", "zero", "full", "random", "urandom")

Path = str | os.PathLike[str]

_libc = ctypes.CDLL(None, use_errno=True)


def confine(
    calls: Iterable[str] = (),
    *,
    writes: Iterable[int] | None = None,
    sends: int | None = None,
    changes: Sequence[Path] = (),
    links: Sequence[Path] = (),
    reads: Iterable[Path | int] = (),
    threads: bool = False,
) -> list[str]:
    """Restrict this process for good to what it needs from now on.

    Returns one line for each thing that could not be enforced.

    It keeps the system calls that Python needs, and ``calls``. ``write`` stays allowed on the descriptors ``writes``,
    standard output and error; on all descriptors when ``writes`` is None. ``sendto`` stays allowed on the socket
    ``sends`` only. Of the file system it keeps ``changes`` (folders that may be written), ``links`` (those among
    them in which symbolic links may be made) and ``reads`` (files and folders, by path or by descriptor; the
    descriptors are closed), as far as they exist. ``threads`` allows new threads, but no processes.

    Import everything that is needed before this call. Raises OSError when a folder of ``changes`` is missing, because
    it could never be reached later.
    """
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _prctl(_PR_SET_DUMPABLE, 0)
    lacking = []
    allowed = None
    try:
        allowed = _filter(calls, writes)
        if sends is not None:
            _allow_sending(allowed, sends)
        if threads:
            _allow_threads(allowed)
    except (ImportError, OSError, RuntimeError) as error:
        lacking.append(f"seccomp: libseccomp is missing or too old ({error})")
    if reason := _landlock_worker(changes, links, reads):  # its calls, and modules, are out of reach afterwards
        lacking.append(reason)
    try:
        if allowed is not None:
            allowed.load()
    except OSError as error:
        lacking.append(f"seccomp: the kernel refuses the filter ({error.strerror})")
    return lacking


def confine_program(
    hidden: Sequence[str],
    reads: Sequence[str],
    become: Callable[[], None],
    *,
    changes: Sequence[str] | None = None,
    families: Sequence[int] | None = None,
    keeper: int = 0,
) -> str:
    """Restrict this process before it executes another program: no privileges, and nothing of ``hidden`` can be found.

    ``become`` changes the user, while that is still possible. ``hidden`` are real paths; ``reads`` below them stay
    readable. ``changes`` are the folders (real paths) below which it may write; None: wherever its user may.
    ``families`` are the kinds of sockets that it may open; None: all. With ``families`` it also neither traces
    another process nor signals the process ``keeper``. Everything else stays as the user may use it, except that files
    made later beside or above ``hidden`` cannot be found.

    Returns what Landlock could not enforce. Raises OSError when the program must not be executed, also where
    ``families`` cannot be enforced.
    """
    denied = None if families is None else _denied(families, keeper)
    for capability in range(_MOST_CAPABILITIES):
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # where we may not, there is nothing to be had by it
    become()
    _libc.prctl(_PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL, 0, 0, 0)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    lacks = _landlock_program(hidden, reads, changes)
    if denied is not None:
        denied.load()
    return lacks


def _landlock_program(hidden: Sequence[str], reads: Sequence[str], changes: Sequence[str] | None) -> str:
    version = landlock_version()
    if not version:
        return "Landlock: this kernel does not have it, or does not use it"
    everything = (1 << _HANDLED_FS[min(version, _NEWEST)]) - 1
    rules: list[tuple[Iterable[Path | int], int]] = [(reads, _READ | _EXECUTE), (["/"], _READ_DIR)]
    if changes is None:
        rules.append((everything_but(hidden), everything))
    else:
        rules.append((everything_but([*hidden, _DEVICES]), _READ | _EXECUTE))
        rules.append(([f"{_DEVICES}/{name}" for name in _HARMLESS_DEVICES], _READ | _WRITE_FILE))
        shown = [folder for folder in changes if not _lies_in(folder, hidden)]
        rules.extend((_around(folder, frozenset(hidden)), everything) for folder in shown)
    return _landlock(version, rules, has_network=True)


def _denied(families: Sequence[int], keeper: int) -> Any:
    """A filter that takes away what would let a program act as its user beyond its own files. Not yet loaded.

    What other programs inherit or execute has it too. A call by another table of the kernel (32-bit, x32) ends the
    program, because the filter is for this machine's own calls.
    """
    try:
        import pyseccomp as seccomp

        denied = seccomp.SyscallFilter(seccomp.ALLOW)
        refused = seccomp.ERRNO(errno.EPERM)
        for name in _ACTS_ON_OTHERS if families else (*_ACTS_ON_OTHERS, *_ADDRESSED):
            denied.add_rule(refused, name)
        for name in _IO_URING:  # it opens sockets, and no filter sees that; who finds none does without
            denied.add_rule(seccomp.ERRNO(errno.ENOSYS), name)
        for family in set(range(_MOST_FAMILIES)) - set(families):
            denied.add_rule(refused, "socket", _low(seccomp, 0, family))
        denied.add_rule(refused, "socket", seccomp.Arg(0, seccomp.GE, _MOST_FAMILIES))
        for kind in set(range(_MOST_KINDS)) - {_SOCK_STREAM}:  # a pair of datagrams could be sent to any name
            denied.add_rule(refused, "socketpair", seccomp.Arg(1, seccomp.MASKED_EQ, _MOST_KINDS - 1, kind))
        denied.add_rule(refused, "prlimit64", seccomp.Arg(0, seccomp.NE, 0))
        if keeper:
            for name, target in product(_SIGNALS, (keeper, -keeper, -1)):
                denied.add_rule(refused, name, _low(seccomp, 0, target))
    except (ImportError, OSError, RuntimeError) as error:
        raise OSError(
            errno.ENOSYS, f"libseccomp is missing or too old ({error}), and as our own user nothing runs without it"
        ) from None
    return denied


def _low(seccomp: Any, argument: int, value: int) -> Any:
    """That an argument is ``value``, of which the kernel reads 32 bits."""
    return seccomp.Arg(argument, seccomp.MASKED_EQ, 0xFFFFFFFF, value & 0xFFFFFFFF)


def everything_but(hidden: Sequence[str]) -> Iterator[str]:
    """The smallest set of places that covers everything except ``hidden``. Symbolic links are left out."""
    yield from _around("/", frozenset(hidden))


def _around(folder: str, hidden: frozenset[str]) -> Iterator[str]:
    if folder in hidden:
        return
    if not any(path.startswith(f"{folder.rstrip('/')}/") for path in hidden):
        yield folder
        return
    try:
        with os.scandir(folder) as entries:
            found = [entry.path for entry in entries if not entry.is_symlink()]
    except OSError:
        return  # nor can the program look there
    for path in found:
        yield from _around(path, hidden)


def _lies_in(path: str, places: Iterable[str]) -> bool:
    return any(path == place or path.startswith(f"{place.rstrip('/')}/") for place in places)


def has_seccomp() -> bool:
    """Whether libseccomp can be used."""
    try:
        _filter((), None)
    except (ImportError, OSError, RuntimeError):
        return False
    return True


def landlock_version() -> int:
    """The version of the kernel's Landlock; 0 when it has none, or does not use it."""
    return max(0, int(_libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)))


def _filter(calls: Iterable[str], writes: Iterable[int] | None) -> Any:
    """The filter, not yet loaded. Raises what pyseccomp does when libseccomp is missing or too old."""
    import pyseccomp as seccomp

    allowed = seccomp.SyscallFilter(seccomp.ERRNO(errno.EPERM))
    allowed.set_attr(seccomp.Attr.CTL_TSYNC, 1)
    for name in (*_RUNTIME, *calls):
        if seccomp.resolve_syscall(seccomp.Arch.NATIVE, name) >= 0:  # this architecture has it
            allowed.add_rule(seccomp.ALLOW, name)
    for name in ("mmap", "mprotect"):  # never code
        allowed.add_rule(seccomp.ALLOW, name, seccomp.Arg(2, seccomp.MASKED_EQ, _PROT_EXEC, 0))
    if writes is None:
        allowed.add_rule(seccomp.ALLOW, "write")
    else:
        for fd in {*writes, *_STDOUT_AND_STDERR}:
            allowed.add_rule(seccomp.ALLOW, "write", seccomp.Arg(0, seccomp.EQ, fd))
    return allowed


def _allow_sending(allowed: Any, socket: int) -> None:
    """Datagrams of this socket, and to switch off the offload that its interface turns out not to have."""
    import pyseccomp as seccomp

    this = seccomp.Arg(0, seccomp.EQ, socket)
    allowed.add_rule(seccomp.ALLOW, "sendto", this)
    option = seccomp.Arg(1, seccomp.EQ, _SOL_UDP), seccomp.Arg(2, seccomp.EQ, _UDP_SEGMENT)
    allowed.add_rule(seccomp.ALLOW, "setsockopt", this, *option)


def _allow_threads(allowed: Any) -> None:
    import pyseccomp as seccomp

    for name in _THREADS:
        allowed.add_rule(seccomp.ALLOW, name)
    allowed.add_rule(seccomp.ALLOW, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, _CLONE_THREAD, _CLONE_THREAD))
    allowed.add_rule(seccomp.ERRNO(errno.ENOSYS), "clone3")  # its flags cannot be seen: clone is taken instead


def _landlock_worker(changes: Sequence[Path], links: Sequence[Path], reads: Iterable[Path | int]) -> str:
    version = landlock_version()
    if not version:
        return "Landlock: this kernel does not have it, or does not use it"
    for path in changes:
        os.stat(path)  # what is not there now would be out of reach for good: better not to begin
    if version == 1 and changes:
        return "Landlock: version 1 forbids every rename between folders; Linux 5.19 has version 2"
    return _landlock(version, [(changes, _CHANGE), (links, _MAKE_SYM), (reads, _READ)])


def _landlock(version: int, rules: Iterable[tuple[Iterable[Path | int], int]], *, has_network: bool = False) -> str:
    """Put ``rules`` (places, and what is allowed in them) in force; returns why not."""
    handled = (1 << _HANDLED_FS[min(version, _NEWEST)]) - 1
    network = _NET if version >= 4 and not has_network else 0
    attributes = struct.pack("QQQ", handled, network, _SCOPED if version >= 6 else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = _checked(_CREATE_RULESET, attributes, ctypes.c_size_t(size), 0)
    try:
        for paths, access in rules:
            for path in paths:
                _allow(ruleset, path, access & handled)
        _checked(_RESTRICT_SELF, ruleset, 0)
    except OSError as error:
        return f"Landlock: the kernel refuses the rules ({error.strerror})"
    finally:
        os.close(ruleset)
    return ""


def _allow(ruleset: int, path: Path | int, access: int) -> None:
    try:
        place = path if isinstance(path, int) else os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # what this user cannot reach he is not given either; no stranger's path lifts the other rules
        return
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            access &= _OF_FILES
        _checked(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", access, place), 0)
    finally:
        os.close(place)


def _checked(number: int, *arguments: object) -> int:
    result = int(_libc.syscall(number, *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), f"prctl {option}")
