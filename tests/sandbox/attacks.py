"""What whoever takes a worker over would try next. ``hijack.py`` starts this in the place of a worker.

Each attack is one system call, made past Python. With arguments that the kernel would refuse anyway, so that nothing
happens where it is not forbidden: then the answer is another one than ``EPERM``.
"""

import ctypes
import errno
import fcntl
import importlib
import json
import os
import struct
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import pyseccomp

NOBODY: Final = 0x3FFFFF  # no process has this number
AT_FDCWD: Final = -100
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long  # an address is none of a C int
_page = ctypes.create_string_buffer(8192)
_message = ctypes.create_string_buffer(256)

PATH, TARGET = b"/etc/hostname\0", f"/tmp/diode-stolen-{os.getpid()}\0".encode()
READ_ONLY, WRITE_NEW = 0, 0o102
SOMEWHERE: Final = struct.pack("=HHI8x", 2, 0x2823, 0x0100007F)  # 127.0.0.1, port 9000


def call(name: str, *arguments: Any) -> str:
    """Make a system call; what came of it, as the name of an error, or ``done``."""
    number = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name)
    ctypes.set_errno(0)
    result = _libc.syscall(number, *arguments)
    return "done" if result >= 0 else errno.errorcode[ctypes.get_errno()]


NETWORK: Final[dict[str, tuple[Any, ...]]] = {
    "socket, UDP": ("socket", 2, 2, 0),
    "socket, TCP": ("socket", 2, 1, 0),
    "socket, Unix": ("socket", 1, 2, 0),
    "socket, packets": ("socket", 17, 3, 0),
    "socketpair": ("socketpair", 1, 1, 0, _page),
    "sendto": ("sendto", "SOCKET", b"x", 1, 0, SOMEWHERE, 16),
    "sendmsg": ("sendmsg", "SOCKET", _message, 0),
    "sendmmsg": ("sendmmsg", "SOCKET", _message, 1, 0),
    "connect": ("connect", "SOCKET", SOMEWHERE, 16),
    "bind": ("bind", "SOCKET", SOMEWHERE, 16),
    "listen": ("listen", "SOCKET", 1),
    "io_uring_setup": ("io_uring_setup", 0, _page),
    "splice": ("splice", "PIPE", None, "SOCKET", None, 1, 2),
    "tee": ("tee", "PIPE", "PIPE", 1, 2),
    "vmsplice": ("vmsplice", "SOCKET", _page, 0, 0),
}
PROCESSES: Final[dict[str, tuple[Any, ...]]] = {
    "fork": ("clone", 0x00020000 | 0x00000200 | 17, None, None, None, None),  # flags that contradict each other
    "execve": ("execve", b"/nowhere\0", None, None),
    "execveat": ("execveat", AT_FDCWD, b"/nowhere\0", None, None, 0),
    "ptrace": ("ptrace", 16, NOBODY, None, None),
    "process_vm_readv": ("process_vm_readv", NOBODY, None, 0, None, 0, 0),
    "process_vm_writev": ("process_vm_writev", NOBODY, None, 0, None, 0, 0),
    "kill": ("kill", NOBODY, 0),
    "pidfd_open": ("pidfd_open", NOBODY, 0),
    "pidfd_getfd": ("pidfd_getfd", "PIPE", 0, 0),
    "prctl": ("prctl", 4, 2, 0, 0, 0),  # PR_SET_DUMPABLE with a value that there is not
    "unshare": ("unshare", 1),
    "setns": ("setns", "PIPE", 0),
    "mount": ("mount", b"/nowhere\0", b"/nowhere\0", None, 0, None),
    "bpf": ("bpf", 99, _page, 8),
    "perf_event_open": ("perf_event_open", _page, NOBODY, -1, -1, 0),
    "userfaultfd": ("userfaultfd", 0xFFFF),
    "keyctl": ("keyctl", 999, 0, 0, 0, 0),
    "init_module": ("init_module", _page, 0, b"\0"),
    "memfd_create": ("memfd_create", b"x\0", 0xFFFF),
    "mmap of code": ("mmap", None, ctypes.c_size_t(4096), 5, 0x22, -1, ctypes.c_size_t(0)),
}
OUTSIDE: Final[dict[str, tuple[Any, ...]]] = {
    "read a file": ("openat", AT_FDCWD, PATH, READ_ONLY, 0),
    "make a file": ("openat", AT_FDCWD, TARGET, WRITE_NEW, 0o600),
    "openat2": ("openat2", AT_FDCWD, PATH, bytes(24), 24),
    "make a link": ("symlinkat", PATH, AT_FDCWD, TARGET),
    "make a device": ("mknodat", AT_FDCWD, TARGET, 0o020600, 0x0105),
    "open_by_handle_at": ("open_by_handle_at", AT_FDCWD, bytes(8), 0),
    "chroot": ("chroot", b"/nowhere\0"),
}
ITS_OWN: Final[dict[str, tuple[Any, ...]]] = {  # of what it holds: by these, something could leave
    "write to the socket": ("write", "SOCKET", b"x", 0),
    "writev to the socket": ("writev", "SOCKET", None, 0),
    "pwrite to the socket": ("pwrite64", "SOCKET", b"x", 0, 0),
    "sendfile": ("sendfile", "SOCKET", "PIPE", None, 0),
    "dup": ("dup", "SOCKET"),
    "dup2": ("dup3", "SOCKET", "PIPE", 0xFFFF),
    "fcntl": ("fcntl", "SOCKET", 1),
    "setsockopt": ("setsockopt", "SOCKET", 1, 9999, _page, 4),
    "ioctl": ("ioctl", "SOCKET", 0x8936, 0),
}
SENDING: Final[dict[str, tuple[Any, ...]]] = {  # what transmit has a socket for, turned another way
    "sendto by another descriptor": ("sendto", "PIPE", b"x", 1, 0, SOMEWHERE, 16),
    "receive": ("recvfrom", "SOCKET", _page, 1, 0x40, None, None),
    "recvmsg": ("recvmsg", "SOCKET", _message, 0x40),
    "an option of the socket's IP": ("setsockopt", "SOCKET", 0, 9999, _page, 4),
    "accept": ("accept4", "SOCKET", None, None, 0),
}
READING: Final[dict[str, tuple[Any, ...]]] = {  # of a worker that reads files: it changes none
    "write to another descriptor": ("write", "PIPE", b"x", 1),
    "pwrite": ("pwrite64", "SOCKET", b"x", 1, 0),
    "sendfile": ("sendfile", "SOCKET", "PIPE", None, 0),
    "ftruncate": ("ftruncate", "SOCKET", 0),
    "rename": ("renameat2", AT_FDCWD, b"/nowhere\0", AT_FDCWD, TARGET, 0),
    "remove": ("unlinkat", AT_FDCWD, b"/nowhere\0", 0),
    "chmod": ("fchmodat", AT_FDCWD, b"/nowhere\0", 0o777),
}
SHARED: Final[dict[str, tuple[Any, ...]]] = {  # a memfd that another process maps: by its size it would be killed
    "shrink shared memory": ("ftruncate", "SHARED", ctypes.c_long(0)),
    "grow shared memory": ("ftruncate", "SHARED", ctypes.c_long(1 << 40)),
    "seal shared memory": ("fcntl", "SHARED", fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE),
}
PARSERS: Final = (
    "receiver.policy.examine",
    "receiver.describe.worker",
    "sender.intake.examine",
)  # attacked by what they parse, in tests of their own
ATTACKS: Final = {
    "receiver.transport.listen": NETWORK | PROCESSES | OUTSIDE | ITS_OWN | SHARED,
    "receiver.transport.assemble": NETWORK
    | PROCESSES
    | OUTSIDE
    | {name: ITS_OWN[name] for name in ("pwrite to the socket", "sendfile")}
    | SHARED,
    "receiver.store.worker": NETWORK | PROCESSES | OUTSIDE | SHARED,
    "sender.transport.transmit": {name: how for name, how in NETWORK.items() if name != "sendto"}
    | PROCESSES
    | OUTSIDE
    | ITS_OWN
    | SENDING
    | SHARED,
    "sender.transport.encode": NETWORK | PROCESSES | OUTSIDE | READING | SHARED,
    # its socket is the one that files are handed through; see taken_intake.py
    "sender.intake.examine": NETWORK | PROCESSES | OUTSIDE | READING,
    "receiver.policy.examine": {  # of its child, whose one descriptor is a pipe; see taken.py
        name: how
        for name, how in (NETWORK | PROCESSES | OUTSIDE | READING).items()
        if name != "write to another descriptor"
    },
    # of its child, which may write into a folder of its own: see taken_describe.py
    "receiver.describe.worker": NETWORK | PROCESSES | OUTSIDE,
}


def main() -> None:
    """As a worker, confined or not: attack instead of working, and say what came. ``PIPES MODULE MODE FILES``."""
    module, mode, files = sys.argv[2:5]
    _forget_tests()
    worker: Any = importlib.import_module(module)  # its names are replaced below
    real = worker.start_worker
    known: dict[str, Any] = {}

    def start_worker(*arguments: Any, **options: Any) -> Any:
        settings, control = real(*arguments, **options)
        known.update(asdict(settings), control_read=control.read_fd, control_write=control.write_fd)
        known.update(known.pop("pipes", {}))
        return settings, control

    def attack(_: object) -> None:
        places = {
            "SOCKET": known.get("socket", known["control_write"]),
            "PIPE": known["control_read"],
            "SHARED": known.get("arena", known.get("ring")),
        }
        for name, (system_call, *arguments) in ATTACKS[module].items():
            _say(module, name, call(system_call, *(places.get(a, a) if isinstance(a, str) else a for a in arguments)))
        for path in json.loads(files):
            _say(module, f"read {path}", call("openat", AT_FDCWD, path.encode() + b"\0", READ_ONLY, 0))
        _say(module, "over", "")
        os.read(known["control_read"], 1)

    (kind,) = (
        each
        for each in vars(worker).values()
        if isinstance(each, type) and each.__module__ == module and hasattr(each, "run")
    )
    kind.run = attack
    worker.start_worker = start_worker
    if mode == "free":
        worker.confine = lambda *_, **__: []
    worker.main()


def _forget_tests() -> None:
    """The folder that this was imported from is none that a worker has, unless its own code lies there."""
    from diode.process import programs

    tests = str(Path(__file__).parents[2])
    if programs._root() != tests:
        sys.path[:] = [path for path in sys.path if path != tests]


def _say(module: str, name: str, outcome: str) -> None:
    print(json.dumps({"attack": name, "module": module, "outcome": outcome}), file=sys.stderr, flush=True)
