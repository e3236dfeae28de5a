"""docker-compose.yml as Compose itself reads it: valid, and with one way only between staging and enclave."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
COMMANDS = {"v2": ("docker", "compose"), "v1": ("docker-compose",)}

Config = dict[str, Any]


def run(*command: str) -> "subprocess.CompletedProcess[str]":
    """Run a Compose command on the file, with nothing of our environment that it would interpolate."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DIODE_", "COMPOSE_"))}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def is_there(command: tuple[str, ...]) -> bool:
    """Whether this Compose is installed."""
    return shutil.which(command[0]) is not None and run(*command, "version").returncode == 0


@pytest.fixture(params=COMMANDS, scope="module")
def config(request: pytest.FixtureRequest) -> Config:
    """The resolved configuration."""
    command = COMMANDS[request.param]
    if not is_there(command):
        pytest.skip(f"{' '.join(command)} is not installed")
    done = run(*command, "config", *(("--format", "json") if request.param == "v2" else ()))
    assert (0, "") == (done.returncode, done.stderr)
    return json.loads(done.stdout) if request.param == "v2" else read_block(done.stdout.splitlines())


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


def words(service: Config) -> list[str]:
    """The command, of either notation."""
    command = service["command"]
    return command.split() if isinstance(command, str) else list(command)


def test_three_services_of_one_image(config: Config) -> None:
    """Staging, diode and enclave run from the image that `make image` builds."""
    services = config["services"]
    assert {"staging": "diode:local", "diode": "diode:local", "enclave": "diode:local"} == {
        name: service["image"] for name, service in services.items()
    }


def test_only_the_diode_joins_both_networks(config: Config) -> None:
    """Staging and enclave share no network, and the enclave's reaches nothing outside."""
    networks = {name: set(service["networks"]) for name, service in config["services"].items()}
    assert {"staging": {"low"}, "diode": {"low", "high"}, "enclave": {"high"}} == networks
    assert config["networks"]["high"]["internal"] is True


def test_no_folder_is_shared(config: Config) -> None:
    """A volume seen by both sides would be a way back: none is, nor is one inside another."""
    services = config["services"]
    assert {} == mounts(services["diode"])
    low, high = (set(mounts(services[name]).values()) for name in ("staging", "enclave"))
    assert {str(ROOT / "pair" / "sender"), str(ROOT / "outbox")} == low
    assert {str(ROOT / "pair" / "receiver"), str(ROOT / "inbox")} == high
    nested = [(a, b) for a in low for b in high if Path(a).is_relative_to(b) or Path(b).is_relative_to(a)]
    assert [] == nested


def test_nothing_else_joins_the_sides(config: Config) -> None:
    """No service opens a port, borrows another's namespace, or is privileged."""
    ways = (
        "ports",
        "network_mode",
        "ipc",
        "pid",
        "volumes_from",
        "links",
        "privileged",
        "cap_add",
        "secrets",
        "configs",
    )
    assert [] == [(name, way) for name, service in config["services"].items() for way in ways if service.get(way)]


def test_addresses_fit_together(config: Config) -> None:
    """Staging sends to the diode, the diode forwards to the enclave, and the enclave listens there."""
    services = config["services"]
    assert "diode:9000" == services["staging"]["environment"]["DIODE_LINK__TO"]
    assert ["diode", "link", "--listen", "0.0.0.0:9000", "--to", "enclave:9001"] == words(services["diode"])
    assert "0.0.0.0:9001" == services["enclave"]["environment"]["DIODE_LINK__LISTEN"]


def test_renames_stay_on_one_mount(config: Config) -> None:
    """What the daemons rename, they rename within one mount."""
    staging, enclave = config["services"]["staging"], config["services"]["enclave"]
    folders = [staging["environment"][f"DIODE_OUTBOX__{name}"] for name in ("PATH", "SENT", "FAILED")]
    assert ["/outbox", "/outbox/.sent", "/outbox/.failed"] == folders
    assert {"/outbox", "/diode"} == mounts(staging).keys()
    assert "/inbox" == enclave["environment"]["DIODE_INBOX__PATH"]
    assert {"/inbox", "/diode"} == mounts(enclave).keys()
