"""docker-compose.yml on a real engine: bundles arrive, and nothing that the enclave does leaves it."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator

import pytest

from tests.e2e.compose_stack import PROBES, RUNNING, Stack, run, services
from tests.patience import wait_until

pytestmark = pytest.mark.compose


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """All services, up."""
    with services(tmp_path_factory.mktemp("compose")) as made:
        yield made


def test_a_file_dropped_into_the_outbox_is_found_in_the_inbox(stack: Stack) -> None:
    """A bundle crosses, and not one frame leaves the enclave meanwhile."""
    before = stack.frames_out()
    stack.assert_crosses("model", os.urandom(10_000_000))
    assert before == stack.frames_out()


FETCH = "import sys, urllib.request as r; sys.stdout.write(r.urlopen(sys.argv[1], timeout=30).read().hex())"


def test_what_is_dropped_into_the_outbox_is_had_from_the_gateway(stack: Stack) -> None:
    """A container on the network of clients gets it by HTTP, byte for byte, and not one frame leaves the enclave.

    The channel's folder is younger than the gateway: a new serving process finds it; until then it is 503.
    """
    data = os.urandom(100_000)
    stack.assert_crosses("served", data)
    before, sent = stack.frames_out(), stack.frames_out("gateway")

    def is_served() -> bool:
        try:
            found = stack.client("python3", "-c", FETCH, "http://gateway:8080/hub/served/resolve/main/served")
        except AssertionError:
            return False
        return hashlib.sha256(data).digest() == hashlib.sha256(bytes.fromhex(found)).digest()

    wait_until(is_served, "the gateway serves it")
    assert before == stack.frames_out()
    assert sent < stack.frames_out("gateway")  # what we count by does count
    lines = [json.loads(line) for line in (stack.folder / "gateway-log" / "access.jsonl").read_text().splitlines()]
    assert ("weights", "served", "1") in {(line["channel"], line["name"], line["version"]) for line in lines}


def test_the_gateway_is_confined_and_healthy(stack: Stack) -> None:
    """Its own check succeeds; the kernel takes from it all that it gives up; inbox and index cannot be written."""

    def is_healthy() -> bool:
        return bool("healthy" == stack.inspect("gateway")["State"]["Health"]["Status"])

    wait_until(is_healthy, "the gateway is healthy")
    logs = stack.compose("logs", "gateway")
    assert "gateway_serving" in logs
    assert "sandbox_incomplete" not in logs
    for folder in ("/inbox", "/index"):
        with pytest.raises(AssertionError, match="Read-only file system"):
            stack.inside("gateway", "touch", f"{folder}/mine")
    with pytest.raises(AssertionError, match="No such file"):
        stack.inside("gateway", "ls", "/diode/state")


def test_the_gateway_reaches_nobody_of_the_diode(stack: Stack) -> None:
    """It finds no name and no way to staging, the diode or the enclave, and not a frame of its own gets there."""
    networks = {service: stack.places(service) for service in ("staging", "diode", "enclave-net")}
    addresses = [place.address for places in networks.values() for place in places.values()]
    names = ("staging", "diode", "low-side", "enclave")

    def heard() -> list[int]:
        return [stack.snmp(service, "Icmp", "InEchos") for service in ("staging", "diode", "enclave")]

    before = stack.frames_out(), heard()
    found = stack.reach(*addresses, names=names, service="gateway")
    assert dict.fromkeys(names) == found["names"]
    assert 3 * 4 == len(found["addresses"])
    assert "answered" not in found["addresses"].values(), found
    assert before == (stack.frames_out(), heard())


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
    """What one side writes, the other does not see; keys and configuration are not to be written at all.

    The gateway alone sees what another has, the enclave's inbox and index, and can only read it.
    """
    mounts = {service: stack.inspect(service)["Mounts"] for service in RUNNING}
    assert {"bind"} == {mount["Type"] for found in mounts.values() for mount in found}
    sources = {service: [mount["Source"] for mount in found] for service, found in mounts.items()}
    others = [source for service, found in sources.items() if service != "gateway" for source in found]
    assert sorted(set(others)) == sorted(others)
    seen = {str(stack.folder / name) for name in ("inbox", "index")}
    assert seen == set(sources["gateway"]) & set(others) == set(sources["enclave"]) & set(sources["gateway"])
    assert ([], []) == (mounts["diode"], mounts["enclave-net"])
    for service, writable in (
        ("staging", {"/diode/state", "/outbox"}),
        ("enclave", {"/diode/state", "/inbox", "/index"}),
        ("gateway", {"/log"}),
    ):
        assert writable == {mount["Destination"] for mount in mounts[service] if mount["RW"]}


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

    wait_until(is_back, "the receiver is back")
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
