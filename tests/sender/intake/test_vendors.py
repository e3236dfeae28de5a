"""Signatures of vendors over files: minisign, detached ones; and what somebody in between may try."""

import base64
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from diode.errors import UsageError
from sender.intake import detached, minisign
from sender.intake.verdict import Reason
from tests.sender.intake.conftest import Judge
from tests.sender.intake.test_pipeline import outcome
from tests.sender.intake.vendors import Minisigner, pem, sums

FILES = {"a.txt": b"first\n", "sub/b c.json": b"{}"}


@pytest.fixture
def vendor(tmp_path: Path) -> tuple[Minisigner, Path]:
    """Somebody who signs by minisign, and their public key here."""
    signer, path = Minisigner(), tmp_path / "acme.pub"
    path.write_bytes(signer.public)
    return signer, path


@pytest.mark.parametrize("legacy", [False, True])
def test_minisign_beside_every_file(judge: Judge, vendor: tuple[Minisigner, Path], legacy: bool) -> None:
    """Prehashed and legacy signatures; each file has its own."""
    signer, key = vendor
    signed = {path + ".minisig": signer.sign(content, legacy=legacy) for path, content in FILES.items()}
    verdict = judge(FILES | signed, minisign=key)
    assert (True, {"signatures": 2}) == (verdict.accepted, verdict.checks[2].counts)
    assert {path + ".minisig" for path in FILES} == {paper.path for paper in verdict.inputs}


def test_minisign_over_the_sums(judge: Judge, vendor: tuple[Minisigner, Path]) -> None:
    """One signature for all files, by way of their digests."""
    signer, key = vendor
    text = sums(FILES)
    files = FILES | {"SHA256SUMS": text, "SHA256SUMS.minisig": signer.sign(text)}
    assert judge(files, minisign=key, sha256sums="SHA256SUMS").accepted
    changed = files | {"a.txt": b"FIRST\n"}
    assert ("sha256sums", "rejected", Reason.DIGEST) == outcome(judge(changed, minisign=key, sha256sums="SHA256SUMS"))
    changed |= {"SHA256SUMS": sums(FILES | {"a.txt": b"FIRST\n"})}
    assert ("minisign", "rejected", Reason.SIGNATURE) == outcome(judge(changed, minisign=key, sha256sums="SHA256SUMS"))


@pytest.mark.parametrize(
    "path",
    [
        "SHA256SUMS.minisig.py",
        "SHA256SUMS.minisig.minisig",
        "sub/SHA256SUMS",
        "sub/SHA256SUMS.minisig",
        "model.sig",
        "model.sig/evil.py",
        "SHA256SUMS.sig",
    ],
)
def test_papers_are_names_of_files(judge: Judge, vendor: tuple[Minisigner, Path], path: str) -> None:
    """What need not be named is the list and its own signature: no longer name, no folder, no other check's paper."""
    signer, key = vendor
    text = sums(FILES)
    files = FILES | {"SHA256SUMS": text, "SHA256SUMS.minisig": signer.sign(text), path: b"import os\n"}
    verdict = judge(files, minisign=key, sha256sums="SHA256SUMS")
    assert ("sha256sums", "rejected", Reason.FILE_EXTRA) == outcome(verdict)


@pytest.mark.parametrize("path", ["a.txt.minisig.py", "a.txt.minisig/evil.py", "sub/.minisig", ".minisig", "b.minisig"])
def test_suffixes_are_ends_of_names(judge: Judge, vendor: tuple[Minisigner, Path], path: str) -> None:
    """Only what lies beside a file, under its name and the suffix, is a signature and needs none."""
    signer, key = vendor
    files = {"c.txt": b"content\n", "c.txt.minisig": signer.sign(b"content\n"), path: b"import os\n"}
    assert ("minisign", "rejected", Reason.SIGNATURE_MISSING) == outcome(judge(files, minisign=key))


def one(signature: bytes, content: bytes = b"content\n") -> dict[str, bytes]:
    """A file with a signature beside it."""
    return {"a.txt": content, "a.txt.minisig": signature}


def test_minisign_refusals(judge: Judge, vendor: tuple[Minisigner, Path]) -> None:
    """No signature, another key's, of another content, with another comment, in another form."""
    signer, key = vendor
    good = signer.sign(b"content\n")
    lines = good.split(b"\n")
    odd = base64.b64encode(b"XX" + base64.b64decode(lines[1])[2:])
    forged = Minisigner().sign(b"content\n")  # claims to be by the same key id
    cases: list[tuple[dict[str, bytes], Reason]] = [
        ({"a.txt": b"content\n"}, Reason.SIGNATURE_MISSING),
        (one(Minisigner(b"vendor 2").sign(b"content\n")), Reason.SIGNATURE_KEY),
        (one(forged), Reason.SIGNATURE),
        (one(good, b"Content\n"), Reason.SIGNATURE),
        (one(good.replace(b"timestamp:1", b"timestamp:2")), Reason.SIGNATURE),
        (one(b"\n".join([*lines[:2], lines[0], lines[3], b""])), Reason.SIGNATURE_MALFORMED),
        (one(good + b"\nmore"), Reason.SIGNATURE_MALFORMED),
        (one(b"\n".join(lines[:2])), Reason.SIGNATURE_MALFORMED),
        (one(good.replace(lines[1], lines[1][:-4])), Reason.SIGNATURE_MALFORMED),
        (one(good.replace(lines[1], odd)), Reason.SIGNATURE_MALFORMED),
        (one(b"x" * 20_000), Reason.SIGNATURE_MALFORMED),
        (one(good) | {"b": b"unsigned"}, Reason.SIGNATURE_MISSING),
        (one(good) | {"b.minisig": b"of nothing"}, Reason.SIGNATURE_MISSING),
    ]
    for files, reason in cases:
        for path in (item := Path(key).parent / "item").iterdir():
            path.unlink()
        assert item.is_dir()
        assert ("minisign", "rejected", reason) == outcome(judge(files, minisign=key))


def test_signature_of_a_signature_is_a_file(judge: Judge, vendor: tuple[Minisigner, Path]) -> None:
    """Nothing crosses unsigned by being called a signature of a signature."""
    signer, key = vendor
    files = one(signer.sign(b"content\n")) | {"a.txt.minisig.minisig": b"smuggled"}
    assert ("minisign", "rejected", Reason.SIGNATURE_MISSING) == outcome(judge(files, minisign=key))


def test_signatures_of_signatures_without_end(judge: Judge, vendor: tuple[Minisigner, Path]) -> None:
    """A chain of them costs time by its length, also where two checks have signatures of the same name."""
    _, key = vendor
    pem_key = key.with_suffix(".pem")
    pem_key.write_bytes(pem(Ed25519PrivateKey.generate()))
    chain = {"a" + ".ms" * count: b"" for count in range(80)}
    verdict = judge(chain, key=pem_key, key_suffix=".ms", sigstore=None)
    assert ("signature", "rejected", Reason.SIGNATURE) == outcome(verdict)
    chain = {"a" + ".minisig" * count: b"" for count in range(25)}
    verdict = judge(chain, minisign=key, key=pem_key, key_suffix=".minisig")
    assert ("minisign", "rejected", Reason.SIGNATURE_MALFORMED) == outcome(verdict)


def test_minisign_legacy_of_a_large_file(
    judge: Judge, vendor: tuple[Minisigner, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would have to be in memory whole is bounded, and the reason says so."""
    signer, key = vendor
    monkeypatch.setattr(minisign, "MAX_LEGACY_BYTES", 4)
    verdict = judge(one(signer.sign(b"content\n", legacy=True)), minisign=key)
    assert ("minisign", "rejected", Reason.SIGNATURE_KEY) == outcome(verdict)


def openssl(folder: Path, *arguments: str) -> None:
    """Run openssl there."""
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def windows(data: bytes) -> bytes:
    """In base64, as a text of Windows."""
    return base64.encodebytes(data).replace(b"\n", b"\r\n") + b"\r\n"


@pytest.mark.parametrize("form", [bytes, base64.b64encode, base64.encodebytes, windows])
@pytest.mark.parametrize("algorithm", ["ed25519", "ecdsa"])
def test_detached(judge: Judge, tmp_path: Path, algorithm: str, form: Any) -> None:
    """Ed25519 and ECDSA P-256, raw and in base64; changed content is refused."""
    ed, ec = Ed25519PrivateKey.generate(), generate_private_key(SECP256R1())
    made = ed.sign(b"content") if algorithm == "ed25519" else ec.sign(b"content", ECDSA(SHA256()))
    key = tmp_path / "acme.pem"
    key.write_bytes(b"Acme's key\r\n" + pem(ed if algorithm == "ed25519" else ec).replace(b"\n", b"\r\n"))
    assert judge({"a": b"content", "a.asc": form(made)}, key=key, key_suffix=".asc").accepted
    verdict = judge({"a": b"Content", "a.asc": form(made)}, key=key, key_suffix=".asc")
    assert ("signature", "rejected", Reason.SIGNATURE) == outcome(verdict)
    verdict = judge({"a": b"content", "a.asc": form(made[:-1])}, key=key, key_suffix=".asc")
    assert ("signature", "rejected", Reason.SIGNATURE) == outcome(verdict)


def test_detached_by_openssl(judge: Judge, tmp_path: Path) -> None:
    """What the tool that everybody has makes is taken."""
    (tmp_path / "SHA256SUMS").write_bytes(sums(FILES))
    openssl(tmp_path, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "k.pem")
    openssl(tmp_path, "ec", "-in", "k.pem", "-pubout", "-out", "k.pub")
    openssl(tmp_path, "dgst", "-sha256", "-sign", "k.pem", "-out", "sig", "SHA256SUMS")
    files = FILES | {"SHA256SUMS": sums(FILES), "SHA256SUMS.sig": (tmp_path / "sig").read_bytes()}
    assert judge(files, key=tmp_path / "k.pub", sha256sums="SHA256SUMS").accepted


def test_ed25519_over_a_large_file(judge: Judge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ed25519 signs whole files: large ones want a list of digests."""
    monkeypatch.setattr(detached, "MAX_ED25519_BYTES", 4)
    signer, key = Ed25519PrivateKey.generate(), tmp_path / "acme.pem"
    key.write_bytes(pem(signer))
    verdict = judge({"a": b"content", "a.sig": signer.sign(b"content")}, key=key)
    assert ("signature", "rejected", Reason.SIGNATURE_KEY) == outcome(verdict)


@pytest.mark.parametrize("content", [None, b"", b"not a key", b"RWQ=\n"])
@pytest.mark.parametrize("name", ["minisign", "key", "oms"])
def test_keys_are_read_at_the_start(judge: Judge, tmp_path: Path, name: str, content: bytes | None) -> None:
    """A key that cannot be read ends the command before anything is judged."""
    path = tmp_path / "bad.pub"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match="is not a" if content is not None else "cannot be read: No such file"):
        judge({"a": b"a"}, **{name: {"key": path} if name == "oms" else path})


def test_keys_of_other_kinds(judge: Judge, tmp_path: Path) -> None:
    """A curve that the check does not know is refused at the start, not at the first signature."""
    path = tmp_path / "key.pem"
    path.write_bytes(pem(generate_private_key(SECP384R1())))
    with pytest.raises(UsageError, match="P-256"):
        judge({"a": b"a"}, key=path)
    path.write_bytes(pem(Ed25519PrivateKey.generate()))
    with pytest.raises(UsageError, match="ECDSA"):
        judge({"a": b"a"}, oms={"key": path})
