"""The example enclave as ``make enclave`` starts it, and each line that it prints, typed as it is printed."""

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.apt import Apt
from tests.clients import python_with, run
from tests.needs import need
from tests.patience import PATIENCE_S, wait_until

pytestmark = pytest.mark.clients
ROOT: Final = Path(__file__).parents[2]
EXAMPLE: Final = ROOT / "docs" / "examples" / "enclave" / "enclave.py"
# What the example's MCP server is asked, line by line, as a client would.
QUESTIONS: Final = (
    {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18"}},
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
    {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
)


class Running(NamedTuple):
    """The example. ``lines``: what it printed to type, by the word before each; ``folder``: its own, in the test's."""

    process: "subprocess.Popen[str]"
    lines: dict[str, list[str]]
    folder: Path

    def line(self, word: str, number: int = 0) -> str:
        """The line that stands behind this word."""
        return self.lines[word][number]

    def type(self, line: str, *path: Path, **env: str) -> "subprocess.CompletedProcess[str]":
        """Type a line, in a shell that finds programs in ``path`` first."""
        search = os.pathsep.join([*map(str, path), os.environ["PATH"]])
        home = {"HOME": str(self.folder.parent / "home")}
        return run("sh", "-c", line, env={**home, **env, "PATH": search})

    def succeed(self, line: str, *path: Path, **env: str) -> str:
        """Type a line that must succeed; both its streams."""
        done = self.type(line, *path, **env)
        assert 0 == done.returncode, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr


def family(pid: int) -> set[int]:
    """A process and all that descend from it."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found, more = {pid}, {pid}
    while more:
        more = {child for child, parent in parents.items() if parent in more} - found
        found |= more
    return found


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    try:
        return "Z" != Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Started in a session of its own, as from a terminal; ended there as Ctrl-C ends it, if no test did."""
    folder = tmp_path_factory.mktemp("example")
    (folder / "home").mkdir()
    command = [sys.executable, str(EXAMPLE), str(folder / "enclave of mine")]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell runs behind its back ignores it
    try:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        try:
            yield Running(process, printed(process), folder / "enclave of mine")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
            process.communicate(timeout=PATIENCE_S)


def printed(process: "subprocess.Popen[str]") -> dict[str, list[str]]:
    """Read what the example prints, until it says that it serves."""
    assert process.stdout
    lines: dict[str, list[str]] = {}
    everything, word = [], ""
    for line in process.stdout:
        everything.append(line)
        if line.startswith("serving at "):
            return lines
        if found := re.fullmatch(r"(\S.{8} | {10})(\S.*)\n", line):
            word = found[1].strip() or word
            lines.setdefault(word, []).append(found[2])
    raise AssertionError(f"the example ended:\n{''.join(everything)}")


def test_the_model_is_downloaded(example: Running) -> None:
    """``hf download``, and what is in use is the second version."""
    hub = python_with("huggingface_hub==2.4.0")
    example.succeed(example.line("model"), hub)
    (weights,) = (example.folder.parent / "home").rglob("snapshots/*/model.safetensors")
    assert weights.read_bytes().endswith(bytes([2]) * 64)


def test_the_python_package_is_installed_and_runs(example: Running) -> None:
    """``pip install`` into an environment of its own, and its command."""
    place = example.folder.parent / "python"
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True, capture_output=True)
    example.succeed(example.line("Python"), place / "bin")
    assert "acme-tool 2.0.0\n" == example.succeed("acme-tool", place / "bin")


def test_the_npm_package_runs(example: Running) -> None:
    """``npx`` fetches it and runs its command."""
    need("npm")
    assert "acme-hello 2.0.0" in example.succeed(example.line("npm"))


def test_the_image_is_pulled(example: Running) -> None:
    """By docker, which has forgotten it afterwards."""
    need("docker")
    line = example.line("image")
    image = line.split()[-1]
    try:
        example.succeed(line)
        assert "2.0.0" == run("docker", "inspect", "--format", "{{.Config.Labels.version}}", image).stdout.strip()
    finally:
        run("docker", "image", "rm", "--force", image)


def test_the_mcp_server_is_found_and_tells_its_tools(example: Running) -> None:
    """The registry knows it, and what it names is started by ``uvx`` and answers."""
    need("curl and wget")
    found = json.loads(example.succeed(f"{example.line('MCP')} --silent --fail"))
    newest = [one["server"] for one in found["servers"] if one["server"]["version"] == "2.0.0"]
    assert [("com.example/acme-mcp", "acme-mcp")] == [(one["name"], one["packages"][0]["identifier"]) for one in newest]
    asked = "\n".join(json.dumps(question) for question in QUESTIONS)
    interpreter = f"--python {shlex.quote(sys.executable)}"
    line = example.line("MCP", 1).replace("uvx ", f"uvx {interpreter} ")
    said = example.succeed(f"printf '%s\\n' {shlex.quote(asked)} | {line}", python_with("uv==0.13.9"))
    answers = [json.loads(answer) for answer in said.splitlines() if answer.startswith("{")]
    assert "2.0.0" == answers[0]["result"]["serverInfo"]["version"]
    assert ["greet"] == [tool["name"] for tool in answers[1]["result"]["tools"]]


def test_apt_takes_the_repository(example: Running) -> None:
    """In a root of its own."""
    need("apt")
    apt = Apt.make(example.folder.parent / "apt", example.line("apt"))
    updated = apt.update()
    assert 0 == updated.returncode, updated.stderr
    assert "2.0.0" == apt.candidate("acme-notes")
    assert 0 == apt.get("download", "acme-notes").returncode


def test_what_an_operator_types(example: Running) -> None:
    """Catalogue, going back, taking back, rehearsing, and the lines for clients; and clients see each."""
    hub = python_with("huggingface_hub==2.4.0")
    home = example.folder.parent / "later"
    example.succeed(example.line("catalogue"))
    assert "HF_ENDPOINT" in example.succeed(example.line("lines"))

    example.succeed(f"{example.line('go back')} --yes")
    example.succeed(example.line("model"), hub, HOME=str(home))
    (weights,) = home.rglob("snapshots/*/model.safetensors")
    assert weights.read_bytes().endswith(bytes([1]) * 64)

    example.succeed(f"{example.line('rehearse')} --yes")
    (report,) = (example.folder / "receiver").rglob("*.html")
    assert "acme" in report.read_text()

    listed = json.loads(example.succeed(f"{example.line('catalogue')} --json"))
    (current,) = (one for one in listed if one["name"] == "acme--tiny" and one["current"])
    assert "1.0.0" == current["version"]
    recall = example.line("recall").replace(" ID ", f" {current['id']} ")
    example.succeed(f"{recall} --yes")
    refused = example.type(example.line("model"), hub, HOME=str(home))
    assert 0 != refused.returncode, refused.stdout


def test_control_c_leaves_nothing_running(example: Running) -> None:
    """Everything gets the signal, as from a terminal; and everything ends well, and soon."""
    everybody = family(example.process.pid)
    assert len(everybody) > 6
    os.killpg(example.process.pid, signal.SIGINT)
    assert 0 == example.process.wait(PATIENCE_S)
    wait_until(lambda: not any(map(is_alive, everybody)), "all have ended")
    for log in example.folder.glob("*.log"):
        assert "Traceback" not in log.read_text(), log
