"""Models that the reference library of Model Signing has signed, and files that were put beside them later."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sender.intake.verdict import Check, Reason, Verdict
from tests.needs import need
from tests.sender.intake.conftest import Judge
from tests.sender.intake.test_pipeline import outcome

MODELS = Path(__file__).parents[2] / "vectors" / "models"
KEY = MODELS / "key.pub"


@pytest.fixture
def judge_model(judge: Judge, item: Path) -> Judge:
    """The verdict on a signed model, with files beside what was signed."""

    def judged(model: str, files: dict[str, bytes] | None = None, **oms: Any) -> Verdict:
        shutil.copytree(MODELS / model, item, dirs_exist_ok=True)
        return judge(files, oms={"key": KEY, **oms})

    return judged


def oms_of(verdict: Verdict) -> Check:
    """The model signature's part."""
    return next(check for check in verdict.checks if check.name == "oms")


def test_as_the_library_signs(judge_model: Judge) -> None:
    """Files of sub folders are signed whatever they are called; the one that is not signed is named in the verdict."""
    verdict = judge_model("plain")
    assert (None, {"files": 3, "unsigned": 1}) == (verdict.failed, oms_of(verdict).counts)
    assert "model 'plain'; unsigned: '.gitattributes'" == oms_of(verdict).detail


def test_blake3_by_the_library(judge_model: Judge) -> None:
    """The library's other digest."""
    verdict = judge_model("blake3")
    assert (None, {"files": 2, "unsigned": 0}) == (verdict.failed, oms_of(verdict).counts)


@pytest.mark.parametrize(
    "path",
    [
        ".gitignore/evil.py",
        ".gitignore/.gitignore",
        ".git/hooks/post-checkout",
        ".github/evil.py",
        "sub/.gitignore",
        ".gitattributes.py",
        ".gitattributes~",
        "x.gitattributes",
        ".GITIGNORE",
        "model.sig.py",
        "sub/model.sig",
    ],
)
def test_what_is_put_beside_a_signed_model(judge_model: Judge, path: str) -> None:
    """The name of an unsigned file stands for that file: for no folder of that name, and for no longer name."""
    assert ("oms", "rejected", Reason.FILE_EXTRA) == outcome(judge_model("plain", {path: b"import os\n"}))


def test_unsigned_name_that_became_a_folder(judge: Judge, item: Path) -> None:
    """The library itself takes every file below an ignored name; a channel names files, and no folders."""
    shutil.copytree(MODELS / "plain", item, dirs_exist_ok=True)
    (item / ".gitattributes").unlink()
    verdict = judge({".gitattributes/evil.py": b"import os\n"}, oms={"key": KEY})
    assert ("oms", "rejected", Reason.FILE_EXTRA) == outcome(verdict)


def test_ignored_folder(judge_model: Judge) -> None:
    """What lies in a folder that the signer left out passes file by file, as the channel names them."""
    both = ["notes/a.txt", "notes/b.txt"]
    verdict = judge_model("folder", unsigned=both)
    assert (None, {"files": 1, "unsigned": 2}) == (verdict.failed, oms_of(verdict).counts)


@pytest.mark.parametrize("unsigned", [["notes"], ["notes/"], ["notes/a.txt"], ["."], ["notes/*"], []])
def test_ignored_folder_is_not_named_whole(judge_model: Judge, unsigned: list[str]) -> None:
    """No name of a folder, and no pattern, lets in what is below."""
    assert ("oms", "rejected", Reason.FILE_EXTRA) == outcome(judge_model("folder", unsigned=unsigned))


@pytest.mark.parametrize(
    ("path", "taken"),
    [("notes/a.txt", True), ("notes/later.txt", False), ("notesx", False), ("notes/sub/a.txt", False)],
)
def test_files_that_come_later_into_an_ignored_folder(judge_model: Judge, path: str, taken: bool) -> None:
    """Only what the channel names, below what the signer left out."""
    names = ["notes/a.txt", "notes/b.txt", "notesx"]
    assert judge_model("folder", {path: b"x"}, unsigned=names).accepted == taken


def test_library_agrees(judge: Judge, item: Path, tmp_path: Path) -> None:
    """A model that the library signs here and now, where its program is installed."""
    need("model_signing")
    program = str(shutil.which("model_signing"))
    private, public = tmp_path / "k.pem", tmp_path / "k.pub"
    subprocess.run(["openssl", "ecparam", "-name", "secp384r1", "-genkey", "-noout", "-out", private], check=True)
    subprocess.run(["openssl", "ec", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    for path in ("w.bin", "sub dir/\u00fc\\n.json", ".gitattributes", "sub/.git/x"):
        (item / path).parent.mkdir(exist_ok=True, parents=True)
        (item / path).write_bytes(path.encode())
    command: list[str | Path] = [
        program,
        "sign",
        "key",
        item,
        "--private_key",
        private,
        "--signature",
        item / "model.sig",
    ]
    subprocess.run(command, check=True, capture_output=True)
    assert judge(oms={"key": public}).accepted
