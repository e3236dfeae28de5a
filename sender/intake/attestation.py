"""A verdict as one signed SLSA verification summary, shortened until it fits into a manifest."""

from typing import Any, Final

from securesystemslib.signer import Signer

from diode.attestation import attest, subject_of
from diode.errors import LimitError
from diode.intake_settings import Intake
from sender.intake.verdict import MOST_DETAIL, Verdict, bounded
from sender.packing import Content

MOST_INPUTS: Final = 64
MOST_SBOMS: Final = 16
_DETAILS: Final = (MOST_DETAIL, 100, 0)


def attest_verdict(verdict: Verdict, settings: Intake, label: str, content: Content, now: str, signer: Signer) -> str:
    """The envelope's text, at most 64 KiB whatever the item: details are cut and long lists left out, and it says so.

    ``label``: channel/name/version. ``signer``: the sender's service key.
    """
    assert verdict.accepted
    subject = subject_of(label, content.files, content.entries)
    policy = settings.model_dump(mode="json")
    tools = {check.name: check.tool for check in verdict.checks if check.tool}
    # the specification wants all that verification rested on, or none
    papers = verdict.inputs if len(verdict.inputs) <= MOST_INPUTS else ()
    for most in _DETAILS:
        inputs = [{"uri": bounded(f"data/{p.path}", most), "digest": {"sha256": p.sha256}} for p in papers if most]
        try:
            return attest(subject, policy, _facts(verdict, most), now, signer, tools=tools, inputs=inputs)
        except LimitError:
            continue
    raise AssertionError("an attestation without details does not fit")


def _facts(verdict: Verdict, most: int) -> dict[str, Any]:
    checks = []
    for check in verdict.checks:
        facts = check.facts()
        detail = bounded(check.detail, most)
        checks.append(facts | {"detail": detail} if detail else {k: v for k, v in facts.items() if k != "detail"})
    facts = {"checks": checks, "sboms": [sbom.facts() for sbom in verdict.sboms[:MOST_SBOMS]]}
    left_out = {"sboms": max(0, len(verdict.sboms) - MOST_SBOMS), "inputs": len(verdict.inputs)}
    if len(verdict.inputs) <= MOST_INPUTS and most:
        del left_out["inputs"]
    return facts | {"left_out": found} if (found := {k: v for k, v in left_out.items() if v}) else facts
