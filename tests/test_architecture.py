"""The import ladder and the sole-importer rules (docs/architecture.md), read from the source by ``ast``."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("diode", "sender", "receiver")
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}

CORE = {
    f"diode.{name}"
    for name in (
        *("errors", "escape", "wire", "geometry", "fec", "auth", "digest", "heartbeat", "gate", "runs"),
        *("encoder", "assembler", "pacing", "manifest", "files", "envelope", "trust", "chain", "syslog"),
        *("moments", "strict_json"),
    )
}
WORLD = {
    *("asyncio", "datetime", "multiprocessing", "os", "pathlib", "random", "secrets", "select", "shutil", "signal"),
    *("socket", "structlog", "subprocess", "tempfile", "threading", "time"),
}

# name -> the only modules that may import it, and what for
SOLE_IMPORTERS = {
    "zfec": {"diode.fec"},
    "pyeclib": {"diode.fec"},
    "cryptography.hazmat.primitives.ciphers": {"diode.auth"},
    "asyncio_dgram": {
        "diode.udp",  # the portable path
        "sender.heart",  # heartbeats
    },
    "socket": {
        "diode.udp",
        "diode.emulator",
        "diode.systemd",  # local ones only, to the service manager
        "diode.bench",  # measures what the machine can do at best
        "sender.transmit",  # wraps the descriptor it inherits
        "receiver.listen",  # likewise
        "diode.rogue",  # tries to send where nothing may leave
        "sender.intake.clamd",  # local ones only, to a scanner
        "diode.handing",  # a pair between our own processes, by which files are handed on
    },
    "sqlite3": {"diode.database", "receiver.ledger"},
    "pyseccomp": {"diode.sandbox"},
    "sigstore": {"sender.intake.sigstore"},
    "lz4": {"diode.content.archives.decoders"},
    "backports": {"diode.content.archives.decoders"},
}

READS = {"recv", "recv_into", "recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into", "sock_recv", "sock_recvfrom"}
LOCAL_READS = {"sender.intake.clamd": {"recv"}}  # a scanner on this host answers; test_scanner_is_local
READERS = {"BatchedReader", "PortableReader", "choose_reader", "open_receiver", "adopt_receiver"}
WRITES = {"sendto", "sendmsg", "sendmsg_afalg", "sendall", "sendfile", "sock_sendto", "sock_sendall", "connect"}
SENDERS = {"BatchedSender", "PortableSender", "choose_sender", "open_sender"}
MAILBOXES = {"control", "mailbox", "_control", "_assemble", "_store"}  # pipes between a daemon's own processes


@cache
def tree_of(module: str) -> ast.Module:
    """The parsed source of a module."""
    return ast.parse(MODULES[module].read_bytes())


@cache
def imports_of(module: str) -> frozenset[str]:
    """Dotted names a module imports anywhere: ``from a import b`` gives ``a`` and ``a.b``. Relative ones made whole."""
    names = set()
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = module.split(".")[: -node.level] if node.level else []
            base = ".".join([*package, *([node.module] if node.module else [])])
            names.update({base, *(f"{base}.{alias.name}" for alias in node.names)})
    return frozenset(names)


def is_imported(name: str, module: str) -> bool:
    """Whether ``module`` imports ``name`` or something inside it."""
    return any(imported == name or imported.startswith(f"{name}.") for imported in imports_of(module))


def ours(module: str) -> set[str]:
    """Modules of this project that ``module`` imports directly."""
    return (imports_of(module) & MODULES.keys()) - {module}


def method_calls(module: str) -> Iterator[tuple[str, str]]:
    """(last name of the object, method) of each method call: ``self._control.send(x)`` gives (_control, send)."""
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            name = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
            yield name, node.func.attr


def of(package: str) -> list[str]:
    """Modules of one package."""
    return [module for module in MODULES if module.split(".")[0] == package]


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [("diode", ("sender", "receiver")), ("sender", ("receiver", "tests")), ("receiver", ("sender", "tests"))],
)
def test_arrows_point_one_way(package: str, forbidden: tuple[str, ...]) -> None:
    """Both sides import the link, the link imports neither, and the sides never import each other."""
    upward = {(module, name) for module in of(package) for name in forbidden if is_imported(name, module)}
    assert set() == upward


def test_imports_have_no_cycle() -> None:
    """Every module can be understood after the ones that it imports."""
    below = {module: ours(module) for module in MODULES}
    while ready := {module for module, needs in below.items() if not needs & below.keys()}:
        below = {module: needs for module, needs in below.items() if module not in ready}
    assert {} == below


@pytest.mark.parametrize("module", sorted(CORE & MODULES.keys()))
def test_core_knows_no_world(module: str) -> None:
    """The core has no clock, no socket, no process and no folders; only finding ISA-L's library takes a path."""
    found = {name for name in WORLD if is_imported(name, module)}
    assert (found - {"pathlib"} if module == "diode.fec" else found) == set()


@pytest.mark.parametrize("module", sorted(CORE & MODULES.keys()))
def test_core_stands_on_core_alone(module: str) -> None:
    """What the core imports of this project is core, or the allocator beside the memfds, which is arithmetic."""
    outside = {name for name in imports_of(module) if name.startswith("diode.memory.")} - {"diode.memory.Extents"}
    assert (set(), set()) == (ours(module) - CORE - {"diode.memory"}, outside)


@pytest.mark.parametrize(("name", "allowed"), SOLE_IMPORTERS.items())
def test_one_room_per_library(name: str, allowed: set[str]) -> None:
    """What is dangerous or replaceable is imported where the rules say, and nowhere else."""
    importers = {module for module in MODULES if is_imported(name, module)}
    assert importers <= allowed


@pytest.mark.parametrize("module", of("sender"))
def test_sender_never_receives(module: str) -> None:
    """Nothing on the staging side reads a socket, or has the means to."""
    reads = {method for _, method in method_calls(module) if method in READS - LOCAL_READS.get(module, set())}
    means = {name for name in READERS if is_imported(f"diode.udp.{name}", module)}
    assert (set(), set()) == (reads, means)


def test_scanner_is_local() -> None:
    """The one room of the staging side that reads a socket opens Unix sockets and no others."""
    made = [node for node in ast.walk(tree_of("sender.intake.clamd")) if isinstance(node, ast.Call)]
    opened = [ast.unparse(node.args[0]) for node in made if ast.unparse(node.func) == "socket.socket"]
    families = set(re.findall(r"AF_\w+", MODULES["sender.intake.clamd"].read_text()))
    assert (["socket.AF_UNIX"], {"AF_UNIX"}) == (opened, families)


@pytest.mark.parametrize("module", of("receiver"))
def test_receiver_never_sends(module: str) -> None:
    """Nothing on the enclave side writes to a socket, or has the means to; messages go to pipes."""
    calls = set(method_calls(module))
    writes = {call for call in calls if call[1] in WRITES and call != ("sqlite3", "connect")}
    posts = {call for call in calls if call[1] == "send" and call[0] not in MAILBOXES}
    means = {name for name in SENDERS if is_imported(f"diode.udp.{name}", module)}
    assert (set(), set(), set()) == (writes, posts, means)


@pytest.mark.parametrize("module", sorted({"receiver.store", "receiver.assemble"} & MODULES.keys()))
def test_disk_and_network_are_apart(module: str) -> None:
    """The processes behind ``listen`` use neither sockets nor the module that does."""
    assert [] == [name for name in ("socket", "diode.udp", "asyncio_dgram") if is_imported(name, module)]


@pytest.mark.skipif("receiver.listen" not in MODULES, reason="receiver/listen.py does not exist yet")
def test_listen_loads_little() -> None:
    """The process that strangers talk to has no numpy, no paths, no parser and no keys in it."""
    heavy = ("numpy", "pathlib", "asyncio", "pydantic", "cryptography", "zfec", "sqlite3", "diode.auth", "diode.wire")
    program = f"import sys, receiver.listen; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-S", "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ("[]", "") == (done.stdout.strip(), done.stderr)


PRINTS = {"print", "input", "Console", "rich.print", "getpass"}
PRINTS |= {f"typer.{name}" for name in ("echo", "secho", "echo_via_pager", "confirm", "prompt")}
PRINTS |= {f"traceback.{name}" for name in ("print_exc", "print_exception", "print_stack", "print_tb")}
PRINTS |= {f"sys.{stream}.{name}" for stream in ("stdout", "stderr") for name in ("write", "writelines", "buffer")}
PRINTS |= {f"sys.__{stream}__" for stream in ("stdout", "stderr")}


@pytest.mark.parametrize("module", sorted(MODULES.keys() - {"diode.console.terminal"}))
def test_nobody_prints_but_the_terminal(module: str) -> None:
    """What is printed, drawn or asked is escaped in one place; ``diode.log`` is the other way out, and escapes, too."""
    used = set()
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Attribute):
            used.add(ast.unparse(node))
        elif isinstance(node, ast.Call):
            used.add(ast.unparse(node.func).removeprefix("rich.console."))
    assert set() == used & PRINTS


def test_every_file_is_on_the_page() -> None:
    """docs/architecture.md names every file of the three packages, and none that does not exist."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    named = set(re.findall(r"`((?:diode|sender|receiver)/[\w/]+\.py)`", page))
    exist = {str(path.relative_to(ROOT)) for path in MODULES.values() if path.name != "__init__.py"}
    assert (set(), set()) == (exist - named, named - exist)
