"""A whole enclave on loopback: staging, the link, the receiver and the gateway, with one artefact of each kind.

``python3 enclave.py FOLDER`` writes everything below FOLDER, sends the artefacts across, serves them, prints what a
client types for each, and goes on until Ctrl-C. ``--once`` ends as soon as all is served.
"""

import argparse
import json
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import artefacts

BIN: Final = Path(sys.executable).parent
PATIENCE_S: Final = 120.0
VERSIONS: Final = ("1.0.0", "2.0.0")
CHANNELS: Final = """
[channels.models]
serve = ["hub"]
names = ["acme/*"]          # nobody else's channel may publish a model of acme
content = "weights"

[channels.python]
serve = ["pypi"]

[channels.npm]
serve = ["npm"]

[channels.images]
serve = ["oci"]

[channels.mcp]
serve = ["mcp"]

[channels.apt]
serve = ["trees"]
promote = "by-hand"         # people decide which state of the repository machines see
drill_days = 90

[gateway]
listen = "127.0.0.1:{port}"
"""
SENDER: Final = """
[channels.models.intake]
content = "weights"
"""


def free_port(kind: int) -> int:
    """A port of the loopback that nobody uses now."""
    with socket.socket(socket.AF_INET, kind) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Enclave:
    """The processes, and the folder that they work in."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{port}"
        self.receiver = folder / "receiver" / "receiver.toml"
        self.sender = folder / "sender" / "sender.toml"
        self._port = port
        self._started: list[tuple[str, subprocess.Popen[bytes]]] = []

    def prepare(self) -> None:
        """Keys, configurations and folders of both sides."""
        link = f"127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
        self.run("diode", "init", "pair", str(self.folder), "--to", link, "--listen", link)
        with self.receiver.open("a") as file:
            file.write(CHANNELS.format(port=self._port))
        with self.sender.open("a") as file:
            file.write(SENDER)

    def run(self, program: str, *words: str) -> str:
        """Run a command of ours to its end; what it printed. Ends this program with its message when it fails."""
        done = subprocess.run([str(BIN / program), *words], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{program} {' '.join(words)}\n{done.stderr.strip()}")
        return done.stdout

    def enclave(self, *words: str) -> str:
        """A command of the enclave."""
        return self.run("diode-receiver", "-c", str(self.receiver), *words)

    def start(self, program: str, config: Path, *words: str) -> None:
        """Start a program that goes on. Its log lies in the folder."""
        name = f"{program}-{words[0]}"
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen([str(BIN / program), "-c", str(config), *words], stdout=log, stderr=log)
        self._started.append((name, process))

    def close(self) -> None:
        """End what was started, the last first."""
        for _, process in reversed(self._started):
            process.send_signal(signal.SIGTERM)
        for _, process in reversed(self._started):
            process.wait(PATIENCE_S)

    def send(self, version: str) -> None:
        """Put one artefact of each kind into the outbox, and wait until all are published."""
        made = artefacts.make_all(self.folder / "made", version)
        for label in made:
            channel, _, name = label.partition("/")
            place = self.folder / "sender" / "outbox" / channel
            place.mkdir(exist_ok=True)
            shutil.move(self.folder / "made" / channel / f"{name}@{version}", place / f"{name}@{version}")
        wanted = {(label, version) for label in made}
        self._wait(f"version {version}", lambda: wanted <= {_label(entry) for entry in self.catalogue()})

    def catalogue(self) -> list[dict[str, Any]]:
        """What is published."""
        found: list[dict[str, Any]] = json.loads(self.enclave("catalogue", "ls", "--json"))
        return [entry for entry in found if entry["state"] == "published"]

    def serve(self) -> None:
        """Start the gateway, and wait until it answers."""
        self.start("diode-receiver", self.receiver, "gateway", "run")
        self._wait("the gateway", self._is_well)

    def _is_well(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=5) as one:
                one.sendall(b"GET /healthz HTTP/1.1\r\nHost: enclave\r\nConnection: close\r\n\r\n")
                return b" 200 " in one.makefile("rb").readline()
        except OSError:
            return False

    def _wait(self, what: str, is_there: Any) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not is_there():
            for name, process in self._started:
                if process.poll() is not None:
                    raise SystemExit(f"{name} ended with {process.returncode}: {self.folder / f'{name}.log'}")
            if time.monotonic() > deadline:
                raise SystemExit(f"{what} is not there after {PATIENCE_S:.0f} s; logs lie in {self.folder}")
            time.sleep(0.2)


def _label(entry: dict[str, Any]) -> tuple[str, str]:
    return f"{entry['channel']}/{entry['name']}", entry["version"]


def commands(url: str, config: Path) -> str:
    """What a client types for each artefact, and what an operator types."""
    host = url.removeprefix("http://")
    ours = f"{shlex.quote(str(BIN / 'diode-receiver'))} -c {shlex.quote(str(config))}"
    return f"""
model     HF_ENDPOINT={url}/hub hf download acme/tiny
Python    pip install --index-url {url}/pypi/simple/ acme-tool
npm       npx --yes --registry {url}/_npm/ acme-hello
image     docker pull {host}/acme/box:2.0.0
MCP       curl {url}/mcp/v0.1/servers
          uvx --default-index {url}/pypi/simple/ acme-mcp
apt       deb [trusted=yes] {url}/trees/apt/acme stable main

catalogue {ours} catalogue ls
go back   {ours} rollback models/acme--tiny
recall    {ours} recall ID --reason 'why'
rehearse  {ours} drill rollback apt/acme
lines     {ours} gateway clients
"""


def main(words: Sequence[str]) -> int:
    """Set up, send, serve, say how to use it, and wait."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a new folder")
    parser.add_argument("--port", type=int, default=0, help="of the gateway; without it a free one")
    parser.add_argument("--once", action="store_true", help="end when all is served")
    asked = parser.parse_args(words)
    if asked.folder.exists():
        parser.error(f"{asked.folder} exists already; nothing was changed")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    enclave = Enclave(asked.folder.absolute(), asked.port or free_port(socket.SOCK_STREAM))
    try:
        enclave.prepare()
        enclave.start("diode-receiver", enclave.receiver, "run")
        enclave.start("diode-sender", enclave.sender, "run")
        for version in VERSIONS:
            print(f"sending version {version} of seven artefacts", flush=True)
            enclave.send(version)
        for version in VERSIONS:
            enclave.enclave("promote", "apt/acme", version, "--yes")
        enclave.serve()
        print(commands(enclave.url, enclave.receiver), flush=True)
        if not asked.once:
            print(f"serving at {enclave.url}; everything lies in {enclave.folder}; Ctrl-C ends it", flush=True)
            signal.pause()
    except KeyboardInterrupt:
        print("ending", flush=True)
    finally:
        enclave.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
