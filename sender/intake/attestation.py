"""A verdict as one signed SLSA verification summary, shortened until it fits into a manifest."""

from typing import Any, Final, NamedTuple

from diode.bundle.attestation import attest, subject_of
from diode.config.intake import Intake
from diode.errors import LimitError
from diode.formats.escape import bounded
from diode.formats.signers import Signer
from sender.intake.verdict import MOST_DETAIL, Verdict
from sender.outbox.hashing import Content


class _Room(NamedTuple):
    """How much is said: characters of a detail and of a tool's name, how many SBOMs, inputs and changes."""

    detail: int
    tool: int
    sboms: int
    inputs: int
    changes: int


_ROOMS: Final = (_Room(MOST_DETAIL, 200, 16, 64, 200), _Room(100, 40, 4, 16, 20), _Room(0, 40, 0, 0, 0))


def attest_verdict(verdict: Verdict, settings: Intake, label: str, content: Content, now: str, signer: Signer) -> str:
    """The text of the signed envelope, of 64 KiB at most.

    When an item has more to tell, details are cut and long lists are left out, and the attestation says that they
    were. ``label`` is channel/name/version; ``signer`` is the sender's service key.
    """
    assert verdict.accepted
    subject = subject_of(label, content.files, content.entries)
    policy = settings.model_dump(mode="json")
    for room in _ROOMS:
        tools = {check.name: bounded(check.tool, room.tool) for check in verdict.checks if check.tool}
        # the specification of VSA wants all inputs of the verification listed, or none
        vouched_for = verdict.inputs if len(verdict.inputs) <= room.inputs else ()
        inputs = [{"uri": f"data/{paper.path}", "digest": {"sha256": paper.sha256}} for paper in vouched_for]
        try:
            return attest(subject, policy, _found(verdict, room), now, signer, tools=tools, inputs=inputs)
        except LimitError:
            continue
    raise AssertionError("an attestation without details does not fit")


def _found(verdict: Verdict, room: _Room) -> dict[str, Any]:
    checks = []
    for check in verdict.checks:
        short: dict[str, Any] = {
            "detail": bounded(check.detail, room.detail),
            "tool": bounded(check.tool, room.tool),
            "changes": list(check.changes[: room.changes]),
        }
        facts = {key: short.get(key, value) for key, value in check.facts().items()}
        checks.append({key: value for key, value in facts.items() if value not in ("", [])})
    found: dict[str, Any] = {"checks": checks, "sboms": [sbom.facts() for sbom in verdict.sboms[: room.sboms]]}
    left_out = {
        "sboms": len(verdict.sboms[room.sboms :]),
        "changes": sum(len(check.changes[room.changes :]) for check in verdict.checks),
    }
    if len(verdict.inputs) > room.inputs:
        left_out["inputs"] = len(verdict.inputs)
    if any(left_out.values()):
        found["left_out"] = {key: count for key, count in left_out.items() if count}
    return found
