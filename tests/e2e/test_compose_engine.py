"""docker-compose.yml on a real engine: bundles arrive, and nothing that the enclave does leaves it.

The image is made as an operator makes it without a registry: a Debian root file system is the base, `make image` the
rest. The root file system is kept in the user's cache folder; all else has one name of its own, and is removed.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytestmark = pytest.mark.compose

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
RUNNING = ("staging", "diode", "enclave", "enclave-net")
PROBES = Path(__file__).with_name("enclave_probes.py")
PATIENCE_S = 60
SCRIPTS = "/usr/local/share/diode"


def run(*command: str, **options: Any) -> str:
    """What a command prints; one that fails fails the test, with all that it said."""
    options = {"timeout": 10 * PATIENCE_S, **options}
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def works(*command: str) -> bool:
    """Whether a command is there and succeeds."""
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def until(is_so: Callable[[], bool], what: str) -> None:
    """Wait for something; the engine has no better way to be asked."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, f"still not: {what}"
        time.sleep(0.1)


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

    def reach(self, *addresses: str, names: tuple[str, ...] = ()) -> dict[str, dict[str, str | None]]:
        """What the receiver's user finds out from inside the enclave."""
        wanted = json.dumps({"names": names, "addresses": addresses})
        found = self.inside("enclave", "python3", "-", "reach", wanted, input=PROBES.read_text())
        return json.loads(found)  # type: ignore[no-any-return]

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

    def frames_out(self) -> int:
        """Frames that ever left the enclave's interface, as its other end counts them: on the wire, so to say."""
        return int((self.cable("enclave", "eth0") / "statistics" / "rx_packets").read_text())

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
        until((bundle / "receipt.json").exists, f"{name} is in the inbox:\n{self.compose('logs')[-4000:]}")
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


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """All services, up."""
    compose = next((command for command in COMPOSE if works(*command, "version")), None)
    if compose is None or not works("docker", "info"):
        pytest.skip("there is no Docker engine with Compose")
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    base = root_file_system()
    folder = tmp_path_factory.mktemp("compose")
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


def test_a_file_dropped_into_the_outbox_is_found_in_the_inbox(stack: Stack) -> None:
    """A bundle crosses, and not one frame leaves the enclave meanwhile."""
    before = stack.frames_out()
    stack.assert_crosses("model", os.urandom(10_000_000))
    assert before == stack.frames_out()


@pytest.mark.parametrize("service", RUNNING)
def test_what_keeps_running_has_no_rights(stack: Stack, service: str) -> None:
    """Each process in each container is somebody, with no capability, and can get none; its root cannot be written."""
    host = stack.inspect(service)["HostConfig"]
    assert (True, ["ALL"], None, False) == tuple(host[k] for k in ("ReadonlyRootfs", "CapDrop", "CapAdd", "Privileged"))
    assert ["no-new-privileges:true"] == host["SecurityOpt"]
    assert host["Memory"] > 0
    assert host["PidsLimit"] > 0
    statuses = stack.inside(service, "sh", "-c", "cat /proc/[0-9]*/status").split("Name:")[1:]
    assert len(statuses) > 2
    for status in statuses:
        fields = dict(line.split(":\t", 1) for line in status.splitlines()[1:])
        assert {"0000000000000000"} == {fields[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")}
        assert ("1", "2") == (fields["NoNewPrivs"], fields["Seccomp"])
        assert "0" not in fields["Uid"].split() + fields["Gid"].split()
    with pytest.raises(AssertionError, match="Read-only file system"):
        stack.inside(service, "touch", "/somewhere")


def test_no_folder_is_in_two_containers(stack: Stack) -> None:
    """What one side writes, the other does not see; keys and configuration are not to be written at all."""
    mounts = {service: stack.inspect(service)["Mounts"] for service in RUNNING}
    assert {"bind"} == {mount["Type"] for found in mounts.values() for mount in found}
    sources = [mount["Source"] for found in mounts.values() for mount in found]
    assert sorted(set(sources)) == sorted(sources)
    assert ([], []) == (mounts["diode"], mounts["enclave-net"])
    for service in ("staging", "enclave"):
        writable = {mount["Destination"] for mount in mounts[service] if mount["RW"]}
        assert {"/diode/state", "/outbox" if service == "staging" else "/inbox"} == writable


def test_what_has_rights_has_ended(stack: Stack) -> None:
    """The two that set up the network had one capability, and are over."""
    for service in ("oneway", "neighbour"):
        found = stack.inspect(service)
        assert ("exited", 0) == (found["State"]["Status"], found["State"]["ExitCode"])
        assert (["ALL"], ["NET_ADMIN"]) == (found["HostConfig"]["CapDrop"], found["HostConfig"]["CapAdd"])


def test_health_is_known_without_asking_the_network(stack: Stack) -> None:
    """Each service's own check succeeds, and makes no frame leave the enclave."""
    before = stack.frames_out()
    for service in ("staging", "diode", "enclave"):
        kind, command = stack.inspect(service)["Config"]["Healthcheck"]["Test"]
        assert "CMD-SHELL" == kind
        stack.inside(service, "sh", "-c", command)
    assert before == stack.frames_out()


@pytest.mark.parametrize("service", ["diode", "enclave"])
def test_there_is_no_way_through(stack: Stack, service: str) -> None:
    """No default route, no forwarding, no IPv6."""
    routes = stack.inside(service, "cat", "/proc/net/route").splitlines()[1:]
    assert len(stack.places("diode" if service == "diode" else "enclave-net")) == len(routes)
    assert "00000000" not in [route.split()[1] for route in routes]
    settings = stack.inside(
        service, "sh", "-c", "cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/*/disable_ipv6"
    )
    forward, *no_ipv6 = settings.split()
    assert ("0", {"1"}) == (forward, set(no_ipv6))


def test_from_inside_the_enclave_nothing_reaches_staging(stack: Stack) -> None:
    """No name, address or protocol leads to staging, nor to others: not one frame asks where they are."""
    before, heard = stack.frames_out(), stack.snmp("staging", "Ip", "InReceives")
    staging, diode = stack.places("staging")["low"], stack.places("diode")
    gateways = [place.subnet.rpartition(".")[0] + ".1" for place in diode.values()]
    names = ("staging", stack.inspect("staging")["Name"][1:], stack.container("staging")[:12])
    found = stack.reach(
        staging.address, diode["low"].address, diode["high"].address, *gateways, "255.255.255.255", names=names
    )
    assert dict.fromkeys(names) == found["names"]
    assert 3 * 6 == len(found["addresses"])
    assert "answered" not in found["addresses"].values(), found
    assert (before, heard) == (stack.frames_out(), stack.snmp("staging", "Ip", "InReceives"))


def test_not_even_raw_sockets_get_out(stack: Stack) -> None:
    """With a right that nobody inside has, every kind of socket sends hundreds of frames: none leaves."""
    before = stack.frames_out()
    rights = ("--cap-add=NET_RAW",)
    tried = stack.beside("enclave", "python3", "-", "shout", "eth0", rights=rights, input=PROBES.read_text())
    assert 11 == len(json.loads(tried))
    assert before == stack.frames_out()


def test_a_receiver_that_is_started_again_stays_behind_the_wall(stack: Stack) -> None:
    """Killed, it comes back by itself into the same closed network, and takes the next bundle."""
    before = stack.frames_out()
    with contextlib.suppress(AssertionError):
        stack.inside("enclave", "sh", "-c", "kill -9 -1")  # all but the first process, which ends with the receiver

    def is_back() -> bool:
        found = stack.inspect("enclave")
        return (1, "healthy") == (found["RestartCount"], found["State"]["Health"]["Status"])

    until(is_back, "the receiver is back")
    stack.assert_crosses("after", b"more weights")
    assert before == stack.frames_out()


def test_without_the_rule_there_is_still_no_way(stack: Stack) -> None:
    """No route leads to staging, and one that is added leads nowhere. And what we count by does count."""
    staging, diode = stack.places("staging")["low"], stack.places("diode")
    rights = ("--cap-add=NET_ADMIN",)
    with stack.without_wall():
        before, heard = stack.frames_out(), stack.snmp("staging", "Ip", "InReceives")
        found = stack.reach(staging.address, diode["low"].address, diode["high"].address, names=("staging",))
        assert None is found["names"]["staging"]
        for kind in ("icmp", "udp", "tcp"):
            assert "answered" == found["addresses"][f"{kind} {diode['high'].address}"]
            assert "Network is unreachable" == found["addresses"][f"{kind} {staging.address}"]
            assert "Network is unreachable" == found["addresses"][f"{kind} {diode['low'].address}"]
        assert before < stack.frames_out()

        detour = (staging.subnet, "via", diode["high"].address)
        stack.beside("enclave", "ip", "route", "add", *detour, rights=rights)
        try:
            assert "answered" not in stack.reach(staging.address)["addresses"].values()
            assert heard == stack.snmp("staging", "Ip", "InReceives")
        finally:
            stack.beside("enclave", "ip", "route", "del", *detour, rights=rights)
    before = stack.frames_out()
    assert "answered" not in stack.reach(diode["high"].address)["addresses"].values()
    assert before == stack.frames_out()


def test_the_diode_forwards_nothing_but_by_its_program(stack: Stack) -> None:
    """Datagrams for staging that come in on the high side end there; with forwarding they would go on."""
    enclave, staging = stack.places("enclave-net")["high"], stack.places("staging")["low"]
    device = stack.places("diode")["high"].device
    ethernet = stack.inside("diode", "cat", f"/sys/class/net/{device}/address").strip()
    cable = stack.cable("diode", device).name

    def forwarded() -> int:
        """What the kernel forwarded of some datagrams, put in at the other end of the diode's high side."""
        before = stack.snmp("diode", "Ip", "InReceives"), stack.snmp("diode", "Ip", "ForwDatagrams")
        host = ("docker", "run", "--rm", "-i", "--user=0:0", "--network=host", "--cap-add=NET_RAW", stack.image)
        run(
            *host, "python3", "-", "inject", cable, ethernet, enclave.address, staging.address, input=PROBES.read_text()
        )
        assert stack.snmp("diode", "Ip", "InReceives") >= before[0] + 50
        return stack.snmp("diode", "Ip", "ForwDatagrams") - before[1]

    def switch(state: int) -> None:
        rights = ("--cap-add=NET_ADMIN", "--security-opt=systempaths=unconfined", "--security-opt=apparmor=unconfined")
        stack.beside("diode", "sh", "-c", f"echo {state} > /proc/sys/net/ipv4/ip_forward", rights=rights)

    heard = stack.snmp("staging", "Ip", "InReceives")
    assert 0 == forwarded()
    assert heard == stack.snmp("staging", "Ip", "InReceives")
    switch(1)
    try:
        assert forwarded() >= 50
    finally:
        switch(0)


def test_up_again_changes_nothing(stack: Stack) -> None:
    """What an operator types after a reboot may be typed at any time."""
    before = stack.frames_out()
    running = [stack.container(service) for service in RUNNING]
    stack.compose("up", "-d")
    assert running == [stack.container(service) for service in RUNNING]
    stack.assert_crosses("again", b"and more")
    assert before == stack.frames_out()


def test_after_a_reboot_all_is_as_before(stack: Stack) -> None:
    """Stopped and up again, the enclave's network is new, and shut again; and the diode finds it."""
    stack.compose("stop")
    stack.compose("up", "-d")
    before = stack.frames_out()
    stack.assert_crosses("later", b"and even more")
    found = stack.reach(*(place.address for place in stack.places("diode").values()))
    assert "answered" not in found["addresses"].values()
    assert before == stack.frames_out()
