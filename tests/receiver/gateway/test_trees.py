"""Trees without a server: addresses, which version answers, what is recalled, and lists of folders."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.gateway.answers import BundleFile
from receiver.gateway.request import BadPathError, segments_of
from receiver.gateway.view import TokenNeededError
from tests.serving import Serving
from tests.trees import Asked, apt_tree, dnf_tree, tools

NAMES = st.text("ab@.é %", min_size=1, max_size=8).filter(lambda name: name[0] not in ". " and name != "current")


def of(text: str, algorithm: str = "sha256") -> str:
    """A digest in hex."""
    return hashlib.new(algorithm, text.encode()).hexdigest()


def packages(version: str, algorithm: str = "sha256") -> str:
    """The digest of a version's Packages."""
    return of(f"packages of {version}\n", algorithm)


def test_a_plain_address_is_the_version_in_use_and_one_with_a_version_stays(tmp_path: Path) -> None:
    """Moving and immutable addresses, and what each says of itself."""
    serving, _ = tools(tmp_path, ("1", {"a/b.txt": "one"}), ("2", {"a/b.txt": "two"}))
    ask = Asked(serving)
    assert [ask.text(f"tools/demo{at}/a/b.txt") for at in ("", "@1", "@2")] == ["two", "one", "two"]
    assert [ask(f"tools/demo{at}/a/b.txt").is_moving for at in ("", "@1", "@2")] == [True, False, False]
    assert ask("tools/demo/a/b.txt").headers["Content-Location"] == "/trees/tools/demo@2/a/b.txt"
    serving.roll_back("tools", "demo")
    assert [ask.text(f"tools/demo{at}/a/b.txt") for at in ("", "@1", "@2")] == ["one", "one", "two"]


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    """Whatever part of the address names nothing."""
    serving, _ = tools(tmp_path, ("1", {"a.txt": "one"}))
    ask = Asked(serving)
    for path in (
        "tools/demo/b.txt",
        "tools/demo@2/a.txt",
        "tools/other/a.txt",
        "other/demo/a.txt",
        "tools/demo/a.txt/b",
    ):
        assert ask(path).status == 404, path
    assert ask("tools/demo/a.txt", "POST").status == 405


def test_a_channel_that_does_not_serve_trees_is_not_seen(tmp_path: Path) -> None:
    """Another channel's, and one that asks for a token that this client has not."""
    serving = Serving(tmp_path, {"tools": ("trees",), "secret": ("trees",)})
    serving.publish("secret", "demo", "1", {"a.txt": "one"})
    assert Asked(serving)("secret/demo/a.txt").status == 404
    assert Asked(serving)("secret").status == 404
    closed = Asked(serving, ("tools", "secret"), ("secret",))
    for path in ("secret/demo/a.txt", "secret/demo@1/a.txt", "secret"):
        with pytest.raises(TokenNeededError):
            closed(path)
    assert "secret" not in closed.text("")


def test_what_was_never_in_use_is_reached_by_its_version_alone(tmp_path: Path) -> None:
    """A version that waits for a person gives no packages to the moving address."""
    serving, (_, new) = tools(tmp_path, ("1", apt_tree("1")), ("2", apt_tree("2")))
    serving.pointers["tools", "demo"] = replace(serving.pointers["tools", "demo"], mode="by-hand")
    serving.publish("tools", "demo", "3", apt_tree("3"))
    ask = Asked(serving)
    assert ask("tools/demo/pool/demo_2_all.deb").of == serving.listed[new]
    assert ask("tools/demo/pool/demo_3_all.deb").status == 404
    assert ask.text("tools/demo@3/pool/demo_3_all.deb") == "deb of 3\n"


def test_names_and_versions_may_hold_an_at_sign(tmp_path: Path) -> None:
    """Each reading is looked up; what was published first keeps the address that both could mean."""
    serving = Serving(tmp_path, {"tools": ("trees",)})
    serving.publish("tools", "a", "1@x", {"f": "a 1@x"})
    serving.publish("tools", "a@1", "y", {"f": "a@1 y"})
    serving.publish("tools", "a", "1", {"f": "a 1"})
    ask = Asked(serving)
    assert ask.text("tools/a@1@x/f") == "a 1@x"
    assert ask.text("tools/a@1/f") == "a@1 y"  # the name was there first
    assert ask.text("tools/a@1@y/f") == "a@1 y"
    assert ask.text("tools/a/f") == "a 1"
    serving.publish("tools", "a@1", "x", {"f": "a@1 x"})
    assert ask.text("tools/a@1@x/f") == "a 1@x"


@settings(max_examples=15)
@given(st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=5, unique=True))
def test_no_later_bundle_changes_what_a_versions_address_means(
    tmp_path_factory: pytest.TempPathFactory, bundles: list[tuple[str, str]]
) -> None:
    """Whatever is published after it."""
    serving = Serving(tmp_path_factory.mktemp("at"), {"tools": ("trees",)})
    ask = Asked(serving)
    tails = [f"{name}@{version}".replace("%", "%25") for name, version in bundles]
    before: dict[str, str] = {}
    for name, version in bundles:
        serving.publish("tools", name, version, {"f": f"{name} | {version}"})
        answers = {tail: ask(f"tools/{tail}/f") for tail in tails}
        exact = {
            tail: ask.content(one.body)
            for tail, one in answers.items()
            if isinstance(one.body, BundleFile) and not one.is_moving
        }
        assert {tail: exact[tail] for tail in before} == before
        before |= exact


@pytest.mark.parametrize("flip", ["none", "promoted", "rolled back"])
def test_by_hash_and_pool_answer_for_every_version_that_was_in_use(tmp_path: Path, flip: str) -> None:
    """Whoever saw one index still gets what it names; the index itself is that of the version in use."""
    serving, _ = tools(tmp_path, ("1", apt_tree("1")), ("2", apt_tree("2")))
    if flip != "none":
        serving.roll_back("tools", "demo")
    if flip == "promoted":
        serving.promote("tools", "demo", "2")
    ask, now = Asked(serving), "1" if flip == "rolled back" else "2"
    assert f"Version: {now}" in ask.text("tools/demo/dists/stable/InRelease")
    assert ask.text("tools/demo/dists/stable/main/binary-amd64/Packages") == f"packages of {now}\n"
    for version in "12":
        assert ask.text(f"tools/demo/pool/demo_{version}_all.deb") == f"deb of {version}\n"
        text = f"packages of {version}\n"
        for algorithm in ("sha256", "sha512"):
            named = f"by-hash/{algorithm.upper()}/{of(text, algorithm)}"
            assert ask.text(f"tools/demo/dists/stable/main/binary-amd64/{named}") == text
            assert not ask(f"tools/demo/dists/stable/main/binary-amd64/{named}").is_moving
    assert ask("tools/demo/dists/stable/main/binary-amd64/by-hash/SHA256/" + of("no such")).status == 404


def test_by_hash_of_one_version_knows_its_own_files_alone(tmp_path: Path) -> None:
    """An address with a version in it is that version."""
    serving, _ = tools(tmp_path, ("1", apt_tree("1")), ("2", apt_tree("2")))
    ask = Asked(serving)
    folder = "dists/stable/main/binary-amd64/by-hash/SHA256"
    assert ask.text(f"tools/demo@1/{folder}/{packages('1')}") == "packages of 1\n"
    assert ask(f"tools/demo@1/{folder}/{packages('2')}").status == 404


def test_a_path_that_is_used_again_is_that_of_the_version_in_use(tmp_path: Path) -> None:
    """It cannot be right for both."""
    serving, _ = tools(
        tmp_path,
        ("1", apt_tree("1") | {"pool/x.deb": "one"}),
        ("2", apt_tree("2") | {"pool/x.deb": "two"}),
    )
    ask = Asked(serving)
    assert ask.text("tools/demo/pool/x.deb") == "two"
    serving.roll_back("tools", "demo")
    assert ask.text("tools/demo/pool/x.deb") == "one"


def test_dnf_reads_old_metadata_by_its_digest(tmp_path: Path) -> None:
    """repomd.xml moves; what it names stays."""
    first, second = dnf_tree("1"), dnf_tree("2")
    serving, _ = tools(tmp_path, ("1", first), ("2", second))
    ask = Asked(serving)
    for path, text in (first | second).items():
        assert ask.text(f"tools/demo/{path}") == text


def test_plain_files_are_those_of_the_version_in_use_alone(tmp_path: Path) -> None:
    """A tree that is neither apt's nor dnf's."""
    serving, _ = tools(tmp_path, ("1", {"old.txt": "one"}), ("2", {"new.txt": "two"}))
    assert Asked(serving)("tools/demo/old.txt").status == 404


def test_recalled_and_in_use_nothing_older_takes_its_place(tmp_path: Path) -> None:
    """All that moves is refused with the reason, until a person decides; what another version holds too is served."""
    serving, (_, two) = tools(tmp_path, ("1", apt_tree("1")), ("2", apt_tree("2")))
    serving.recall(two, "a back door")
    ask = Asked(serving)
    gone = [
        *(
            "dists/stable/InRelease",
            "dists/stable/Release",
            "dists/stable/main/binary-amd64/Packages",
            "pool/demo_2_all.deb",
        ),
        f"dists/stable/main/binary-amd64/by-hash/SHA256/{packages('2')}",
        f"dists/stable/main/binary-amd64/by-hash/SHA512/{packages('2', 'sha512')}",
        "",
        "pool",
    ]
    for path in gone:
        for at in ("", "@2"):
            found = ask(f"tools/demo{at}/{path}")
            assert (found.status, found.reason) == (410, "Recalled 2026-11-28: a back door"), path
            assert isinstance(found.body, bytes)
            assert b"a back door" in found.body
    assert ask("tools/demo@2/pool/same_1_all.deb").status == 410
    shared = ask("tools/demo/pool/same_1_all.deb")
    assert shared.of is not None
    assert (shared.status, shared.of.version) == (200, "1")
    assert ask.text("tools/demo/pool/demo_1_all.deb") == "deb of 1\n"
    assert ask.text("tools/demo@1/dists/stable/main/binary-amd64/Packages") == "packages of 1\n"


def test_recalled_and_in_use_a_reused_path_is_not_answered_by_other_bytes(tmp_path: Path) -> None:
    """That would be an older version in its place."""
    serving, (_, two) = tools(
        tmp_path, ("1", apt_tree("1") | {"pool/x.deb": "one"}), ("2", apt_tree("2") | {"pool/x.deb": "two"})
    )
    serving.recall(two, "why")
    assert Asked(serving)("tools/demo/pool/x.deb").status == 410


def test_an_older_version_that_is_recalled_takes_only_its_own_files_with_it(tmp_path: Path) -> None:
    """The version in use goes on, with what both hold."""
    serving, (one, _) = tools(tmp_path, ("1", apt_tree("1")), ("2", apt_tree("2")))
    serving.recall(one, "why")
    ask = Asked(serving)
    assert ask("tools/demo/pool/demo_1_all.deb").status == 410
    assert ask(f"tools/demo/dists/stable/by-hash/SHA256/{packages('1')}").status == 410
    assert ask.text("tools/demo/pool/same_1_all.deb") == "the same in each\n"
    assert ask("tools/demo/dists/stable/InRelease").status == 200


def test_after_rollback_from_what_was_recalled_its_packages_stay_refused(tmp_path: Path) -> None:
    """Machines that saw it keep its index, and are told why when they install from it."""
    serving, (_, two) = tools(tmp_path, ("1", apt_tree("1")), ("2", apt_tree("2")))
    serving.recall(two, "why")
    serving.roll_back("tools", "demo")
    ask = Asked(serving)
    assert ask("tools/demo/dists/stable/InRelease").status == 200
    assert ask("tools/demo/pool/demo_2_all.deb").reason == "Recalled 2026-11-28: why"


def test_a_reader_of_ranges_stays_with_the_version_that_it_began_with(tmp_path: Path) -> None:
    """And is told when that was recalled, but for bytes that another version holds."""
    serving, (one, _) = tools(tmp_path, ("1", {"big": "one", "same": "x"}), ("2", {"big": "two", "same": "x"}))
    ask = Asked(serving)
    assert ask.text("tools/demo/big", began=one) == "one"
    assert ask.text("tools/demo/big", began="0" * 16) == "two"
    serving.recall(one, "why")
    assert ask("tools/demo/big", began=one).status == 410
    assert ask.text("tools/demo/same", began=one) == "x"


def test_a_folder_is_listed_for_people(tmp_path: Path) -> None:
    """With escaped names, absolute links, and the versions that are offered."""
    hostile = "<script>&\"'.txt"
    serving, _ = tools(
        tmp_path, ("1", {"a/b/c": "x", hostile: "y"}), ("2", {"a/b/c": "x", hostile: "y", "é ü%41": "z"})
    )
    ask = Asked(serving)
    page = ask.text("tools/demo")
    assert "<script>" not in page
    assert 'href="/trees/tools/demo/a/"' in page
    assert 'href="/trees/tools/demo/%C3%A9%20%C3%BC%2541"' in page
    assert 'href="/trees/tools/demo@1/"' in page
    assert 'href="/trees/tools/demo@1/a/b/c"' in ask.text("tools/demo@1/a/b/")
    assert 'href="/trees/tools/demo/"' in ask.text("tools/demo/a/")
    assert ask("tools/demo/a/x").status == 404
    assert "tools/demo" in ask.text("")
    assert "tools/demo" in ask.text("tools")
    assert ask.text("tools/demo/%C3%A9%20%C3%BC%2541") == "z"


def test_head_is_answered_like_get(tmp_path: Path) -> None:
    """The server leaves the body out."""
    serving, _ = tools(tmp_path, ("1", apt_tree("1")))
    ask = Asked(serving)
    for path in (
        "",
        "tools",
        "tools/demo",
        "tools/demo/dists/stable/InRelease",
        "tools/demo/none",
        "tools/demo@1/pool/",
    ):
        assert ask(path) == ask(path, "HEAD")


@settings(max_examples=100)
@given(
    st.lists(
        st.sampled_from(
            ["..", ".", "%2e%2e", "%2F", "%5c", "\\", "%00", "a", "demo", "tools", "//", "%252e", "@", "@1"]
        )
    )
)
def test_no_path_leads_out_of_the_table(shared_tools: Asked, parts: list[str]) -> None:
    """Whatever is asked: a file of the bundle, a list, or a refusal."""
    try:
        segments_of("/".join(parts))
    except BadPathError:
        return
    found = shared_tools("/".join(parts))
    assert found.status in (200, 404)
    if isinstance(found.body, BundleFile):
        assert found.body.file.path in ("a", "demo/a")


@pytest.fixture(scope="module")
def shared_tools(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """A tree to ask for anything."""
    serving, _ = tools(tmp_path_factory.mktemp("paths"), ("1", {"a": "one", "demo/a": "two"}))
    return Asked(serving)
