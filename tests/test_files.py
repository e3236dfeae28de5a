"""Every call of both daemons that opens, makes, writes, renames or removes a file, held to one table.

What a stranger can name (an item of the outbox, a link beside it, a path in a bundle, what lies in the inbox) goes
through ``diode/storage/folder.py``. Each other call stands here with the reason why no stranger chose its name. A call
that is not here fails this test, wherever it is.
"""

import ast
import shutil
from collections.abc import Iterator

import pytest

from tests.test_architecture import MODULES, ours, tree_of

HELPER = "diode.storage.folder"
OF_MODULES = {
    "os": {
        *("open", "rename", "renames", "replace", "link", "symlink", "mkdir", "makedirs", "mkfifo", "mknod", "unlink"),
        *("remove", "rmdir", "removedirs", "chmod", "lchmod", "chown", "lchown", "truncate", "utime"),
        *("chdir", "fchdir", "chroot", "setxattr", "removexattr", "execv", "posix_spawn"),
    },
    "io": {"open", "open_code", "FileIO"},
    "shutil": None,
    "tempfile": None,
    "sqlite3": {"connect"},
    "np": {"fromfile", "memmap", "load", "save", "savez", "loadtxt", "savetxt", "genfromtxt"},
}
METHODS = {
    *("open", "read_text", "read_bytes", "write_text", "write_bytes", "mkdir", "unlink", "rmdir", "rename", "touch"),
    *("chmod", "lchmod", "symlink_to", "hardlink_to", "link_to", "tofile", "save", "renameat2", "syscall"),
}
NAMES = {"open", "FileIO", "mkstemp", "NamedTemporaryFile", "TemporaryFile", "rmtree", "copyfile", "copytree"}


def modules() -> list[str]:
    """All of both sides, and what they import of ``diode``."""
    found: set[str] = set()
    waiting = [module for module in MODULES if module.split(".")[0] in ("sender", "receiver")]
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += ours(module)
    return sorted(found - {HELPER})


def calls(module: str) -> Iterator[tuple[str, str]]:
    """(function, what) of each call; of the standard library's also where it is handed on as a function."""
    yield from _below(tree_of(module), "")


def _below(node: ast.AST, function: str) -> Iterator[tuple[str, str]]:
    for child in ast.iter_child_nodes(node):
        inner = function
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = f"{function}.{child.name}".lstrip(".")
        if (what := _what(child)) is not None:
            yield inner or "(module)", what
        yield from _below(child, inner)


def _what(node: ast.AST) -> str | None:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in OF_MODULES:
        names = OF_MODULES[node.value.id]
        return f"{node.value.id}.{node.attr}" if names is None or node.attr in names else None
    if not isinstance(node, ast.Call):
        return None
    function = node.func
    if isinstance(function, ast.Name):
        return function.id if function.id in NAMES else None
    if not isinstance(function, ast.Attribute) or _what(function) is not None:
        return None
    is_path_replace = function.attr == "replace" and len(node.args) == 1 and not node.keywords
    return f".{function.attr}" if function.attr in METHODS or is_path_replace else None


PERSON = "a path that a person named, in the configuration or in a command"
STATE = "below the state folder, which is the daemon's alone; names are ids and constants"
MEDIUM = "its own method, or a folder on a medium by its bundle id; what lies below goes through Folder"
BACKUP = "a backup's folder, which a person named; names are ids and constants"
INDEX = "the folder of cards and snapshots, which the daemon alone writes; names are ids and constants"
TABLE = "a file of a published bundle, by its signed path, which the worker's Files opens below its data"
AUDIT = "below the audit log's folder, which is the daemon's alone; names are numbers"
KERNEL = "a constant path of the kernel's"
GATEWAY_LOG = "the gateway's log folder, which a person named and the gateway alone writes; names are constants"
CORE = "the compiled core, beside the code that uses it"
OURS = "a folder of ours, opened by its name relative to a descriptor"
NO_FILE = "no file: something else of that name, or what stands in this table itself"

# module -> function -> (its calls, sorted, and why no stranger chose the names)
ALLOWED: dict[str, dict[str, tuple[str, str]]] = {
    "diode.core.build": {
        "build": (".chmod os.replace tempfile.TemporaryDirectory", CORE),
        "build_in_place": (".unlink", CORE),
    },
    "diode.core.library": {
        "_head": (".open", CORE),
    },
    "diode.protocol.assembler": {
        "Assembler.feed": (".touch", NO_FILE),
    },
    "diode.protocol.run_taker": {
        "RunTaker._end_stretch": (".touch", NO_FILE),
    },
    "diode.audit.log": {
        "AuditLog.__init__": (".mkdir", AUDIT),
        "AuditLog._locked": ("os.open", AUDIT),
        "AuditLog._take_back": ("os.open", AUDIT),
        "AuditLog._write": ("os.open", AUDIT),
        "_sync": ("os.open", AUDIT),
    },
    "diode.audit.entries_of": {
        "_entries_in": (".read_bytes", AUDIT),
    },
    "diode.audit.segments": {
        "_first_entry": (".open", AUDIT),
        "_read_all": (".open", AUDIT),
        "end_of": (".open", AUDIT),
        "ends_with": (".open", AUDIT),
        "line_of": (".open", AUDIT),
    },
    "diode.audit.verify": {
        "_read_at_rest": ("os.open", AUDIT),
        "lines_of": (".open", AUDIT),
        "read_service_keys": (".read_bytes", PERSON),
    },
    "diode.console.completion": {
        "_state": (".open", PERSON),
    },
    "diode.console.listing": {
        "label_columns": ("shutil.get_terminal_size", "it opens nothing: it asks how wide the terminal is"),
    },
    "sender.closure.shelf": {
        "FolderFile.sha256": (".open", "below a folder that a person named in `beside`; what was listed in it"),
        "FolderFiles.open": (".open", "below a folder that a person named in `beside`; what was listed in it"),
        "FolderFiles.read": (".open", NO_FILE),
    },
    "sender.closure.apt": {"_read": (".open", NO_FILE)},
    "sender.closure.apt_index": {"_chunks": (".open", NO_FILE)},
    "sender.closure.npm_lock": {"_digests": (".open", NO_FILE)},
    "sender.closure.pypi_pool": {"_build_needs": (".open", NO_FILE)},
    "diode.storage.backup": {
        "_seal": (".replace .unlink", BACKUP),
        "_use_seal": (".replace", BACKUP),
        "_copy_into": (".replace shutil.rmtree", BACKUP),
        "_make_anew": (".mkdir shutil.rmtree", BACKUP),
        "_set_aside": (".mkdir .replace", STATE),
        "back_up": (".mkdir", BACKUP),
        "restore": ("shutil.rmtree", STATE),
    },
    "diode.storage.backup_seal": {
        "copy_file": (".open open shutil.copystat", BACKUP),
        "write_seal": (".open", BACKUP),
    },
    "diode.config.load": {"load": (".read_text", PERSON), "load_either": (".read_text", PERSON)},
    "diode.storage.connection": {
        "Connection.__init__": (".mkdir sqlite3.connect", STATE),
        "Connection.copy_to": ("sqlite3.connect", BACKUP),
        "tables_of": ("sqlite3.connect", "no file: in memory"),
    },
    "diode.storage.durable": {
        "read_bounded": (".open", "opens the folder, by a path of ours or a person's; the file through Folder"),
        "WriteBack.__init__": ("os.open", OURS),
        "sync_folder": ("os.open", OURS),
        "write_durably": (".open", "opens the folder, by a path of ours or a person's; the file through Folder"),
    },
    "diode.storage.index_file": {
        "IndexFile.__init__": ("sqlite3.connect", INDEX),
        "write_index": (".rename .unlink .unlink os.open sqlite3.connect", INDEX),
    },
    "diode.trust.keys": {
        "read_private": (".read_bytes", PERSON),
        "read_public_key": (".read_bytes", PERSON),
        "write_private": (".mkdir os.open", PERSON),
    },
    "diode.process.judges": {
        "find_program": ("shutil.which", "a program that a person named, in folders of the system"),
        "let_in": (".chmod os.chown", "a folder of ours that holds what is judged; only its owner can replace it"),
    },
    "diode.process.warden": {
        "_children": ("open", "the kernel's list of this process's own children, below /proc"),
        "_children_by_table": ("open", "what the kernel says of a process, by its number below /proc"),
        "_let_go_of_pipes": ("os.open", "/dev/null"),
    },
    "diode.storage.links": {"folder_above": ("os.open", "above a folder of ours, by its descriptor and .. alone")},
    "diode.storage.openat2": {"openat2": (".syscall", "below a descriptor; the kernel refuses what leads out of it")},
    "diode.storage.locking": {
        "is_locked": (
            ".open os.open",
            "the folder: " + PERSON + "; ``lock`` in it, relative to its descriptor; no link",
        ),
        "lock_folder": (".open", PERSON),
        "lock_in": ("os.open", "``lock`` in a folder of ours, relative to its descriptor; no link"),
        "locked_as_it_is": ("os.open", PERSON),
    },
    "diode.protocol.admission": {"Admission._hear_mac": (".open", NO_FILE)},
    "diode.process.memory": {"reader_of": ("os.open", "a memfd of ours, through /proc/self/fd")},
    "diode.trust.published": {
        "_Examination._hash": ("os.open", "relative to the descriptor of its folder, no link followed")
    },
    "diode.config.link_key_rotation": {
        "replace_private": (".unlink os.open os.replace", PERSON),
        "retire_link": (".unlink", PERSON),
    },
    "diode.process.sandbox": {
        "_allow": ("os.open", "folders that the daemon's settings name"),
        "_checked": (".syscall", NO_FILE),
        "landlock_version": (".syscall", NO_FILE),
    },
    "diode.trust.document": {
        "_keys_of": (".read_text", PERSON),
        "build_document": (".read_text", PERSON),
    },
    "receiver.release.decisions": {
        "write_decision": (".open", PERSON),
    },
    "receiver.release.words": {
        "_read": (".open", "the folder of decisions or orders, in the state folder; the file through Folder"),
        "find_words": (".open", "the folder of decisions or orders, in the state folder; nothing is opened in it"),
    },
    "receiver.promotion.differences": {
        "_by_sums": (".open", "the inbox, by a person's path; its files through Folder")
    },
    "receiver.promotion.drill_report": {"ReportFiles.write": (".open", STATE)},
    "receiver.catalogue.takers": {
        "read_takes": (".open", GATEWAY_LOG),
        "last_taken": (".open", GATEWAY_LOG),
    },
    "receiver.promotion.obey": {
        "Orders._remove": (".open", "the folder of orders, in the state folder; the file through Folder"),
        "Orders.has_news": (".open", "the folder of orders, in the state folder; nothing is opened in it"),
        "Orders.look": (".open", "the folder of orders, in the state folder; nothing is opened in it"),
    },
    "receiver.promotion.shown": {"Shown.__init__": (".open", INDEX)},
    "receiver.policy.material": {
        "Material.judge": (".open .open", "opens the spool's folder, and a copy's; their files through Folder")
    },
    "receiver.transport.pipeline": {"_start_examine": (".open", STATE)},
    "receiver.policy.examine": {"judge": (".open", "opens the folder, in the spool; its files through Folder")},
    "diode.console.status_lines": {"terminal_width": ("shutil.get_terminal_size", NO_FILE)},
    "receiver.daemon": {"Receiver.run": (".open", "the control socket, by its own room")},
    "receiver.release.contents": {"held_facts": (".open", "a held bundle, by its row; its files through Folder")},
    "receiver.release.held": {
        "Verdicts.drop": (".open", "the folder of decisions, in the state folder"),
        "check_tree": (".open", OURS),
    },
    "receiver.describe.clamav": {"_version": (".open", "a path of the signed table, by the files of its bundle")},
    "receiver.describe.dates": {"_of_database": (".open", TABLE), "_of_metadata": (".open", TABLE)},
    "diode.layouts.package_json": {"package_of": (".open", TABLE)},
    "diode.layouts.python_package": {"metadata_of": (".open", TABLE)},
    "receiver.describe.upstream": {"_digests": (".open", TABLE)},
    "diode.layouts.oci_archives": {
        "archive_problem": (".open", TABLE),
        "folder_problem": (".open", TABLE),
    },
    "receiver.gateway.server.app": {"Gateway._opened": (".open", NO_FILE)},
    "receiver.gateway.check": {"unserved": (".open", GATEWAY_LOG)},
    "receiver.gateway.server.counts": {"Counts.__init__": (".open", GATEWAY_LOG)},
    "receiver.gateway.server.journal": {"Journal.__init__": (".open", GATEWAY_LOG)},
    "receiver.gateway.server.plan": {"_make_log_folder": (".mkdir os.chown", GATEWAY_LOG)},
    "receiver.gateway.server.serve": {"_save": (".save", NO_FILE), "_serve": (".save", NO_FILE)},
    "receiver.gateway.server.stored": {
        "Stored.open": (".open", "a channel's folder, by its name in the snapshot; what lies below goes through Folder")
    },
    "receiver.commands.catalogue_shown": {
        "_who_attested": (".open", "the inbox; what lies below it is opened by name")
    },
    "receiver.describe.data": {
        "BundleFiles._compute": (".open", "its own method, which goes through Folder"),
        "BundleFiles.read": (".open", "its own method, which goes through Folder"),
    },
    "receiver.describe.describing": {"describe": (".unlink", "a constant, in the child's own folder")},
    "receiver.describe.worker": {
        "Worker.__init__": (".open .open", INDEX),
        "Worker._ask_child": (".open", "the inbox; what lies below it is opened by name, a component at a time"),
        "Worker._put_in_place": ("os.rename", INDEX),
        "prepare_index": (".open", INDEX),
    },
    "receiver.supervisor.host_counts": {"_lines": (".read_text", KERNEL)},
    "receiver.supervisor.station": {"_prepare_index": (".mkdir", PERSON)},
    "receiver.store.describers": {
        "DescribingHere.__init__": (".open", INDEX),
        "DescribingHere.ask": (".open os.rename", "the inbox, through Folder; names are ids and constants"),
    },
    "receiver.store.describing": {"_cards_in": (".open", INDEX)},
    "receiver.media.handing": {"Handing._open": (".open", STATE), "Handing.give": ("os.link", STATE)},
    "receiver.media.importing": {
        "Importing.bring": (".open .open", MEDIUM),
        "Importing.in_order": (".open", MEDIUM),
        "Importing.open": (".open", MEDIUM),
    },
    "receiver.media.medium": {"Medium.__init__": (".open", PERSON)},
    "receiver.inbox.folder": {"Inbox.top": (".open", PERSON)},
    "receiver.promotion.orders": {"write_order": (".open", "the folder of orders, in the state folder")},
    "receiver.ingest.directory": {
        "Directory.__init__": (".open", PERSON),
        "Directory.point": ("os.unlink", "the link ``current``, relative to the descriptor of its folder"),
    },
    "receiver.ingest.hub_cache": {
        "HubCache.__init__": (".open", PERSON),
        "_link": ("os.symlink", "the last component of a signed path, in a folder of ours that is made component-wise"),
    },
    "receiver.ingest.item": {"Item.open": (".open", "the inbox; what lies below it is opened by openat2")},
    "receiver.ingest.journal": {"Journal.__init__": (".open", STATE)},
    "receiver.ingest.secrets": {
        "check_secret": (".open", PERSON),
        "read_secret": (".open", PERSON),
    },
    "receiver.ingest.shelf": {"_remove_empty": ("os.rmdir", "a component, relative to the descriptor of its folder")},
    "receiver.commands.ingest": {"_push_one": (".open", NO_FILE)},
    "receiver.ledger.slabs": {"boot_id": (".read_text", KERNEL)},
    "receiver.peer.requests": {
        "drop_request": (".open", STATE),
        "keep_request": (".open .save", "the state folder; the image is made in memory"),
    },
    "receiver.spool.tables": {
        "TableFile.chunks": (".open", NO_FILE),
        "TableFile.lines": (".open", NO_FILE),
        "TableFile.map": (".open", NO_FILE),
        "TableFile.maybe_size": (".open", NO_FILE),
        "TableFile.read": (".open", NO_FILE),
    },
    "receiver.store.begin": {"Beginning.take": (".open", NO_FILE)},
    "receiver.store.importing": {"Importing._folder": (".open", STATE)},
    "receiver.store.resume": {"Resuming._reopen": (".open", NO_FILE), "Resuming.resume": (".open", NO_FILE)},
    "receiver.store.worker": {"Store.__init__": (".open", NO_FILE)},
    "sender.media.export": {"_begin": (".open", PERSON)},
    "sender.pack.approval": {
        "Approvals._read": (".read_bytes", STATE),
        "_locked": ("os.open", STATE),
        "reject_waiting": ("shutil.rmtree", STATE),
    },
    "sender.pack.recalls": {
        "Recalls._drop": (".open", PERSON),
        "Recalls._locked": (".open", STATE),
    },
    "sender.recovery.backup": {
        "_copy_bundles": (".mkdir", BACKUP),
        "_copy_file": ("os.replace shutil.copy2", BACKUP),
        "back_up": ("shutil.rmtree", BACKUP),
        "restore.put_bundles": (".mkdir .rename shutil.rmtree", BACKUP),
    },
    "sender.commands.lag": {"dropped_in": (".open", PERSON)},
    "sender.commands.putting": {
        "_copy_file": (".open shutil.copyfileobj", "a file of the item through its Source, to a new one of a dot-name"),
        "put": (".open", PERSON),
    },
    "sender.commands.codes": {"_read_code": (".open", PERSON)},
    "sender.daemon": {"Sender._run_daemon": (".open .open .open", NO_FILE)},
    "sender.supervisor.beats": {"Voice.open": (".open", NO_FILE)},
    "sender.control.pauses": {"Pauses._keep": (".open", STATE), "_read": (".open", STATE)},
    "diode.control.ask": {"maybe_asking": (".open", STATE)},
    "diode.control.door": {
        "Door.open": (".open", STATE),
        "_bind": ("os.rename", "the socket, into place, relative to the descriptor of the state folder"),
    },
    "sender.transport.reading": {
        "Bundle.__init__": (".read_bytes", STATE),
    },
    "sender.pack.sources": {
        "ShownFiles.__init__": (".read_text", STATE),
        "SourceFiles.__init__": (".read_text np.fromfile", STATE),
        "_lines": (".open", STATE),
        "map_file": (".open", STATE),
    },
    "sender.transport.endings": {"Endings.cancel": ("shutil.rmtree", STATE)},
    "diode.config.identity": {"_read_pins": (".open", PERSON)},
    "diode.identity.kept": {
        "FolderFiles.read": (".open", "its own method, which goes through Folder"),
        "Kept._of": (".open", STATE),
        "Kept.put": (".open", STATE),
        "Kept.changes": (".open", STATE),
        "_copy": (".open", "its own method, which goes through Folder"),
    },
    "sender.intake.identity": {"IdentityCheck.keep": (".open", STATE)},
    "sender.intake.identity_child": {"answer": (".open .open", STATE)},
    "sender.intake.candidate": {
        "Candidate.chunks": (".open", NO_FILE),
        "Candidate.open_raw": (".open", NO_FILE),
        "Candidate.read": (".open", NO_FILE),
    },
    "sender.intake.closure": {
        "ItemFiles.open": (".open", "a file of the item, which its Source opens below its folder"),
        "ItemFiles.read": (".open", NO_FILE),
    },
    "sender.intake.examiner": {"examine_here": (".open", NO_FILE)},
    "sender.intake.detached": {"DetachedKey.__init__": (".read_bytes", PERSON)},
    "sender.intake.minisign": {"MinisignKey.__init__": (".read_bytes", PERSON)},
    "sender.intake.private_copy": {
        "PrivateCopy.make": (".open", PERSON),
        "PrivateCopy.remove": (".open", PERSON),
    },
    "sender.intake.model_signing": {"ModelKey.__init__": (".read_bytes", PERSON)},
    "sender.intake.sums": {"check_sums": (".open", NO_FILE)},
    "sender.pack.packer": {"Packer.prepare": (".open", STATE)},
    "sender.pack.retention": {
        "prune": ("shutil.rmtree", STATE),
    },
    "sender.outbox.aside": {"read_aside": (".open", PERSON)},
    "sender.outbox.folder": {
        "OutboxFolder.__init__": (".open", PERSON),
        "open_place": (".open .open", PERSON),
    },
    "sender.pack.packed": {
        "check_packed": (".read_bytes .read_text", STATE),
        "load_packed": (".read_bytes", STATE),
    },
    "sender.pack.moved": {
        "_replace": (".replace .write_bytes", STATE),
        "relocate": (".read_text np.fromfile", STATE),
        "adopt": (".read_text np.fromfile", STATE),
    },
    "sender.pack.writing": {
        "write_packed": (".mkdir .rename .write_bytes .write_bytes .write_bytes shutil.rmtree", STATE),
        "_write_origins": (".write_bytes .write_bytes .write_text", STATE),
    },
    "sender.staging.found": {
        "Found.digests": (".open", NO_FILE),
        "Found.head": (".open", NO_FILE),
        "Found.open": (".open", "a file of the item, which its Source opens below its folder"),
        "Found.read": (".open", NO_FILE),
    },
    "sender.staging.hub": {
        "_of_snapshot": (".open", PERSON),
        "snapshot_in": (".open", PERSON),
    },
    "sender.staging.stage": {"_put": (".open", STATE), "discard": (".open", STATE)},
    "sender.outbox.left": {"LeftList._write": (".open", STATE), "read_left": (".open", STATE)},
    "sender.outbox.mount": {"find_mount": (".open", KERNEL)},
    "sender.outbox.writers": {
        "_ask_kernel": ("os.open", "a file of the item, through no link, by its name in an open folder"),
        "_mapped": (".open", KERNEL),
        "_may_write": (".read_text", KERNEL),
    },
    "sender.outbox.hashing": {"hash_content": (".open", NO_FILE)},
    "sender.transport.reach": {
        "_places_of": (".open .read_text", STATE),
        "encode_reads": (".mkdir", STATE),
    },
    "sender.outbox.scan": {
        "Root.named": (".open", PERSON),
        "_top_of_all": ("os.open", "the root of all folders, without reading it"),
    },
}


@pytest.mark.parametrize("module", modules())
def test_files_are_opened_where_this_table_says(module: str) -> None:
    """No call more, and none less: a new one goes through Folder, or says here why it need not."""
    found: dict[str, list[str]] = {}
    for function, what in calls(module):
        found.setdefault(function, []).append(what)
    allowed = {function: entry[0].split() for function, entry in ALLOWED.get(module, {}).items()}
    assert allowed == {function: sorted(whats) for function, whats in found.items()}


def test_the_table_names_what_there_is() -> None:
    """An entry of a module that is gone is taken out, and each entry has a reason."""
    assert [] == sorted(ALLOWED.keys() - set(modules()))
    assert all(reason for functions in ALLOWED.values() for _, reason in functions.values())


@pytest.mark.parametrize("module", modules())
def test_no_other_name_for_what_opens_files(module: str) -> None:
    """``from os import open`` and ``import shutil as x`` would go unseen here."""
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module in (*OF_MODULES, "numpy"):
            hidden = {alias.name for alias in node.names} & (OF_MODULES.get(node.module or "") or set(dir(shutil)))
            assert not hidden, f"{module}: from {node.module} import {hidden}"
        if isinstance(node, ast.Import):
            aliases = {alias.name: alias.asname for alias in node.names if alias.asname}
            assert not aliases.keys() & OF_MODULES.keys(), f"{module}: {aliases}"


@pytest.mark.parametrize(
    "text",
    [
        "open('x')",
        "path.open('w')",
        "path.write_text('')",
        "path.replace(other)",
        "os.rename(a, b)",
        "stack.callback(os.unlink, path)",
        "shutil.copy2(a, b)",
        "shutil.move(a, b)",
        "tempfile.mkstemp()",
        "sqlite3.connect(path)",
        "(a / b).mkdir()",
        "path.symlink_to(a)",
        "np.fromfile(path)",
        "ctypes.CDLL(None).syscall(2, path)",
    ],
)
def test_calls_are_seen(text: str) -> None:
    """Also in a nested function, and where the function is handed on."""
    assert 1 == len(list(_below(ast.parse(f"def f():\n    def g():\n        return {text}"), "")))


@pytest.mark.parametrize(
    "text", ["text.replace('a', 'b')", "dataclasses.replace(a, b=1)", "os.stat(a)", "folder.put(a, b)"]
)
def test_other_calls_are_not(text: str) -> None:
    """Strings have a ``replace``, too."""
    assert [] == list(_below(ast.parse(text), ""))
