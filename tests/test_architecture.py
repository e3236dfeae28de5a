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

# A room imports only what stands above its line. A room is a folder, or a file at the top of its package.
LADDER = """
diode.errors diode.log diode.content diode.core
diode.formats
diode.protocol diode.storage diode.layouts
diode.bundle diode.net diode.process diode.identity
diode.trust diode.control
diode.audit diode.console | receiver.messages sender.records
diode.config | sender.messages sender.ledger receiver.settings receiver.catalogue
diode.doctor diode.lab | sender.closure sender.outbox sender.events receiver.ledger receiver.describe
diode.commands | sender.intake sender.staging receiver.spool
diode.cli | sender.pack receiver.inbox
| sender.transport sender.recovery sender.media receiver.policy receiver.transport
| sender.watching sender.supervisor receiver.release receiver.media
| sender.control receiver.promotion
| sender.daemon receiver.events receiver.store
| sender.commands receiver.peer
| sender.cli receiver.recovery
| receiver.supervisor receiver.control
| receiver.daemon receiver.gateway receiver.ingest
| receiver.commands
| receiver.cli
"""
SIDES_STAND_ABOVE = "diode.config"  # what lies above it of `diode` is the `diode` command's alone

CORE = (
    "diode.formats.",
    "diode.protocol.",
    "diode.bundle.",
    "diode.audit.chain",
    "diode.audit.syslog",
    "diode.core.coding",
    "diode.trust.roles",
    "receiver.store.judge",
)
WORLD = {
    *("asyncio", "datetime", "multiprocessing", "os", "pathlib", "random", "secrets", "select", "shutil", "signal"),
    *("socket", "structlog", "subprocess", "tempfile", "threading", "time"),
}
TAKES = {
    "diode.protocol.isal": {"pathlib"},  # where its library lies
    "diode.protocol.fec": {"time"},  # which engine is faster on this CPU
    "diode.formats.timestamps": {"time"},  # the clock that the rooms above read; the core does not
}

# name -> the only modules that may import it, and what for
SOLE_IMPORTERS = {
    "zfec": {"diode.protocol.zfec_code"},
    "pyeclib": {"diode.protocol.isal"},
    "cryptography.hazmat.primitives.ciphers": {"diode.protocol.auth"},
    "asyncio_dgram": {
        "diode.net.portable",  # the portable path
        "sender.transport.heartbeats",  # heartbeats
    },
    "socket": {
        "diode.net.address",  # asks the resolver
        "diode.net.sockets",  # opens them
        "diode.net.batched",  # sends and reads on one path
        "diode.net.portable",  # and on the other, as the choice of path has them
        "diode.net.udp",
        "diode.process.systemd",  # local ones only, to the service manager
        "diode.lab.bench",  # measures what the machine can do at best
        "sender.transport.transmit",  # wraps the descriptor it inherits
        "receiver.transport.listen",  # likewise
        "diode.doctor.rogue",  # tries to send where nothing may leave
        "sender.intake.clamd",  # local ones only, to a scanner
        "receiver.gateway.server.listening",  # opens, or takes from systemd, what clients of the enclave connect to
        "receiver.gateway.server.serve",  # wraps the descriptors that it inherits
        "receiver.gateway.server.engine",  # accepts clients on them
        "receiver.gateway.server.connection",  # ends a connection at once
        "receiver.gateway.server.interfaces",  # asks the kernel for this host's addresses
        "receiver.gateway.server.plan",  # this host's name
        "diode.process.peer",  # asks the kernel who is at the other end of a local one
        "diode.control.ask",  # local ones only: a command asks the daemon of its side
        "diode.control.door",  # and the daemon answers
        "diode.process.handing",  # a pair between our own processes, by which files are handed on
    },
    "sqlite3": {"diode.storage.connection", "diode.storage.index_file", "receiver.ledger.bundles"},
    "structlog": {
        "diode.log",  # loads it when the first line is logged
        "diode.console.logs",  # says how lines look
    },
    "securesystemslib.dsse": {"diode.formats.signers"},  # which keeps boto3 out
    "securesystemslib.signer": {"diode.formats.signers"},
    "pyseccomp": {"diode.process.sandbox"},
    "sigstore": {"sender.intake.sigstore"},
    "lz4": {"diode.content.archives.decoders"},
    "boto3": {"receiver.ingest.objects"},
    "botocore": {"receiver.ingest.objects"},
    "mlflow": {"receiver.ingest.mlflow_models"},
    "signxml": {"diode.identity.saml"},
    "lxml": {"diode.identity.saml"},
    "joserfc": {"diode.identity.jwks"},
    "ldif": {"diode.identity.ldif"},
    "backports": {"diode.content.archives.decoders"},
}

READS = {"recv", "recv_into", "recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into", "sock_recv", "sock_recvfrom"}
LOCAL_READS = {"sender.intake.clamd": {"recv"}}  # a scanner on this host answers; test_scanner_is_local
READERS = {"BatchedReader", "PortableReader", "choose_reader", "open_receiver", "adopt_receiver"}
WRITES = {"sendto", "sendmsg", "sendmsg_afalg", "sendall", "sendfile", "sock_sendto", "sock_sendall", "connect"}
SENDERS = {"BatchedSender", "PortableSender", "choose_sender", "open_sender"}
MAILBOXES = {"control", "mailbox", "_control", "_assemble", "_store"}  # pipes between a daemon's own processes
STORES = {"_objects"}  # a bucket of the enclave: what a command fills, see test_only_its_command_pushes_into_stores


@cache
def tree_of(module: str) -> ast.Module:
    """The parsed source of a module."""
    return ast.parse(MODULES[module].read_bytes())


@cache
def imports_of(module: str) -> frozenset[str]:
    """Dotted names a module imports anywhere: ``from a import b`` gives ``a`` and ``a.b``. Relative ones made whole."""
    names: set[str] = set()
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


def ours(module: str) -> frozenset[str]:
    """Modules of this project that ``module`` imports directly."""
    return (imports_of(module) & MODULES.keys()) - {module}


def method_calls(module: str) -> Iterator[tuple[str, str]]:
    """(last name of the object, method) of each method call: ``self._control.send(x)`` gives (_control, send)."""
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            name = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
            yield name, node.func.attr


def means_of(module: str, names: set[str]) -> set[str]:
    """Those of ``names`` that ``module`` takes out of ``diode.net``; who takes a file of it whole has them all."""
    files = {name for name in MODULES if room_of(name) == "diode.net"}
    taken = {name for name in imports_of(module) if name.rpartition(".")[0] in files}
    return {name for name in taken if name.rpartition(".")[2] in names | {"*"}} | taken_whole(module, "diode.net")


def taken_whole(module: str, room: str) -> set[str]:
    """Files of ``room`` that ``module`` imports as such: ``import room.file``, or ``from room import file``."""
    lines = [node for node in ast.walk(tree_of(module)) if isinstance(node, ast.Import | ast.ImportFrom)]
    by_name = {alias.name for node in lines if isinstance(node, ast.Import) for alias in node.names}
    out_of = [node for node in lines if isinstance(node, ast.ImportFrom) and node.module == room]
    return {name for name in by_name if name.startswith(room)} | {alias.name for node in out_of for alias in node.names}


def of(package: str) -> list[str]:
    """Modules of one package."""
    return [module for module in MODULES if module.split(".")[0] == package]


def room_of(module: str) -> str:
    """``diode.net`` of ``diode.net.udp``; a file at the top of its package is a room of its own."""
    return ".".join(module.split(".")[:2])


def rungs() -> dict[str, int]:
    """How high each room stands."""
    lines = LADDER.strip().splitlines()
    return {room: rung for rung, line in enumerate(lines) for room in line.replace("|", " ").split()}


def test_folders_state_the_ladder() -> None:
    """A room imports only rooms that stand above it in the table, and never the other side."""
    high = rungs()
    reach = high[SIDES_STAND_ABOVE]
    for module in sorted(module for module in MODULES if MODULES[module].name != "__init__.py"):
        side, room = module.split(".", 1)[0], room_of(module)
        for other in {*map(room_of, ours(module))} - {room}:
            assert other.split(".", 1)[0] in {"diode", side}, f"{module} imports {other}, of another package"
            assert high[other] < high[room], f"{module} imports {other}, which does not stand above it"
            is_low = side == "diode" or not other.startswith("diode.") or high[other] <= reach
            assert is_low, f"{module} imports {other}"


@pytest.mark.parametrize("package", PACKAGES)
def test_no_product_imports_tests(package: str) -> None:
    """What is installed does without the tests."""
    assert [] == [module for module in of(package) if is_imported("tests", module)]


def test_packages_hold_a_docstring_and_nothing_else() -> None:
    """To import one room loads no other."""
    fuller = {name for name in MODULES if MODULES[name].name == "__init__.py" and len(tree_of(name).body) > 1}
    assert set() == fuller


def test_imports_have_no_cycle() -> None:
    """Every module can be understood after the ones that it imports."""
    below = {module: ours(module) for module in MODULES}
    while ready := {module for module, needs in below.items() if not needs & below.keys()}:
        below = {module: needs for module, needs in below.items() if module not in ready}
    assert {} == below


@pytest.mark.parametrize("module", [module for module in MODULES if module.startswith(CORE)])
def test_core_knows_no_world(module: str) -> None:
    """The rooms of the core have no clock, no socket, no process and no folders, but for what the table says."""
    found = {name for name in WORLD if is_imported(name, module)}
    assert found <= TAKES.get(module, set())
    assert not is_imported("diode.formats.timestamps.now_utc", module)


@pytest.mark.parametrize("module", [module for module in MODULES if module.startswith(CORE)])
def test_core_stands_on_core_alone(module: str) -> None:
    """What the core imports of this project is core, or the names of what can go wrong."""
    assert set() == {name for name in ours(module) if not name.startswith(CORE)} - {"diode.errors"}


@pytest.mark.parametrize(("name", "allowed"), SOLE_IMPORTERS.items())
def test_one_room_per_library(name: str, allowed: set[str]) -> None:
    """What is dangerous or replaceable is imported where the rules say, and nowhere else."""
    importers = {module for module in MODULES if is_imported(name, module)}
    assert importers <= allowed


def test_sender_never_receives() -> None:
    """Nothing on the staging side reads a socket, or has the means to."""
    for module in of("sender"):
        reads = {method for _, method in method_calls(module) if method in READS - LOCAL_READS.get(module, set())}
        assert (module, set(), set()) == (module, reads, means_of(module, READERS))


def test_scanner_is_local() -> None:
    """The one room of the staging side that reads a socket opens Unix sockets and no others."""
    made = [node for node in ast.walk(tree_of("sender.intake.clamd")) if isinstance(node, ast.Call)]
    opened = [ast.unparse(node.args[0]) for node in made if ast.unparse(node.func) == "socket.socket"]
    families = set(re.findall(r"AF_\w+", MODULES["sender.intake.clamd"].read_text()))
    assert (["socket.AF_UNIX"], {"AF_UNIX"}) == (opened, families)


LINES_FOR_CLIENTS = "receiver.gateway.clients."  # what people type; a recall's command shows it, too
GATEWAY = "receiver.gateway."  # answers clients of the enclave: a process of its own, never on the diode's interface


def test_receiver_never_sends() -> None:
    """Nothing on the enclave side writes to a socket, or has the means to; messages go to pipes."""
    for module in of("receiver"):
        if module.startswith(GATEWAY):
            continue
        calls = set(method_calls(module))
        writes = {call for call in calls if call[1] in WRITES and call != ("sqlite3", "connect")}
        ours = MAILBOXES | (STORES if module.startswith(INGEST) else set())
        posts = {call for call in calls if call[1] == "send" and call[0] not in ours}
        assert (module, set(), set(), set()) == (module, writes, posts, means_of(module, SENDERS))


def test_only_its_command_starts_the_gateway() -> None:
    """Daemon and workers, which hear the diode, hold nothing of what answers clients."""
    serving = {
        module
        for module in of("receiver")
        if not module.startswith(GATEWAY)
        and any(one.startswith(GATEWAY) and not one.startswith(LINES_FOR_CLIENTS) for one in ours(module))
    }
    assert serving <= {"receiver.commands.gateway"}


@pytest.mark.parametrize("module", [module for module in of("receiver") if module.startswith(GATEWAY)])
def test_the_gateway_opens_no_ledger(module: str) -> None:
    """A reader's lock would hold up the daemon. Nor has it the means by which the diode is heard or spoken to."""
    rooms = {room_of(one) for one in ours(module)}
    assert not rooms & {"receiver.ledger", "receiver.store", "receiver.daemon", "receiver.supervisor"}
    assert set() == means_of(module, SENDERS | READERS)


INGEST = "receiver.ingest."  # pushes into stores of the enclave: a command's work, never the daemon's


def test_only_its_command_pushes_into_stores() -> None:
    """Daemon, workers and gateway hold nothing of what writes into registries and buckets."""
    others = [module for module in of("receiver") if not module.startswith(INGEST)]
    pushing = {module for module in others if any(one.startswith(INGEST) for one in ours(module))}
    assert pushing <= {"receiver.commands.ingest"}


BEHIND_LISTEN = ("receiver.store.", "receiver.spool.", "receiver.policy.", "receiver.transport.assemble")


@pytest.mark.parametrize("module", [module for module in MODULES if module.startswith(BEHIND_LISTEN)])
def test_disk_and_network_are_apart(module: str) -> None:
    """The processes behind ``listen`` use neither sockets nor the room that does."""
    assert [] == [name for name in ("socket", "diode.net", "asyncio_dgram") if is_imported(name, module)]


@pytest.mark.skipif(
    "receiver.transport.listen" not in MODULES, reason="receiver/transport/listen.py does not exist yet"
)
def test_listen_loads_little() -> None:
    """The process that strangers talk to has no numpy, no paths, no parser and no keys in it."""
    heavy = (
        "numpy",
        "pathlib",
        "asyncio",
        "pydantic",
        "cryptography",
        "zfec",
        "sqlite3",
        "diode.protocol.auth",
        "diode.protocol.wire",
    )
    program = f"import sys, receiver.transport.listen; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-S", "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ("[]", "") == (done.stdout.strip(), done.stderr)


READS_ONLY = ("numpy", "structlog", "asyncio", "rich", "securesystemslib", "cryptography", "pydantic_settings")
LOADS_NONE_OF = {
    "diode.audit.verify": ("securesystemslib", "boto3"),
    "diode.config.load": (*READS_ONLY, "diode.content.kinds", "sqlite3"),
    "diode.formats.signers": ("boto3", "numpy"),
    "diode.trust.keys": ("securesystemslib", "boto3"),
    "receiver.commands.catalogue": (*READS_ONLY, "diode.content.kinds"),
    "receiver.commands.life": READS_ONLY,
    "receiver.commands.listing": READS_ONLY,
    "receiver.commands.promotion": (*READS_ONLY[:4], "pydantic_settings", "diode.content.kinds"),
    "receiver.commands.status": (*READS_ONLY[:5], "pydantic_settings", "diode.content.kinds"),
    "receiver.describe.worker": (*READS_ONLY[:4], "pydantic_settings", "diode.content.kinds"),
    "sender.commands.life": READS_ONLY,
    "sender.commands.listing": READS_ONLY,
    "sender.commands.status": READS_ONLY,
}


@pytest.mark.parametrize("module", LOADS_NONE_OF)
def test_who_needs_little_loads_little(module: str) -> None:
    """Commands wait for what they import, and each test of whole daemons starts many processes."""
    heavy = LOADS_NONE_OF[module]
    program = f"import sys, {module}; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ("[]", "") == (done.stdout.strip(), done.stderr)


PRINTS = {"print", "input", "Console", "rich.print", "getpass"}
PRINTS |= {f"typer.{name}" for name in ("echo", "secho", "echo_via_pager", "confirm", "prompt")}
PRINTS |= {f"traceback.{name}" for name in ("print_exc", "print_exception", "print_stack", "print_tb")}
PRINTS |= {f"sys.{stream}.{name}" for stream in ("stdout", "stderr") for name in ("write", "writelines", "buffer")}
PRINTS |= {f"sys.__{stream}__" for stream in ("stdout", "stderr")}


BUILDS = "diode.core.build"  # for make and pip, before anything is installed


def test_nobody_prints_but_the_terminal() -> None:
    """What is printed, drawn or asked is escaped in one place; ``diode.console.logs`` is the other way out."""
    for module in sorted(MODULES.keys() - {"diode.console.terminal", BUILDS}):
        assert (module, set()) == (module, printed_by(module))


def printed_by(module: str) -> set[str]:
    """The ways out that a module names."""
    used = set()
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Attribute):
            used.add(ast.unparse(node))
        elif isinstance(node, ast.Call):
            used.add(ast.unparse(node.func).removeprefix("rich.console."))
    return used & PRINTS


def test_every_room_is_on_the_page() -> None:
    """docs/architecture.md names every room, and none that does not exist."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    named = set(re.findall(r"^\| `((?:diode|sender|receiver)/[\w.]+)/?` \|", page, flags=re.MULTILINE))
    files = {path.relative_to(ROOT) for path in MODULES.values()}
    exist = {str(Path(*path.parts[:2])) for path in files if path.name != "__init__.py"}
    assert (set(), set()) == (exist - named, named - exist)


@pytest.mark.parametrize(
    "room", sorted({path.parent for path in MODULES.values() if len(path.parts) - len(ROOT.parts) > 2})
)
def test_a_room_says_what_is_in_it(room: Path) -> None:
    """The docstring of a folder names every file in it, and none that does not exist."""
    said = ast.get_docstring(ast.parse((room / "__init__.py").read_bytes())) or ""
    named = set(re.findall(r"^- ``(\w+)``:", said, flags=re.MULTILINE))
    assert {path.stem for path in room.glob("*.py")} - {"__init__"} == named
