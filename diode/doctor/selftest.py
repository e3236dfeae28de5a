"""``diode doctor --selftest``: tries to send out of a receiving host, and writes signed evidence of what happened.

Gateways must be tested after every change and every six months. The evidence holds the findings of all checks, the
rules as the kernel has them, and the tries of a rogue process, with the interface's own count of frames before and
after.
"""

import json
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from diode.doctor import nftables as oneway
from diode.doctor.findings import Site
from diode.doctor.report import Report, as_json
from diode.doctor.rogue import Rogue
from diode.errors import FindingsError, TrustError, UsageError
from diode.formats.canonical import canonical
from diode.formats.signers import Envelope, Key
from diode.trust.keys import read_signer

PAYLOAD_TYPE: Final = "application/vnd.diode.evidence.v1+json"
TIMES: Final = 12
_SETTLE_S: Final = 0.5


def prove(site: Site) -> dict[str, Any]:
    """Run the rogue on a receiving host with its rules in place. Returns what it tried and what left.

    Raises UsageError when it cannot be run here, and FindingsError when a frame left.
    """
    if site.role != "receiver" or site.interface in (None, "lo"):
        raise UsageError("the self-test is played on the receiving host, on the diode's interface (-i)")
    rules = oneway.Rules("receiver", str(site.interface), site.source, site.address.port)
    before = oneway.check(rules)
    if before.differences:
        raise UsageError("the rules are not in place, so a rogue would be heard; nothing was sent. See 'diode oneway'")
    here = next((a for a in sorted(site.host.addresses(rules.interface)) if ":" not in a), "0.0.0.0")  # noqa: S104
    frames = _frames(site, rules.interface)
    tried, taken = Rogue(rules.interface, here, site.source or _beside(here)).run(TIMES)
    time.sleep(_SETTLE_S)
    left = _frames(site, rules.interface) - frames
    dropped = oneway.check(rules).counters[oneway.OUT] - before.counters[oneway.OUT]
    if left:
        raise FindingsError(f"{left} frames left by {rules.interface} of {tried} tries, although the rules are there")
    return {"tried": tried, "taken_by_the_kernel": taken, "dropped_by_the_rules": dropped, "left": left}


def evidence(site: Site, report: Report, proof: dict[str, Any] | None) -> dict[str, Any]:
    """Everything that was seen, as data that can be signed."""
    ruleset = site.host.run("nft", "-s", "list", "ruleset") if os.geteuid() == 0 else None
    return {
        "format": "diode-evidence-1",
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "host": platform.node(),
        "kernel": platform.release(),
        "diode": version("diode"),
        "ruleset": ruleset or "",
        "selftest": proof,
        **as_json(site, report),
    }


def write_evidence(pack: dict[str, Any], path: Path, key: Path) -> str:
    """Sign ``pack`` with the key in the file ``key``, and write it to the new file ``path``. Returns the key's id."""
    signer = read_signer(key)
    envelope = Envelope(canonical(pack), PAYLOAD_TYPE, {})
    envelope.sign(signer)
    try:
        with path.open("xb") as file:
            file.write(canonical(envelope.to_dict()))
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
    return str(signer.public_key.keyid)


def read_evidence(path: Path, key: Key) -> dict[str, Any]:
    """Read an evidence pack, which ``key`` must have signed. Raises UsageError, TrustError."""
    try:
        envelope = Envelope.from_dict(json.loads(path.read_bytes()))
        if envelope.payload_type != PAYLOAD_TYPE:
            raise ValueError("another type of content")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except Exception as error:  # the parser of a library may raise anything
        raise UsageError(f"{path} holds no evidence: {error}") from error
    try:
        envelope.verify([key], 1)
    except Exception as error:
        raise TrustError(f"{path} is not signed by key {key.keyid}") from error
    pack: dict[str, Any] = json.loads(envelope.payload)
    return pack


def _frames(site: Site, interface: str) -> int:
    """Frames that the interface has sent, by its own count."""
    return site.host.number(f"/sys/class/net/{interface}/statistics/tx_packets") or 0


def _beside(address: str) -> str:
    """Another address of the same small network."""
    head, _, last = address.rpartition(".")
    return f"{head}.{int(last) ^ 3}"
