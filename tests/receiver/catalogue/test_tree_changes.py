"""What people are told before one version of a tree takes another's place; and children of folders in a card."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.catalogue.card import Card, CardFile, write_card
from receiver.catalogue.tree_changes import reused_paths, warnings
from receiver.catalogue.tree_facts import AptSuite, ClamDatabase, DnfRepository, TreeFacts

SOUND = AptSuite(folder="dists/s", root="", by_hash=True, signed="InRelease", label="a", date="2026-11-02T00:00:00Z")
PATHS = st.lists(st.text("ab/0é\x01\U0001f600", min_size=1, max_size=6).filter(lambda path: "//" not in f"/{path}/"))


def test_changed_labels_are_told_and_escaped() -> None:
    """Apt refuses them until a person agrees."""
    old = TreeFacts(apt=[SOUND])
    assert warnings(old, old) == []
    (line,) = warnings(old, TreeFacts(apt=[SOUND.model_copy(update={"label": "b\x1b"})]))
    assert "Label changes from 'a' to 'b\\x1b'" in line
    assert "--allow-releaseinfo-change" in line


def test_what_machines_will_not_take_back_is_told() -> None:
    """An older Release, and an older database."""
    new = TreeFacts(apt=[SOUND.model_copy(update={"date": "2026-11-01T00:00:00Z"})])
    assert "stay on it" in warnings(TreeFacts(apt=[SOUND]), new)[0]
    databases = [TreeFacts(clamav=[ClamDatabase(path="daily.cvd", version=version)]) for version in (2, 1)]
    assert "freshclam keeps the newer one" in warnings(*databases)[0]


def test_what_is_not_safe_to_flip_is_told_each_time() -> None:
    """Whatever was in use before."""
    new = TreeFacts(
        apt=[SOUND.model_copy(update={"by_hash": False, "signed": ""})], dnf=[DnfRepository(root="", plain=["a.xml"])]
    )
    assert len(warnings(TreeFacts(), new)) == 3


def card(folder: Path, name: str, files: dict[str, str], facts: TreeFacts | None = None) -> Card:
    """A card with these files: digests by path."""
    path = folder / name
    write_card(path, [CardFile(one, 1, files[one] * 64) for one in sorted(files)], (facts or TreeFacts()).facts(), [])
    return Card(path)


def test_package_paths_with_other_bytes_are_told(tmp_path: Path) -> None:
    """Indexes differ each time, and packages must not."""
    facts = TreeFacts(apt=[SOUND], dnf=[DnfRepository(root="rpm/")])
    old = card(
        tmp_path, "old", {"dists/s/InRelease": "a", "pool/a.deb": "a", "pool/b.deb": "a", "rpm/c.rpm": "a"}, facts
    )
    new = card(
        tmp_path, "new", {"dists/s/InRelease": "b", "pool/a.deb": "b", "pool/b.deb": "a", "rpm/c.rpm": "b"}, facts
    )
    assert [line.split()[0] for line in reused_paths(old, new)] == ["pool/a.deb", "rpm/c.rpm"]
    assert reused_paths(old, old) == []
    many = {f"pool/{number}.deb": "a" for number in range(9)}
    lines = reused_paths(card(tmp_path, "x", many), card(tmp_path, "y", dict.fromkeys(many, "b"), facts))
    assert (len(lines), lines[-1]) == (6, "more paths have other bytes than before")


@settings(max_examples=40)
@given(PATHS)
def test_children_are_the_names_in_a_folder(tmp_path_factory, paths: list[str]) -> None:  # type: ignore[no-untyped-def]
    """As many look-ups as names, and the same as by looking at every path."""
    files = {path: "a" for path in paths if not path.startswith("/") and not path.endswith("/")}
    one = card(tmp_path_factory.mktemp("children"), "card", files)
    for below in ("", "a/", "a/b/"):
        rests = [path.removeprefix(below) for path in files if path.startswith(below)]
        wanted = {rest.partition("/")[0] + ("/" if "/" in rest else "") for rest in rests}
        assert one.children(below, 99) == sorted(wanted, key=lambda name: name.encode())
