"""docker-compose.yml as Compose itself reads it: valid, and with one way only between staging and enclave."""

import importlib.util
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.needs import need

ROOT = Path(__file__).parents[1]
COMMANDS = {"compose v2": ("docker", "compose"), "compose v1": ("docker-compose",)}

Config = dict[str, Any]


def run(*command: str) -> "subprocess.CompletedProcess[str]":
    """Run a Compose command on the file, with nothing of our environment that it would interpolate."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DIODE_", "COMPOSE_"))}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(params=COMMANDS, scope="module")
def config(request: pytest.FixtureRequest) -> Config:
    """The resolved configuration."""
    need(request.param)
    is_newer = request.param == "compose v2"
    done = run(*COMMANDS[request.param], "config", *(("--format", "json") if is_newer else ()))
    assert (0, "") == (done.returncode, done.stderr)
    found: Config = json.loads(done.stdout) if is_newer else read_block(done.stdout.splitlines())
    return found


def read_block(lines: list[str]) -> Any:
    """The YAML that docker-compose 1.29 writes: block mappings, and block lists of scalars; nothing else."""
    indent = len(lines[0]) - len(lines[0].lstrip())
    if lines[0].lstrip().startswith("- "):
        return [scalar(line.lstrip()[2:]) for line in lines]
    block: Config = {}
    while lines:
        key, _, value = lines[0].strip().partition(":")
        inner = 1
        while inner < len(lines) and (
            len(lines[inner]) - len(lines[inner].lstrip()) > indent or lines[inner][indent:].startswith("- ")
        ):
            inner += 1
        block[key] = read_block(lines[1:inner]) if inner > 1 else scalar(value.strip())
        lines = lines[inner:]
    return block


def scalar(text: str) -> Any:
    """A YAML scalar as far as we need to tell them apart."""
    return {"true": True, "false": False, "null": None, "{}": {}}.get(text, text.strip("'\""))


def mounts(service: Config) -> dict[str, str]:
    """Target to source, of either notation."""
    pairs = {}
    for volume in service.get("volumes", []):
        if isinstance(volume, dict):
            pairs[volume["target"]] = volume["source"]
        else:
            source, target, *_ = volume.split(":")
            pairs[target] = source
    return pairs


def rights(service: Config) -> dict[str, bool]:
    """Target to whether it can be written, of either notation."""
    found = {}
    for volume in service.get("volumes", []):
        if isinstance(volume, dict):
            found[volume["target"]] = not volume.get("read_only", False)
        else:
            _, target, *mode = volume.split(":")
            found[target] = mode != ["ro"]
    return found


def words(service: Config) -> list[str]:
    """The command, of either notation."""
    command = service["command"]
    return command.split() if isinstance(command, str) else list(command)


RUNNING = {"staging", "diode", "enclave", "enclave-net", "gateway"}  # enclave-net is its network, and nothing else
ONCE = {"oneway", "neighbour"}  # set up the network, and end


def test_all_services_are_of_one_image(config: Config) -> None:
    """What keeps running and what sets up the network run from the image that `make image` builds."""
    assert dict.fromkeys(RUNNING | ONCE, "diode:local") == {
        name: service["image"] for name, service in config["services"].items()
    }


def test_only_the_diode_joins_both_networks(config: Config) -> None:
    """Staging, enclave and gateway share no network, and no network leads outside."""
    services = config["services"]
    networks = {name: set(service["networks"]) for name, service in services.items() if "network_mode" not in service}
    assert {
        "staging": {"low"},
        "diode": {"low", "high"},
        "enclave-net": {"high"},
        "gateway": {"clients"},
    } == networks
    assert dict.fromkeys(("clients", "high", "low"), True) == {
        name: network["internal"] for name, network in config["networks"].items()
    }
    modes = {name: service["network_mode"] for name, service in services.items() if "network_mode" in service}
    assert {
        "enclave": "service:enclave-net",
        "oneway": "service:enclave-net",
        "neighbour": "service:diode",
    } == modes


def test_the_way_out_is_shut_before_anything_can_use_it(config: Config) -> None:
    """The receiver waits for the wall, the diode for the receiver, staging for a diode that knows where to send."""
    waits = {
        name: {other: how["condition"] for other, how in service.get("depends_on", {}).items()}
        for name, service in config["services"].items()
    }
    assert {"oneway": "service_completed_successfully"}.items() <= waits["enclave"].items()
    assert {"enclave": "service_healthy"} == waits["diode"]
    assert {"neighbour": "service_completed_successfully"} == waits["staging"]


def test_nothing_starts_in_a_network_that_is_not_set_up(config: Config) -> None:
    """The owners of networks are not started again by themselves: what was set is gone then, and must be set again."""
    policies = {name: service["restart"] for name, service in config["services"].items()}
    again = dict.fromkeys(("staging", "enclave", "gateway"), "on-failure")
    assert policies == dict.fromkeys(RUNNING | ONCE, "no") | again


def test_the_enclave_is_known_by_one_hardware_address(config: Config) -> None:
    """What `oneway` sets is what `neighbour` tells the diode, and what its health is judged by."""
    services = config["services"]
    address = words(services["oneway"])[-1]
    assert ["enclave", address] == words(services["neighbour"])[-2:]
    assert address in services["diode"]["healthcheck"]["test"][-1]


@pytest.mark.parametrize(
    ("service", "workers"),
    [
        ("staging", ("sender.transport.encode", "sender.transport.transmit")),
        ("enclave", ("receiver.transport.listen", "receiver.transport.assemble", "receiver.store.worker")),
    ],
)
def test_health_is_judged_by_workers(service: str, workers: tuple[str, ...]) -> None:
    """A daemon that lives without one of them is not well; the shell that looks does not find itself."""
    text = (ROOT / "docker-compose.yml").read_text().partition(f"\n  {service}:\n")[2]
    check = text.partition("healthcheck:")[2].partition("interval:")[0]
    patterns = re.findall(r"'((?:sender|receiver)\.[^']+)'", check)
    assert list(workers) == [pattern.replace("[", "").replace("]", "") for pattern in patterns]
    for worker, pattern in zip(workers, patterns, strict=True):
        assert (True, False) == (bool(re.search(pattern, worker)), bool(re.search(pattern, pattern)))
        assert importlib.util.find_spec(worker)


def test_no_folder_is_shared(config: Config) -> None:
    """A volume seen by both sides would be a way back: none is, nor is one inside another's."""
    services = config["services"]
    assert {"staging", "enclave", "gateway"} == {name for name, service in services.items() if mounts(service)}
    low, high, gateway = (set(mounts(services[name]).values()) for name in ("staging", "enclave", "gateway"))
    sender, receiver = ROOT / "pair" / "sender", ROOT / "pair" / "receiver"
    assert {str(sender), str(sender / "state"), str(ROOT / "outbox")} == low
    shared = {str(ROOT / "inbox"), str(ROOT / "index")}
    assert {str(receiver), str(receiver / "state")} | shared == high
    assert {str(receiver / "receiver.toml"), str(ROOT / "gateway-log")} | shared == gateway
    nested = [(a, b) for a in low for b in high | gateway if Path(a).is_relative_to(b) or Path(b).is_relative_to(a)]
    assert [] == nested


def test_the_gateway_only_reads_what_the_enclave_has(config: Config) -> None:
    """It can write its log, which nobody else mounts; of keys it has none."""
    service = config["services"]["gateway"]
    assert {"/log"} == {target for target, is_writable in rights(service).items() if is_writable}
    assert {"/diode/receiver.toml", "/inbox", "/index", "/log"} == mounts(service).keys()
    said = {key: service["environment"][f"DIODE_{key}"] for key in ("INBOX__PATH", "GATEWAY__INDEX", "GATEWAY__LOG")}
    assert {"INBOX__PATH": "/inbox", "GATEWAY__INDEX": "/index", "GATEWAY__LOG": "/log"} == said
    assert "/index" == config["services"]["enclave"]["environment"]["DIODE_GATEWAY__INDEX"]


def test_the_gateway_waits_for_nobody_and_nobody_for_it(config: Config) -> None:
    """Whether it serves is no business of the transfer: not even when services start."""
    assert not config["services"]["gateway"].get("depends_on")
    assert [] == [name for name, service in config["services"].items() if "gateway" in service.get("depends_on", {})]


def test_nothing_else_joins_the_sides(config: Config) -> None:
    """No service opens a port, borrows another's processes or memory, or is privileged."""
    ways = ("ports", "ipc", "pid", "volumes_from", "links", "privileged", "secrets", "configs", "extra_hosts")
    assert [] == [(name, way) for name, service in config["services"].items() for way in ways if service.get(way)]


def test_nobody_has_more_rights_than_needed(config: Config) -> None:
    """All roots are read-only, memory and processes are bounded; one capability is there, for what ends at once."""
    for name, service in config["services"].items():
        assert (True, ["ALL"]) == (service["read_only"], service["cap_drop"]), name
        assert ["no-new-privileges:true"] == service["security_opt"], name
        assert (["NET_ADMIN"] if name in ONCE else None) == service.get("cap_add"), name
        assert ("0:0" if name in ONCE else "1000:1000") == service["user"], name
        assert service["mem_limit"], name
        assert service["pids_limit"], name


def test_networks_neither_forward_nor_speak_ipv6(config: Config) -> None:
    """Whoever owns a network says so, because a host that runs Docker forwards, and containers inherit it."""
    for name in ("staging", "diode", "enclave-net", "gateway"):
        settings = config["services"][name]["sysctls"]
        assert "0" == str(settings["net.ipv4.ip_forward"])
        assert "1" == str(settings["net.ipv6.conf.all.disable_ipv6"])


def test_addresses_fit_together(config: Config) -> None:
    """Staging sends to the diode, the diode forwards to the enclave, and the enclave listens there."""
    services = config["services"]
    assert "diode:9000" == services["staging"]["environment"]["DIODE_LINK__TO"]
    assert ["diode", "link", "--listen", "low-side:9000", "--to", "enclave:9001"] == words(services["diode"])
    assert ["low-side"] == services["diode"]["networks"]["low"]["aliases"]
    assert ["enclave"] == services["enclave-net"]["networks"]["high"]["aliases"]
    assert "0.0.0.0:9001" == services["enclave"]["environment"]["DIODE_LINK__LISTEN"]
    assert ["--listen", "0.0.0.0:8080"] == words(services["gateway"])[-2:]
    assert "http://gateway:8080" == services["gateway"]["environment"]["DIODE_GATEWAY__URL"]


def test_renames_stay_on_one_mount(config: Config) -> None:
    """What the daemons rename, they rename within one mount."""
    staging, enclave = config["services"]["staging"], config["services"]["enclave"]
    folders = [staging["environment"][f"DIODE_OUTBOX__{name}"] for name in ("PATH", "SENT", "FAILED")]
    assert ["/outbox", "/outbox/.sent", "/outbox/.failed"] == folders
    assert {"/outbox", "/diode", "/diode/state"} == mounts(staging).keys()
    assert "/inbox" == enclave["environment"]["DIODE_INBOX__PATH"]
    assert {"/inbox", "/index", "/diode", "/diode/state"} == mounts(enclave).keys()
