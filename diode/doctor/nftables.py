"""Writes and verifies the kernel rules that make an interface one-way: one nftables table for each interface.

On the receiving side nothing may leave by the diode's interface, whoever sends it: the ``egress`` hook sees every
frame, including those of raw sockets. Incoming frames are dropped before any protocol sees them, except UDP to the
receiver's port. On the sending side nothing may come in. nftables' ``egress`` hook needs Linux 5.16.

The table is written in one transaction and compared as a whole. Removing it leaves all other rules as they were.
"""

import difflib
import ipaddress
import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from diode.audit.chain import Side
from diode.errors import FindingsError, KernelError, UsageError
from diode.process.programs import environment

OUT: Final = "tried to leave"
IN: Final = "accepted"
REFUSED: Final = "refused"
_EGRESS: Final = f"""
	chain egress {{
		type filter hook egress device "%s" priority -500; policy drop;
		counter comment "{OUT}"
	}}
"""
_INGRESS: Final = f"""
	chain ingress {{
		type filter hook ingress device "%s" priority -500; policy drop;
%s		counter comment "{REFUSED}"
	}}
"""
_NO_FRAGMENTS: Final = f'\t\tip frag-off & 16383 != 0 counter drop comment "{REFUSED}"\n'
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}")
_TIMEOUT_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Rules:
    """What one interface lets through.

    ``source`` is where the receiver's datagrams come from, ``port`` where they go to.
    """

    role: Side
    interface: str
    source: str | None = None
    port: int | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.interface):
            raise UsageError(f"{self.interface!r} is no name of an interface")
        if self.source is not None:
            try:
                ipaddress.ip_address(self.source)
            except ValueError:
                raise UsageError(f"{self.source!r} is no IP address") from None

    @property
    def table(self) -> str:
        """The name of the table for this interface."""
        return "diode_" + re.sub(r"\W", "_", self.interface)

    def text(self) -> str:
        """The table in the language of ``nft``."""
        accept = ""
        if self.role == "receiver":
            family = "ip6" if self.source and ":" in self.source else "ip"
            source = f"{family} saddr {self.source} " if self.source else ""
            accept = f'{_NO_FRAGMENTS}\t\t{source}udp dport {self.port} counter accept comment "{IN}"\n'
        egress = _EGRESS % self.interface if self.role == "receiver" else ""
        return f"table netdev {self.table} {{{egress}{_INGRESS % (self.interface, accept)}}}\n"


@dataclass(frozen=True, slots=True)
class RuleState:
    """The rules in the kernel: ``counters`` are packets by outcome; ``differences`` is empty when all is well.

    ``is_there`` tells a table that somebody changed from one that is missing.
    """

    is_there: bool
    differences: tuple[str, ...]
    counters: dict[str, int]


def check(rules: Rules) -> RuleState:
    """Compare the kernel's table with ``rules``. Raises KernelError or UsageError when the kernel cannot be asked."""
    require_interface(rules.interface)
    listed = _nft("-s", "list", "tables", "netdev")
    if f"table netdev {rules.table}" not in listed.splitlines():
        return RuleState(False, (f"interface {rules.interface} has no table {rules.table}",), {})
    wanted, found = _normal(rules.text()), _normal(_nft("-s", "list", "table", "netdev", rules.table))
    lines = difflib.unified_diff(wanted, found, n=0, lineterm="")
    differences = tuple(line for line in lines if not line.startswith(("---", "+++", "@@")))
    return RuleState(True, differences, _counters(rules.table))


def install(rules: Rules, *, replace: bool = False) -> RuleState:
    """Write the table in one transaction, and read it back. A table that is there already and as wanted stays.

    Raises FindingsError when somebody else changed the table and ``replace`` is not set, and UsageError when the
    interface carries the default route. Nothing is changed in these cases. Raises KernelError when the kernel refuses
    the table; one that the kernel took differently is removed again.
    """
    before = check(rules)
    if before.is_there and before.differences and not replace:
        raise FindingsError(
            f"table {rules.table} is not what this would write; nothing was changed. --replace writes it anew:\n"
            + "\n".join(before.differences)
        )
    if before.is_there and not before.differences:
        return before
    if rules.interface in default_routes():
        raise UsageError(
            f"{rules.interface} carries the default route: these rules would cut this host off. The diode needs an "
            "interface of its own"
        )
    table = f"table netdev {rules.table}"
    _nft("-f", "-", given=f"{table} {{}}\ndelete {table}\n{rules.text()}")
    after = check(rules)
    if after.differences:
        _nft("delete", "table", "netdev", rules.table)
        raise KernelError(
            f"the kernel did not take table {rules.table} as written; it was removed:\n" + "\n".join(after.differences)
        )
    return after


def remove(rules: Rules) -> bool:
    """Remove the table. Returns whether there was one."""
    if not check(rules).is_there:
        return False
    _nft("delete", "table", "netdev", rules.table)
    return True


def require_interface(name: str) -> None:
    """Raise UsageError when there is no such interface."""
    if not Path("/sys/class/net", name).exists():
        found = ", ".join(sorted(path.name for path in Path("/sys/class/net").iterdir() if path.is_dir()))
        raise UsageError(f"there is no interface {name}; there are: {found}")


def default_routes() -> set[str]:
    """The interfaces that have a default route, of IPv4 or IPv6."""
    found = set()
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        name, destination, _, _, _, _, _, mask, *_ = line.split()
        if (destination, mask) == ("00000000", "00000000"):
            found.add(name)
    try:
        lines = Path("/proc/net/ipv6_route").read_text().splitlines()
    except FileNotFoundError:
        return found
    for line in lines:
        destination, length, *_, flags, name = line.split()
        is_reject = int(flags, 16) & 0x0200
        if (destination, length) == ("0" * 32, "00") and not is_reject:
            found.add(name)
    return found


def _counters(table: str) -> dict[str, int]:
    counters: dict[str, int] = {}
    for item in json.loads(_nft("-j", "list", "table", "netdev", table))["nftables"]:
        rule = item.get("rule", {})
        for expression in rule.get("expr", []):
            if "counter" in expression:
                name = rule.get("comment", "")
                counters[name] = counters.get(name, 0) + expression["counter"]["packets"]
    return counters


def _normal(text: str) -> list[str]:
    """Lines that mean the same are the same: versions of ``nft`` differ in numbers, quotes and spaces."""
    text = re.sub(r"0x[0-9a-f]+", lambda number: str(int(number[0], 16)), text)
    text = re.sub(r'devices? (?:= )?(?:\{ )?"?([\w.-]+)"?(?: \})?', r"device \1", text)
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def _nft(*arguments: str, given: str = "") -> str:
    """Run ``nft``. Raises UsageError when it is not there or this user may not, KernelError when it fails."""
    if os.geteuid() != 0:
        raise UsageError("nftables' rules are read and written by root only; type it after sudo")
    command = ("nft", *arguments)
    try:
        done = subprocess.run(
            command,
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
            cwd="/",
            env=environment(LC_ALL="C"),
        )
    except FileNotFoundError:
        raise UsageError("the command nft is not installed (Debian: apt install nftables)") from None
    except subprocess.TimeoutExpired:
        raise KernelError(f"nft did not answer for {_TIMEOUT_S:.0f} s; nothing was changed") from None
    if done.returncode:
        why = done.stderr.strip().splitlines()[0] if done.stderr.strip() else f"exit code {done.returncode}"
        hint = ""
        if "egress" in given and re.search(r"not supported|No such file|Could not process", why):
            hint = "; the egress hook needs Linux 5.16 with CONFIG_NETFILTER_EGRESS"
        raise KernelError(f"nft refused: {why}{hint}; nothing was changed")
    return done.stdout
