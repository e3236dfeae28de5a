"""Read-only access to this host for the checks: files of /proc and /sys, and the output of commands."""

import ipaddress
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from diode.process.programs import environment

IFF_UP: Final = 0x1
IFF_NOARP: Final = 0x80
IFF_MULTICAST: Final = 0x1000
_TCP_LISTEN: Final = "0A"
_TIMEOUT_S: Final = 10.0


class OpenSocket(NamedTuple):
    """A socket that takes packets: ``tcp``, ``udp`` or ``raw``, where it is bound to, and its inode."""

    kind: str
    address: str
    port: int
    inode: int


class Host:
    """Reads the host, and changes nothing. Tests replace it by a fake."""

    def read(self, path: str) -> str:
        """The content of a file without surrounding white space; "" when it cannot be read."""
        try:
            return Path(path).read_text(errors="replace").strip()
        except OSError:
            return ""

    def number(self, path: str) -> int | None:
        """The number in a file; None when it has none."""
        text = self.read(path)
        try:
            return int(text, 0)
        except ValueError:
            return None

    def run(self, *command: str) -> str | None:
        """The output of a command; None when it is not installed, fails, or does not end in time."""
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                check=False,
                timeout=_TIMEOUT_S,
                cwd="/",
                env=environment(LC_ALL="C"),
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout if done.returncode == 0 else None

    def answer(self, *command: str) -> Any:
        """The output of a command, parsed as JSON; None when it printed none."""
        try:
            return json.loads(self.run(*command) or "null")
        except ValueError:
            return None

    def interface_with(self, address: str) -> str | None:
        """The interface that has this address."""
        for link in self.answer("ip", "-j", "address", "show") or []:
            if any(info.get("local") == address for info in link.get("addr_info", [])):
                return str(link["ifname"])
        return None

    def interface_towards(self, address: str) -> str | None:
        """The interface by which packets to this address leave."""
        routes = self.answer("ip", "-j", "route", "get", address) or []
        return str(routes[0]["dev"]) if routes and "dev" in routes[0] else None

    def addresses(self, interface: str) -> set[str]:
        """The addresses of an interface."""
        links = self.answer("ip", "-j", "address", "show", "dev", interface) or []
        return {info["local"] for link in links for info in link.get("addr_info", []) if "local" in info}

    def flags(self, interface: str) -> int:
        """The IFF_* flags that were set; 0 when there is no such interface. sysfs lacks IFF_RUNNING, the signal."""
        return self.number(f"/sys/class/net/{interface}/flags") or 0

    def sockets(self) -> Iterator[OpenSocket]:
        """The sockets that can receive packets from elsewhere: bound ones, and raw ones."""
        for kind in ("udp", "udp6", "tcp", "tcp6", "raw", "raw6"):
            for line in self.read(f"/proc/net/{kind}").splitlines()[1:]:
                fields = line.split()
                address, port = fields[1].split(":")
                if kind.startswith("tcp") and fields[3] != _TCP_LISTEN:
                    continue
                yield OpenSocket(kind.removesuffix("6"), _address(address), int(port, 16), int(fields[9]))


def _address(text: str) -> str:
    """The kernel writes addresses as words of the host's byte order, in hexadecimal."""
    data = bytes.fromhex(text)
    words = [data[at : at + 4][::-1] for at in range(0, len(data), 4)]
    return str(ipaddress.ip_address(b"".join(words)))
