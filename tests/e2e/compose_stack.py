"""The services of docker-compose.yml on a real engine, from an image made as an operator makes it without a registry.

A Debian root file system is the base, `make image` the rest. The root file system is kept in the user's cache folder;
all else has one name of its own, and is removed.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.patience import PATIENCE_S, wait_until

ROOT = Path(__file__).parents[2]
NEEDED = (
    "Makefile",
    "docker-compose.yml",
    ".dockerignore",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "docs/docker",
    "docs/locks",
    "diode",
    "sender",
    "receiver",
)
SUITE = "bookworm"  # its Python is the one that `make wheelhouse` collects for
PACKAGES = "python3,python3-venv,nftables,iproute2"
COMPOSE = (("docker", "compose"), ("docker-compose",))
RUNNING = ("staging", "diode", "enclave", "enclave-net", "gateway")
PROBES = Path(__file__).with_name("enclave_probes.py")
SCRIPTS = "/usr/local/share/diode"


def run(*command: str, **options: Any) -> str:
    """What a command prints; one that fails fails the test, with all that it said."""
    options = {"timeout": 3 * PATIENCE_S, **options}
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return str(done.stdout)


def works(*command: str) -> bool:
    """Whether a command is there and succeeds."""
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


class Place(NamedTuple):
    """Where a container is on a network."""

    device: str
    address: str
    subnet: str


class Stack:
    """The services of one project of its own name, in a folder of its own."""

    def __init__(self, folder: Path, compose: tuple[str, ...]) -> None:
        self.folder = folder
        self.project = f"diode-test-{uuid.uuid4().hex[:8]}"
        self.image = f"{self.project}:image"
        self._compose = compose
        others = ("DIODE_", "COMPOSE_", "MAKE")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(others)}
        self.environment = clean | {"DIODE_IMAGE": self.image}

    def compose(self, *arguments: str) -> str:
        """Run Compose on our project."""
        return run(*self._compose, "-p", self.project, *arguments, cwd=self.folder, env=self.environment)

    def make(self, *arguments: str) -> None:
        """Run targets of the Makefile, with the Python that runs this test."""
        python = Path(sys.executable)
        ours = ("RUNTIME=", f"BIN={python.parent}", f"PIP={python} -m pip --disable-pip-version-check")
        run("make", "-C", str(self.folder), *arguments, *ours, env=self.environment)

    def container(self, service: str) -> str:
        """The id of a service's container."""
        labels = (f"com.docker.compose.project={self.project}", f"com.docker.compose.service={service}")
        return run("docker", "ps", "-aq", "--no-trunc", *(f"--filter=label={label}" for label in labels)).strip()

    def inspect(self, service: str) -> dict[str, Any]:
        """All that the engine knows of a service's container."""
        found: dict[str, Any] = json.loads(run("docker", "inspect", self.container(service)))[0]
        return found

    def inside(self, service: str, *command: str, **options: Any) -> str:
        """Run a command in a service's container, with its rights."""
        impatient = "--env=RES_OPTIONS=timeout:1 attempts:1"  # names are looked up in vain here
        return run("docker", "exec", "-i", impatient, self.container(service), *command, **options)

    def beside(self, service: str, *command: str, rights: tuple[str, ...], **options: Any) -> str:
        """Run a command as root in a service's network, with rights that the service does not have."""
        network = f"--network=container:{self.container(service)}"
        return run("docker", "run", "--rm", "-i", "--user=0:0", network, *rights, self.image, *command, **options)

    def reach(
        self, *addresses: str, names: tuple[str, ...] = (), service: str = "enclave"
    ) -> dict[str, dict[str, str | None]]:
        """What a service's user finds out from inside its container."""
        wanted = json.dumps({"names": names, "addresses": addresses})
        found = self.inside(service, "python3", "-", "reach", wanted, input=PROBES.read_text())
        return json.loads(found)  # type: ignore[no-any-return]

    def client(self, *command: str) -> str:
        """What a command prints in a container of its own on the gateway's network, where it is like any client."""
        return run("docker", "run", "--rm", f"--network={self.project}_clients", self.image, *command)

    def places(self, service: str) -> dict[str, Place]:
        """Device, address and subnet of a service's container by network."""
        devices = {}
        for link in json.loads(self.beside(service, "ip", "-json", "-4", "address", rights=())):
            for info in link["addr_info"]:
                devices[info["local"]] = link["ifname"]
        places = {}
        for name, network in self.inspect(service)["NetworkSettings"]["Networks"].items():
            subnet = json.loads(run("docker", "network", "inspect", name))[0]["IPAM"]["Config"][0]["Subnet"]
            address = network["IPAddress"]
            places[name.removeprefix(f"{self.project}_")] = Place(devices[address], address, subnet)
        return places

    def cable(self, service: str, device: str) -> Path:
        """The other end of a container's interface, on the host."""
        index = self.inside(service, "cat", f"/sys/class/net/{device}/iflink").strip()
        for interface in Path("/sys/class/net").iterdir():
            if (interface / "ifindex").read_text().strip() == index:
                return interface
        pytest.skip("the engine's interfaces are not to be seen from here")

    def frames_out(self, service: str = "enclave") -> int:
        """Frames that ever left a service's interface, as its other end counts them: on the wire, so to say."""
        return int((self.cable(service, "eth0") / "statistics" / "rx_packets").read_text())

    def snmp(self, service: str, protocol: str, name: str) -> int:
        """One of the kernel's counters in a service's network."""
        lines = self.inside(service, "cat", "/proc/net/snmp").splitlines()
        names, values = (line.split()[1:] for line in lines if line.startswith(f"{protocol}: "))
        return int(values[names.index(name)])

    def drop(self, name: str, data: bytes) -> Path:
        """Put a file into the outbox as an operator would; returns where it is to appear, followed by its version."""
        channel = self.folder / "outbox" / "weights"
        (channel / f".{name}").write_bytes(data)
        (channel / f".{name}").rename(channel / f"{name}@1")
        return self.folder / "inbox" / "weights" / name / "1"

    def assert_crosses(self, name: str, data: bytes) -> None:
        """A file that is dropped into the outbox is found in the inbox."""
        bundle = self.drop(name, data)
        wait_until((bundle / "receipt.json").exists, f"{name} is in the inbox:\n{self.compose('logs')[-4000:]}")
        assert data == (bundle / "data" / name).read_bytes()
        run("sha256sum", "-c", "SHA256SUMS", cwd=bundle)

    @contextlib.contextmanager
    def without_wall(self) -> Iterator[None]:
        """With the rule against leaving taken away, as nobody inside could."""
        rights = ("--cap-add=NET_ADMIN",)
        address = self.inside("enclave", "cat", "/sys/class/net/eth0/address").strip()
        self.beside("enclave", "nft", "delete", "table", "netdev", "diode", rights=rights)
        try:
            yield
        finally:
            self.beside("enclave", "sh", f"{SCRIPTS}/oneway.sh", address, rights=rights)

    def remove(self) -> None:
        """Take away all that has our name, and look whether it is away."""
        with contextlib.suppress(AssertionError):
            self.compose("down", "--volumes", "--remove-orphans", "--timeout", "5")
        ours = f"--filter=label=diode.test={self.project}"
        theirs = f"--filter=label=com.docker.compose.project={self.project}"
        for kind, label, doomed in (
            (("ps", "-aq"), theirs, ("rm", "--force", "--volumes")),
            (("network", "ls", "-q"), theirs, ("network", "rm")),
            (("volume", "ls", "-q"), theirs, ("volume", "rm")),
            (("image", "ls", "-aq"), ours, ("image", "rm", "--force")),
        ):
            if left := run("docker", *kind, label).split():
                subprocess.run(("docker", *doomed, *dict.fromkeys(left)), capture_output=True, check=False)
            assert "" == run("docker", *kind, label)


def root_file_system() -> Path:
    """A tar file with Debian and what the image needs of it, made once."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "diode-tests"
    made = cache / f"{SUITE}-{PACKAGES.replace(',', '-')}.tar"
    if made.exists():
        return made
    if shutil.which("debootstrap") is None or os.geteuid():
        pytest.skip("to make a base image, debootstrap must be installed and be run by root")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        command = ("debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, f"{folder}/root")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"debootstrap failed: {done.stdout[-500:]}")
        packages = ("--exclude=./var/cache/apt/*", "--exclude=./var/lib/apt/lists/*")
        run("tar", "-C", f"{folder}/root", *packages, "-cf", f"{folder}/root.tar", ".")
        os.replace(f"{folder}/root.tar", made)
    return made


@contextlib.contextmanager
def services(folder: Path) -> Iterator[Stack]:
    """All services, up, in ``folder``; gone afterwards. The test is skipped where there is no engine."""
    compose = next((command for command in COMPOSE if works(*command, "version")), None)
    if compose is None or not works("docker", "info"):
        pytest.skip("there is no Docker engine with Compose")
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    base = root_file_system()
    stack = Stack(folder, compose)
    for name in NEEDED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, folder / name)
    try:
        label = f"LABEL diode.test={stack.project}"  # which images made from it inherit
        run("docker", "import", "--change", label, str(base), f"{stack.project}:base")
        stack.make("image", "compose-init", f"BASE={stack.project}:base", f"IMAGE={stack.image}")
        stack.compose("up", "-d")
        yield stack
    finally:
        stack.remove()
