"""Sigstore, offline, by the extra ``staging``: a real signature of a real person, and everything that is none."""

import hashlib
import shutil
import sys
from pathlib import Path

import pytest

from diode.config.intake import Intake
from diode.errors import UsageError
from sender.intake.candidate import Progress, make_candidate
from sender.intake.pipeline import Pipeline
from sender.intake.verdict import Reason, Verdict
from sender.outbox.hashing import hash_content
from sender.outbox.scan import collect
from tests.sender.intake.conftest import Judge
from tests.sender.intake.test_pipeline import outcome
from tests.sender.intake.vendors import oms_vectors

WHO = {"identity": "stefanb@us.ibm.com", "issuer": "https://sigstore.verify.ibm.com/oauth2"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The public instance's trusted root, as the library carries it."""
    sigstore = pytest.importorskip("sigstore", reason="needs the extra: pip install 'diode[staging]'")
    (found,) = (Path(sigstore.__file__).parent / "_store").glob("*tuf-repo-cdn.sigstore.dev/trusted_root.json")
    return Path(shutil.copyfile(found, tmp_path / "trusted_root.json"))


def judge_published(folder: Path, root: Path, **who: str) -> Verdict:
    """The verdict on a published model, signed by Sigstore."""
    vectors = oms_vectors()
    model = folder / "model"
    shutil.copytree(vectors / "signed/v1.1.0-certificate", model)
    (model / "ignore-me").unlink()
    shutil.copyfile(vectors / "spec/test-vectors/v1.0/valid/sigstore.bundle.json", model / "model.sig")
    sources = collect([model], "refuse")
    candidate = make_candidate("weights", "model", "1", sources, hash_content(sources, 1 << 20), Progress())
    settings = Intake.model_validate({"oms": {"sigstore": {"trusted_root": root, **who}}})
    return Pipeline(settings, folder / "copies").run(candidate)


def test_model_signed_by_a_person(tmp_path: Path, root: Path) -> None:
    """Certificate, transparency log and digests of all files, without any network."""
    verdict = judge_published(tmp_path, root, **WHO)
    assert None is verdict.failed


@pytest.mark.parametrize("wrong", [{"identity": "mallory@us.ibm.com"}, {"issuer": "https://accounts.google.com"}])
def test_somebody_else(tmp_path: Path, root: Path, wrong: dict[str, str]) -> None:
    """A valid signature by another person, or vouched for by somebody else, is refused."""
    assert ("oms", "rejected", Reason.SIGNATURE) == outcome(judge_published(tmp_path, root, **{**WHO, **wrong}))


@pytest.mark.parametrize(
    ("bundle", "reason"),
    [
        (None, Reason.SIGNATURE_MISSING),
        (b"", Reason.SIGNATURE_MALFORMED),
        (b"{}", Reason.SIGNATURE_MALFORMED),
        (b"[" * 100_000, Reason.SIGNATURE_MALFORMED),
        ("valid/sigstore", Reason.SIGNATURE),  # of a statement, not of this file
        ("valid/certificate", Reason.SIGNATURE_MALFORMED),
        ("valid/key", Reason.SIGNATURE_MALFORMED),
        ("invalid/missing-tlog-entries", Reason.SIGNATURE_MALFORMED),
    ],
)
def test_bundles_beside_files(judge: Judge, root: Path, bundle: bytes | str | None, reason: Reason) -> None:
    """None, garbage, of something else, by other means: each refused."""
    files = {"a.txt": b"text"}
    if isinstance(bundle, str):
        bundle = (oms_vectors() / f"spec/test-vectors/v1.0/{bundle}.bundle.json").read_bytes()
    if bundle is not None:
        files["a.txt.sigstore.json"] = bundle
    assert ("sigstore", "rejected", reason) == outcome(judge(files, sigstore={"trusted_root": root, **WHO}))


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"mediaType": "x"}'])
def test_root_that_is_none(judge: Judge, root: Path, content: bytes | None) -> None:
    """A root that cannot be read is a mistake of the configuration."""
    root.unlink()
    if content is not None:
        root.write_bytes(content)
    with pytest.raises(UsageError, match="trusted root"):
        judge({"a": b"a"}, sigstore={"trusted_root": root, **WHO})


def test_without_the_extra(judge: Judge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The configuration asks for what is not installed: the error says what to type."""
    monkeypatch.setitem(sys.modules, "sigstore", None)
    monkeypatch.setitem(sys.modules, "sigstore.models", None)
    with pytest.raises(UsageError, match="pip install 'diode"):
        judge({"a": b"a"}, sigstore={"trusted_root": tmp_path / "root", **WHO})


def test_digest_of_the_file_is_what_is_verified(judge: Judge, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library is asked about the SHA-256 that was computed of the very file beside the bundle."""
    verifier = pytest.importorskip("sigstore.verify").Verifier
    asked = []
    monkeypatch.setattr(verifier, "verify_artifact", lambda _, digest, bundle, policy: asked.append(digest.digest))
    bundle = (oms_vectors() / "spec/test-vectors/v1.0/valid/sigstore.bundle.json").read_bytes()
    files = {"a.txt": b"text", "a.txt.sigstore.json": bundle}
    assert judge(files, sigstore={"trusted_root": root, **WHO}).accepted
    assert [hashlib.sha256(b"text").digest()] == asked
