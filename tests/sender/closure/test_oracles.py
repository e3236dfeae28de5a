"""Our verdicts against those of apt's and npm's own solvers; where they differ, docs/closure.md names the limit."""

import random
from pathlib import Path

import pytest

from tests.closure_oracles import index, is_whole, paragraph, refused_by_apt
from tests.closure_sets import NODES, judge
from tests.package_clients import Npm
from tests.packages import tgz
from tests.serving import Serving

pytestmark = pytest.mark.clients


@pytest.mark.needs("apt")
def test_apt_agrees(tmp_path: Path) -> None:
    """Of generated indexes, those are whole of which apt installs each package; there are many of both kinds."""
    whole = 0
    for seed in range(60):
        text = index(random.Random(seed))
        refused = refused_by_apt(tmp_path / str(seed), text)
        assert is_whole(text) == (not refused), (seed, refused)
        whole += not refused
    assert 15 <= whole <= 45


@pytest.mark.needs("apt")
def test_conflicts_are_not_judged(tmp_path: Path) -> None:
    """A limit: apt refuses packages that conflict, and the check says whole."""
    text = "\n".join([paragraph("a", Depends="b, c"), paragraph("b", Conflicts="c"), paragraph("c")])
    assert is_whole(text)
    assert ["a"] == [line.partition(":")[0] for line in refused_by_apt(tmp_path, text)]


@pytest.mark.needs("npm")
@pytest.mark.parametrize(
    ("sets", "ours", "npms"),
    [
        pytest.param(
            [
                tgz("app", "1.0.0", dependencies={"a": "1", "react": "2"}),
                tgz("a", "1.0.0", peerDependencies={"react": "1"}),
            ],
            True,
            True,
            id="a peer of a dependency is installed below it",
        ),
        pytest.param(
            [
                tgz("app", "1.0.0", peerDependencies={"a": "1", "react": "2"}),
                tgz("a", "1.0.0", peerDependencies={"react": "1"}),
            ],
            True,
            False,
            id="limit: peers that contradict one another",
        ),
        pytest.param(
            [
                tgz("app", "1.0.0", optionalDependencies={"a": "1"}),
                tgz("a", "1.0.0", dependencies={"gone": "1"}),
            ],
            False,
            True,
            id="limit: what an optional package needs is named",
        ),
        pytest.param(
            [
                tgz("app", "1.0.0", dependencies={"a": "1"}, overrides={"a": "2"}),
                tgz("a", "1.0.0"),
            ],
            True,
            True,
            id="overrides of a dependency are nothing to npm",
        ),
        pytest.param(
            [tgz("app", "1.0.0", peerDependencies={"a": "1"}, peerDependenciesMeta={"a": {"optional": True}})],
            True,
            True,
            id="an optional peer",
        ),
        pytest.param(
            [tgz("app", "1.0.0", dependencies={"a": "1"}), tgz("a", "1.1.0", os=["darwin"]), tgz("a", "1.0.0")],
            False,
            False,
            id="the newest is for another system",
        ),
        pytest.param(
            [tgz("app", "1.0.0", dependencies={"a": "1"}), tgz("a", "1.0.0", libc=["musl"])],
            False,
            False,
            id="for another libc",
        ),
        pytest.param(
            [tgz("app", "1.0.0", dependencies={"x": "npm:@o/a@^1"}), tgz("@o/a", "1.2.0")], True, True, id="an alias"
        ),
        pytest.param(
            [tgz("app", "1.0.0", dependencies={"a": "*"}), tgz("a", "1.0.0-rc.1")], True, True, id="a pre-release alone"
        ),
        pytest.param(
            [tgz("app", "1.0.0", dependencies={"a": "^1.0.0"}), tgz("a", "1.0.1-rc.1")],
            False,
            False,
            id="a pre-release in a range",
        ),
        pytest.param([tgz("app", "1.0.0", dependencies={"a": "next"}), tgz("a", "1.0.0")], False, False, id="a tag"),
    ],
)
def test_npm(tmp_path: Path, sets: list[dict[str, bytes]], ours: bool, npms: bool) -> None:
    """Whether a set is whole, by us and by npm's tree."""
    files = {
        path: data for each in [*sets, tgz("react", "1.0.0"), tgz("react", "2.0.0")] for path, data in each.items()
    }
    assert ours == (not judge({"npm": NODES[:1]}, files).missing)
    serving = Serving(tmp_path, {"packages": ("npm",)})
    serving.publish("packages", "set", "1", files)
    words = [f"--{key}={value}" for key, value in NODES[0].items()]
    with serving.running() as base:
        done = Npm(tmp_path, base).run("install", "app", "--package-lock-only", *words, folder=tmp_path / "project")
    assert npms == (not done.returncode), done.stderr
