"""OpenSSF Model Signing: the project's published vectors, and what a bundle that is signed may still not say."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from diode.config.intake import Intake
from sender.intake.candidate import Progress, make_candidate
from sender.intake.pipeline import Pipeline
from sender.intake.verdict import Reason, Verdict
from sender.outbox.hashing import hash_content
from sender.outbox.scan import collect
from tests.sender.intake.conftest import Judge
from tests.sender.intake.test_pipeline import outcome
from tests.sender.intake.vendors import ModelSigner, oms_vectors, statement

FILES = {"model.safetensors": b"weights\n", "config/c.json": b"{}"}


def judge_copy(folder: Path, to: Path, bundle: Path | None = None, **oms: Any) -> Verdict:
    """The verdict on a copy of a signed model, with another bundle as its signature."""
    shutil.copytree(folder, to)
    if bundle is not None:
        shutil.copyfile(bundle, to / "model.sig")
    sources = collect([to], "refuse")
    candidate = make_candidate("weights", "model", "1", sources, hash_content(sources, 1 << 20), Progress())
    settings = Intake.model_validate({"oms": {"unsigned": ["ignore-me"], **oms}})
    return Pipeline(settings, to.with_name("copies")).run(candidate)


def test_published_model_by_key(tmp_path: Path) -> None:
    """A model that the project itself has signed with a P-384 key is taken."""
    signed = oms_vectors() / "signed"
    key = signed / "keys/signing-key-pub.pem"
    verdict = judge_copy(signed / "v1.1.0-elliptic-key", tmp_path / "m", key=key)
    assert (None, ["model.sig"]) == (verdict.failed, [paper.path for paper in verdict.inputs])
    assert "model 'v1.1.0-elliptic-key'; unsigned: 'ignore-me'" == next(
        c.detail for c in verdict.checks if c.name == "oms"
    )


def test_what_the_signer_ignored_is_not_let_through(tmp_path: Path) -> None:
    """The signer may call a file ignored; only what this channel knows as harmless may then lie there unsigned."""
    signed = oms_vectors() / "signed"
    key = signed / "keys/signing-key-pub.pem"
    verdict = judge_copy(signed / "v1.1.0-elliptic-key", tmp_path / "m", key=key, unsigned=[])
    assert ("oms", "rejected", Reason.FILE_EXTRA) == outcome(verdict)


VECTORS = [
    ("valid/key", None),
    ("valid/certificate", Reason.SIGNATURE_KEY),
    ("valid/sigstore", Reason.SIGNATURE_KEY),
    ("invalid/empty", Reason.SIGNATURE_MALFORMED),
    ("invalid/missing-envelope", Reason.SIGNATURE_MALFORMED),
    ("invalid/missing-tlog-entries", Reason.SIGNATURE_KEY),
    ("invalid/missing-verification-material", Reason.SIGNATURE_MALFORMED),
    ("invalid-payload/wrong-predicate", Reason.SIGNATURE),
]


@pytest.mark.parametrize(("name", "reason"), VECTORS, ids=[name for name, _ in VECTORS])
def test_vectors_of_the_specification(tmp_path: Path, name: str, reason: Reason | None) -> None:
    """Valid ones by key are taken, other methods and invalid ones refused, each for what is wrong with it."""
    vectors = oms_vectors()
    bundle = vectors / "spec/test-vectors/v1.0" / f"{name}.bundle.json"
    model, key = vectors / "signed/v1.1.0-elliptic-key", vectors / "signed/keys/signing-key-pub.pem"
    (without := tmp_path / "source").mkdir()
    for file in ("signme-1", "signme-2"):
        shutil.copyfile(model / file, without / file)
    verdict = judge_copy(without, tmp_path / "m", bundle, key=key)
    assert reason == (verdict.failed and verdict.failed.reason)


def test_every_vector_has_its_row() -> None:
    """A vector that is added to the folder is not silently left out."""
    folder = oms_vectors() / "spec/test-vectors/v1.0"
    names = {str(path.relative_to(folder)).removesuffix(".bundle.json") for path in folder.rglob("*.json")}
    assert {name for name, _ in VECTORS} == names


@pytest.fixture
def vendor(tmp_path: Path) -> tuple[ModelSigner, Path]:
    """Somebody who signs models, and their public key here."""
    signer, path = ModelSigner(), tmp_path / "hub.pem"
    path.write_bytes(signer.public)
    return signer, path


@pytest.mark.parametrize("hash_type", ["sha256", "blake3"])
def test_both_digests(judge: Judge, vendor: tuple[ModelSigner, Path], hash_type: str) -> None:
    """SHA-256 and BLAKE3, both computed while the item was hashed."""
    signer, key = vendor
    files = FILES | {"model.sig": signer.sign(statement(FILES, hash_type)), ".gitignore": b"*.tmp\n"}
    assert judge(files, oms={"key": key}).accepted


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model.safetensors": b"Weights\n"}, Reason.DIGEST),
        ({"hidden.sh": b"x"}, Reason.FILE_EXTRA),
        ({".gitattributes": b"x"}, Reason.FILE_EXTRA),  # harmless, and the signer did not say so
        ({"sub/.gitignore": b"x"}, Reason.FILE_EXTRA),
        ({"model.sig": b"{}"}, Reason.SIGNATURE_MALFORMED),
        ({"model.sig": b"[" * 100_000}, Reason.SIGNATURE_MALFORMED),
    ],
)
def test_tampered_after_signing(
    judge: Judge, vendor: tuple[ModelSigner, Path], change: dict[str, bytes], reason: Reason
) -> None:
    """Changed, added, replaced: refused."""
    signer, key = vendor
    files = FILES | {"model.sig": signer.sign(statement(FILES))} | change
    assert ("oms", "rejected", reason) == outcome(judge(files, oms={"key": key}))


def test_missing_and_unsigned(judge: Judge, item: Path, vendor: tuple[ModelSigner, Path]) -> None:
    """A file that was signed lacks; no signature; another signer's."""
    signer, key = vendor
    one = {"model.safetensors": FILES["model.safetensors"]}
    verdict = judge(one | {"model.sig": signer.sign(statement(FILES))}, oms={"key": key})
    assert ("oms", "rejected", Reason.FILE_MISSING) == outcome(verdict)
    verdict = judge({"model.sig": ModelSigner().sign(statement(one))}, oms={"key": key})
    assert ("oms", "rejected", Reason.SIGNATURE_KEY) == outcome(verdict)
    (item / "model.sig").unlink()
    assert ("oms", "rejected", Reason.SIGNATURE_MISSING) == outcome(judge(oms={"key": key}))


Change = Callable[[dict[str, Any]], Any]
STATEMENTS: dict[str, Change] = {
    "predicate_type": lambda s: s.update(predicateType="https://model_signing/Digests/v0.1"),
    "statement_type": lambda s: s.update(_type="https://in-toto.io/Statement/v0.1"),
    "shards": lambda s: s["predicate"]["serialization"].update(method="shards", shard_size=4),
    "blake2b": lambda s: s["predicate"]["serialization"].update(hash_type="blake2b"),
    "symlinks": lambda s: s["predicate"]["serialization"].update(allow_symlinks=True),
    "mixed digests": lambda s: s["predicate"]["resources"][0].update(algorithm="blake3"),
    "named twice": lambda s: s["predicate"]["resources"].append(s["predicate"]["resources"][0]),
    "root digest": lambda s: s["subject"][0]["digest"].update(sha256="00" * 32),
    "two subjects": lambda s: s["subject"].append(s["subject"][0]),
    "no resources": lambda s: s["predicate"].pop("resources"),
    "resource is text": lambda s: s["predicate"].update(resources=["model.safetensors"]),
    "digest is no text": lambda s: s["predicate"]["resources"][0].update(digest=7),
    "digest is no hex": lambda s: s["predicate"]["resources"][0].update(digest="xyz"),
    "subject is text": lambda s: s.update(subject=["model"]),
    "ignore list of lists": lambda s: s["predicate"]["serialization"].update(ignore_paths=[["a"]]),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_signed_and_still_not_right(judge: Judge, vendor: tuple[ModelSigner, Path], name: str) -> None:
    """A valid signature over a statement that is not one of v1.0, or contradicts itself."""
    signer, key = vendor
    stated = statement(FILES)
    STATEMENTS[name](stated)
    verdict = judge(FILES | {"model.sig": signer.sign(stated)}, oms={"key": key})
    assert ("oms", "rejected", Reason.STATEMENT) == outcome(verdict)


def test_key_twice_in_a_statement(judge: Judge, vendor: tuple[ModelSigner, Path]) -> None:
    """JSON that two readers read differently is not read; another payload type is another statement."""
    signer, key = vendor
    twice = json.dumps(statement(FILES)).encode()[:-1] + b', "predicateType": "https://model_signing/signature/v1.0"}'
    for bundle in (signer.sign(twice), signer.sign(statement(FILES), "application/json"), signer.sign(b"[]")):
        verdict = judge(FILES | {"model.sig": bundle}, oms={"key": key})
        assert ("oms", "rejected", Reason.STATEMENT) == outcome(verdict)
