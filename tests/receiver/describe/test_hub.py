"""What is found in a bundle for Hugging Face: its repository, upstream's commit, and other repositories it needs."""

import json
from pathlib import Path
from typing import Any

import pytest

from diode.layouts.source import read_source
from receiver.catalogue.card import CardFile
from receiver.describe.hub import describe
from receiver.describe.protocols import Described, Made
from tests.serving import FolderFiles

COMMIT = "c" * 40
Files = dict[str, bytes | str]


class Table(FolderFiles):
    """Files in a folder, some of which are said to be larger than they are."""

    def table(self) -> list[CardFile]:
        """With sizes of 60 GB for what is called huge."""
        return [one._replace(size=60 * 10**9) if "huge" in one.path else one for one in super().table()]


def made(folder: Path, name: str, files: Files, version: str = "1") -> Made:
    """What the maker finds."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content.encode() if isinstance(content, str) else content)
    source = read_source((folder / "source.json").read_bytes()) if "source.json" in files else None
    built = "2026-11-01T00:00:00Z"
    return describe(Described("0" * 16, "weights", name, version, "d" * 64, built, Table(folder), source))


def facts(found: Made) -> dict[str, Any]:
    """Those of the repository."""
    return json.loads(next(fact.value for fact in found.facts if fact.key == "")) if found.facts else {}


def source(kind: str, name: str, revision: str = COMMIT) -> str:
    """A ``source.json``."""
    return json.dumps({"format": "diode-source-1", "kind": kind, "name": name, "revision": revision, "tags": ["t"]})


@pytest.mark.parametrize(
    ("name", "claim", "spelling"),
    [
        ("Acme--Tiny", "models/acme/tiny", "Acme/Tiny"),
        ("gpt2", "models/gpt2", "gpt2"),
        ("models--acme--tiny", "models/acme/tiny", "acme/tiny"),
        ("datasets--acme--rows", "datasets/acme/rows", "acme/rows"),
    ],
)
def test_a_bundles_name_gives_the_repository(tmp_path: Path, name: str, claim: str, spelling: str) -> None:
    """Claimed in one normal form, spelt as it is."""
    found = made(tmp_path, name, {"a.txt": "a"})
    assert [tuple(one) for one in found.claims] == [("hub", claim, spelling)]
    assert found.problems == []


@pytest.mark.parametrize(
    "name", ["a--b--c", "acme--..", "-x", "acme--tree", "api--x", "datasets", "a--b.git", "a b", "ü"]
)
def test_a_name_that_nobody_can_ask_for_is_a_problem(tmp_path: Path, name: str) -> None:
    """It claims nothing."""
    found = made(tmp_path, name, {"a.txt": "a"})
    assert (found.claims, found.facts, len(found.problems)) == ([], [], 1)


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"data/train.parquet": "x"}, "datasets"),
        ({"a.arrow": "x", "README.md": "# x"}, "datasets"),
        ({"data.csv": "x", "README.md": "---\nlicense: mit\ntask_categories:\n- x\n---\n"}, "datasets"),
        ({"data.csv": "x", "README.md": "---\nlicense: mit\n---\ntask_categories:\n"}, "models"),
        ({"data.csv": "x"}, "models"),
        ({"config.json": "{}", "calibration.parquet": "x"}, "models"),
        ({"x.parquet": "x", "source.json": source("model", "acme/x")}, "models"),
        ({"config.json": "{}", "source.json": source("dataset", "acme/x")}, "datasets"),
        ({"x.parquet": "x", "source.json": source("files", "acme/x")}, "datasets"),
    ],
)
def test_a_data_set_is_told_from_a_model(tmp_path: Path, files: Files, kind: str) -> None:
    """By source.json; else only where nothing speaks for a model."""
    assert made(tmp_path, "acme--x", files).claims[0].normal == f"{kind}/acme/x"


def test_what_is_something_else_is_left_alone(tmp_path: Path) -> None:
    """A channel may serve several kinds."""
    found = made(tmp_path, "numpy", {"source.json": source("pypi", "numpy")})
    assert (found.claims, found.facts, found.problems) == ([], [], [])


def test_upstreams_commit_comes_from_source_json_or_the_version(tmp_path: Path) -> None:
    """Of source.json only where it speaks of this repository."""
    files: Files = {"a": "a", "source.json": source("model", "Acme/X")}
    heard = facts(made(tmp_path / "1", "acme--x", files))
    assert (heard["revision"], heard["tags"], heard["hidden"]) == (COMMIT, ["t"], ["source.json"])
    assert facts(made(tmp_path / "2", "acme--x", {"a": "a"}, COMMIT))["revision"] == COMMIT
    assert facts(made(tmp_path / "3", "acme--x", {"a": "a"}, "1.0"))["revision"] == ""
    other = made(tmp_path / "4", "acme--y", files)
    assert (facts(other)["revision"], facts(other)["tags"]) == ("", [])
    assert "not heard" in other.problems[0]
    short = made(tmp_path / "5", "acme--x", {"source.json": source("model", "acme/x", "v1")})
    assert facts(short)["revision"] == ""


def test_other_repositories_are_named(tmp_path: Path) -> None:
    """Code, base models and parts; not what lies in the bundle, nor the bundle itself, nor a folder of a machine."""
    config = {"auto_map": {"AutoModel": "acme/code--modeling.Model", "AutoConfig": "local.Config"}, "eps": 1e-12}
    adapter = {"base_model_name_or_path": "meta/base", "nested": [{"tokenizer_name_or_path": "gpt2"}]}
    parts = {"unet": ["x", "Y"], "vae": [None, None, {"pretrained_model_name_or_path": "acme/vae"}]}
    files: Files = {
        "config.json": json.dumps(config),
        "adapter_config.json": json.dumps(adapter),
        "sub/generation_config.json": json.dumps({"assistant_model_name_or_path": "/home/me/x"}),
        "modular_model_index.json": json.dumps(parts),
        "other_config.json": json.dumps({"base_model_name_or_path": "acme/x", "tokenizer_name": "config.json"}),
        "weights.json": json.dumps({"base_model_name_or_path": "not/read"}),
    }
    found = made(tmp_path, "acme--x", files)
    needs = json.loads(next(fact.value for fact in found.facts if fact.key == "needs"))
    assert needs == ["acme/code", "acme/vae", "gpt2", "meta/base"]
    assert len(found.problems) == 4
    assert all("names the repository" in problem for problem in found.problems)


@pytest.mark.parametrize(
    "content", [b"{", b"\xff", b"[" * 100_000, b'{"auto_map": ', b'{"base_model_name_or_path": 3}']
)
def test_configurations_that_cannot_be_read_do_no_harm(tmp_path: Path, content: bytes) -> None:
    """The repository is served all the same."""
    found = made(tmp_path, "acme--x", {"config.json": content})
    assert len(found.claims) == 1
    assert [fact.key for fact in found.facts] == ["", "siblings"]


def test_what_clients_refuse_is_a_problem(tmp_path: Path) -> None:
    """A file above 50 GB, a whole cache, a version called main."""
    assert "50 GB" in made(tmp_path / "1", "acme--x", {"huge.safetensors": "x"}).problems[0]
    cache = made(tmp_path / "2", "models--acme--x", {f"snapshots/{COMMIT}/a": "a", "refs/main": COMMIT})
    assert (cache.claims, "whole cache" in cache.problems[0]) == ([], True)
    assert "called main" in made(tmp_path / "3", "acme--x", {"a": "a"}, "main").problems[0]
