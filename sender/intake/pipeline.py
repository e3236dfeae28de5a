"""Composes the checks of one channel from its settings, and runs them over an item.

It fails closed: an error in a check refuses the item.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from diode.config.intake import Intake, ModelSigning
from diode.formats.escape import bounded
from diode.identity.kept import IDENTITY_FOLDER, Kept
from diode.log import log
from diode.process.judges import Surroundings
from diode.storage.database import LEDGER_FILE
from sender.intake.candidate import Candidate, StoppedError
from sender.intake.closure import check_closure
from sender.intake.contents import check_contents
from sender.intake.detached import DetachedKey
from sender.intake.examiner import Examine, examine_apart
from sender.intake.hooks import check_hook
from sender.intake.identity import IdentityCheck
from sender.intake.limits import check_limits
from sender.intake.minisign import MinisignKey
from sender.intake.model_signing import ModelKey, Opener, check_model
from sender.intake.private_copy import PrivateCopy
from sender.intake.sbom import check_sboms
from sender.intake.scanning import check_scanned
from sender.intake.signed import SignatureKey, check_signed
from sender.intake.sigstore import SigstoreIdentity
from sender.intake.sums import check_sums
from sender.intake.verdict import MOST_DETAIL, Check, Finding, Outcome, Reason, RefusedError, Verdict

CHECK_UNCHANGED: Final = "unchanged"

CheckStep = Callable[[Candidate], Finding]


class Pipeline:
    """The checks that one channel declares, in their order, cheap ones first."""

    def __init__(
        self,
        settings: Intake,
        copies: Path,
        around: Surroundings | None = None,
        examine: Examine = examine_apart,
        state: Path | None = None,
        *,
        copy: str = "item",
    ) -> None:
        """Read keys and look for tools.

        ``copies`` is the folder for private copies, which some hooks read; this pipeline's is called ``copy`` there.
        ``around`` says what hooks can see. ``examine`` examines the content of files. ``state`` is the sender's folder,
        which knows what was sent before.

        Raises UsageError, NotInitialisedError.
        """
        around = around or Surroundings()
        self._copy = PrivateCopy(copies, copy)
        self.steps: dict[str, CheckStep] = {"limits": partial(check_limits, settings)}
        if not settings.rules.are_none:
            self.steps["content"] = partial(check_contents, settings, examine)
        self.identity: IdentityCheck | None = None
        if settings.identity is not None:
            kept = None if state is None else Kept(state / IDENTITY_FOLDER)
            self.identity = IdentityCheck(settings.identity, copies, kept, copy)
            self.steps["identity"] = self.identity.check
        self._add_vendors(settings)
        self.steps["sbom"] = check_sboms
        if settings.closure is not None:
            self.steps["closure"] = partial(
                check_closure, settings.closure, None if state is None else state / LEDGER_FILE
            )
        if settings.clamd is not None:
            self.steps["clamd"] = partial(check_scanned, settings.clamd)
        if any(hook.reads == "copy" for hook in settings.hooks):
            self.steps["copy"] = self._copy.make
        for number, hook in enumerate(settings.hooks, 1):
            self.steps[f"hook {number} {bounded(hook.run[0].rpartition('/')[2], 40)}"] = partial(
                check_hook, hook, around
            )
        self.steps[CHECK_UNCHANGED] = _check_unchanged

    def _add_vendors(self, settings: Intake) -> None:
        """Add the checks of who made an item: its list of digests, signatures of files, the signature of a model."""
        keys: dict[str, SignatureKey] = {}
        if settings.minisign is not None:
            keys["minisign"] = MinisignKey(settings.minisign)
        if settings.key is not None:
            keys["signature"] = DetachedKey(settings.key, settings.key_suffix)
        if settings.sigstore is not None:
            keys["sigstore"] = SigstoreIdentity(settings.sigstore, settings.sigstore_suffix)
        suffixes, sums = tuple(key.suffix for key in keys.values()), settings.sha256sums
        for name, key in keys.items():
            self.steps[name] = partial(check_signed, key, sums, suffixes)
        vouched_for = {settings.oms.file} if settings.oms is not None else set()
        if sums is not None:
            vouched_for |= {sums, *(sums + suffix for suffix in suffixes)}
            self.steps["sha256sums"] = partial(check_sums, sums, frozenset(vouched_for))
        if settings.oms is not None:
            self.steps["oms"] = partial(check_model, settings.oms, _opener(settings.oms), frozenset(vouched_for))

    def run(self, candidate: Candidate) -> Verdict:
        """Check an item. Every error becomes part of the verdict; only StoppedError is passed on to the caller."""
        is_accepted = False
        try:
            verdict = self._run(candidate)
            is_accepted = verdict.accepted
        finally:
            self._copy.remove()
            if self.identity is not None and not is_accepted:
                self.identity.drop()
        return verdict

    def _run(self, candidate: Candidate) -> Verdict:
        checks: list[Check] = []
        refused = False
        for name, step in self.steps.items():
            if refused:
                checks.append(Check(name, "skipped"))
                continue
            candidate.progress.begin(name, candidate.size)
            checks.append(_run(name, step, candidate))
            refused = checks[-1].outcome != "passed"
        return Verdict(tuple(checks), tuple(candidate.inputs), tuple(candidate.sboms))


def _run(name: str, step: CheckStep, candidate: Candidate) -> Check:
    started = candidate.progress.clock()
    try:
        candidate.progress.tick()
        finding = step(candidate)
    except StoppedError:
        raise
    except RefusedError as refusal:
        outcome: Outcome = "error" if refusal.reason.is_failure else "rejected"
        return Check(
            name,
            outcome,
            refusal.reason,
            bounded(refusal.detail, MOST_DETAIL),
            missing=refusal.missing,
            seconds=candidate.progress.clock() - started,
        )
    except Exception as error:  # a check that breaks has not passed
        log.exception("intake_check_crashed", check=name)
        detail = bounded(f"the check itself broke: {error!r}", MOST_DETAIL)
        return Check(name, "error", Reason.CRASHED, detail, seconds=candidate.progress.clock() - started)
    return Check(
        name,
        "passed",
        detail=bounded(finding.detail, MOST_DETAIL),
        tool=bounded(finding.tool, 200),
        database=bounded(finding.database, 50),
        counts=finding.counts,
        inside=finding.inside,
        unopened=finding.unopened,
        auto_map=finding.auto_map,
        changes=finding.changes,
        seconds=candidate.progress.clock() - started,
    )


def _opener(settings: ModelSigning) -> Opener:
    if settings.key is not None:
        return ModelKey(settings.key).open
    assert settings.sigstore is not None
    return SigstoreIdentity(settings.sigstore).open


def _check_unchanged(candidate: Candidate) -> Finding:
    """The last check: no file has changed since it was hashed."""
    candidate.prove_unchanged()
    return Finding(counts={"files": len(candidate.files)})
