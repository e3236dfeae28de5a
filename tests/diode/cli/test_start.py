"""Every program is understood before it is loaded: help and version wait for nothing that a command needs."""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
import typer
from typer.core import TyperGroup

from diode.cli.main import app as diode
from diode.formats.names import MAX_SEQUENCE
from receiver.cli.main import MAX_NUMBER
from receiver.cli.main import app as receiver
from sender.cli.main import app as sender

PROGRAMS = {"diode.cli.main": diode, "sender.cli.main": sender, "receiver.cli.main": receiver}
HEAVY = (
    *("asyncio", "asyncio_dgram", "blake3", "cryptography", "lz4", "multiprocessing", "numpy", "prometheus_client"),
    *("pydantic_settings", "pyeclib", "pyseccomp", "rich", "securesystemslib", "segno", "sigstore", "sqlite3"),
    *("structlog", "watchfiles", "zfec"),
)
AT_ONCE = (*HEAVY, "pydantic")  # a command's help reads the program's own options first, which takes it
PROBE = f"""
import json, sys
from {{module}} import main
sys.argv = ["program", *json.loads(sys.argv[1])]
try:
    main()
except SystemExit as ended:
    assert ended.code == 0, ended.code
print(json.dumps([name for name in {AT_ONCE!r} if name in sys.modules]), file=sys.stderr)
"""


def commands_of(app: typer.Typer) -> Iterator[list[str]]:
    """The words that name each command and each group."""

    def below(group: TyperGroup, words: list[str]) -> Iterator[list[str]]:
        for name, command in group.commands.items():
            yield [*words, name]
            if isinstance(command, TyperGroup):
                yield from below(command, [*words, name])

    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return below(group, [])


def start(module: str, *words: str) -> tuple[str, list[str]]:
    """What a program prints, and which heavy modules it loaded meanwhile."""
    program = PROBE.format(module=module)
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(words)], capture_output=True, text=True, check=True
    )
    return done.stdout, json.loads(done.stderr)


@pytest.mark.parametrize("module", PROGRAMS)
@pytest.mark.parametrize("word", ["--help", "--version"])
def test_a_program_says_what_it_is_without_being_loaded(module: str, word: str) -> None:
    """Neither numbers nor keys nor a database are needed for it."""
    said, loaded = start(module, word)
    assert ([], True) == (loaded, said.startswith("Usage: " if word == "--help" else "diode "))


@pytest.mark.parametrize("module", PROGRAMS)
def test_each_command_explains_itself_without_being_loaded(module: str) -> None:
    """All of them in one process, one after the other: what one loads would be seen after the last."""
    words = list(commands_of(PROGRAMS[module]))
    assert len(words) > 10
    program = f"""
import json, sys
from {module} import app
for words in {words!r}:
    try:
        app([*words, "--help"], standalone_mode=False)
    except SystemExit:
        pass
print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ("[]\n", len(words)) == (done.stderr, done.stdout.count("Usage: "))


def test_a_command_that_runs_has_its_logs_set_up() -> None:
    """An escaped line on standard error, and nothing on standard output, before any configuration is read."""
    program = """
import sys
from diode.console.entry import guarded, new_app
from diode.log import log
app = new_app("test")

@app.command()
def one() -> None:
    log.warning("said", name="\\x1b[2J")

@app.command()
def other() -> None:
    pass

sys.argv = ["test", "one"]
guarded(app)()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ("", "\\x1b[2J") == (done.stdout, json.loads(done.stderr)["name"].replace("\\\\", "\\"))


def test_the_highest_number_is_the_same_everywhere() -> None:
    """The command line states it again, for the other place loads more than a help text may."""
    assert MAX_SEQUENCE == MAX_NUMBER
